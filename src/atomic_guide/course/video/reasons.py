"""Why a video failed, for the person who uploaded it: the cause in the first sentence, then the remedy. Pure."""

from __future__ import annotations

import re

_EXPORT = "Export it again as MP4 (H.264 and AAC) and upload that."
_CUT_OFF = "The recorder or the copy was probably cut off. Export it again, or choose the original recording."

MEMORY = r"Cannot allocate memory|malloc of size \d+ failed|get_buffer\(\) failed|Resource temporarily unavailable"
"""What ffmpeg and its encoders say where the address space is at its end; threads fail with the last."""

# In this order: the first that is found in ffmpeg's words is the reason.
_SIGNS: tuple[tuple[str, str], ...] = (
    (r"moov atom not found", f"The file stops in the middle: its index is missing. {_CUT_OFF}"),
    (r"exceeds specified max pixel count", f"The picture is larger than what is accepted here. {_EXPORT}"),
    (r"exceeds max_streams", f"The file holds too many streams. {_EXPORT}"),
    (
        r"encrypted|DRM|protected|no decryption key",
        "The file is protected against copying. Choose one without protection.",
    ),
    (
        r"Codec not on whitelist|Decoder .{0,80}not found|no decoder found|Could not find codec parameters.{0,200}none",
        "The file is in a format that cannot be played here. " + _EXPORT,
    ),
    (r"Format not on whitelist", f"The file is not a video or audio file that is known here. {_EXPORT}"),
    (
        r"does not contain any stream|matches no streams",
        "There is neither picture nor sound in the file. Choose another one.",
    ),
    (
        r"File too large",
        "The file unpacks to more than what is accepted here. Export it at a lower quality.",
    ),
    (MEMORY, f"The file needs more memory than what is given here. {_EXPORT}"),
    (r"EBML header parsing failed|Invalid data found|Invalid argument|End of file", f"The file is damaged. {_CUT_OFF}"),
)

_SIGXCPU = 24

NOTHING = "There is neither picture nor sound in the file. Choose another one."
STALLED = f"The file makes the converter stand still. {_EXPORT}"
TOO_SLOW = f"Converting the file takes longer than what is given here. {_EXPORT}"


UNREADABLE = (
    "What was made of the file could not be read back. Try again; if it fails again, tell the server's operator."
)
CANCELLED = "Its processing was cancelled by an operator. Try again, or ask the server's operator why."
NO_SPACE = "The server's disk is full. Ask its operator to free some space, then try again."
NO_MEMORY = "The server ran out of memory over this file. Try again at another time, or export it smaller."


def reason_for(words: str, status: int = 1) -> str:
    """The reason behind a failed run, from its words and exit status (negative: the signal)."""
    for pattern, reason in _SIGNS:
        if re.search(pattern, words, re.IGNORECASE | re.DOTALL):
            return reason
    if status == -_SIGXCPU or f"received signal {_SIGXCPU}" in words:
        return TOO_SLOW
    return f"The file cannot be converted. {_EXPORT}"


def too_long(duration: float, limit: float) -> str:
    """The lecture is longer than what is accepted."""
    return f"The video lasts {_span(duration)}; at most {_span(limit)} are accepted. Cut it into parts."


def cut_off(there: float, announced: float) -> str:
    """The file announces more than it holds."""
    return f"The file stops in the middle: {_span(there)} of {_span(announced)} are there. {_CUT_OFF}"


def over_quota(refusal: str) -> str:
    """The institution's space is used up, in the words of the refusal of an upload."""
    return f"{refusal[:1].upper()}{refusal[1:].rstrip('.')}; then try again."


def for_people(reason: str) -> str:
    """A reason as the uploader is shown it: one that names no remedy, as the queue's own, gets one."""
    said = reason.strip().rstrip(".")
    if ". " in said:
        return reason
    cause = said[:1].upper() + said[1:] if said else "The lecture could not be processed"
    return f"{cause}. Try again; if it fails again, tell the server's operator when that was."


def _span(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"

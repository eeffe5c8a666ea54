"""What kinds of files lectures have. Pure."""

from __future__ import annotations

_KINDS = {
    "m3u8": "application/vnd.apple.mpegurl",
    "mp4": "video/mp4",
    "m4s": "video/iso.segment",
    "jpg": "image/jpeg",
    "vtt": "text/vtt; charset=utf-8",
    "json": "application/json",
}


def kind_of(name: str) -> str:
    """The media type of a file, by its name."""
    return _KINDS.get(name.rpartition(".")[2], "application/octet-stream")

"""What a file is by its first bytes, whatever its name says. Pure."""

from __future__ import annotations

HEAD_BYTES = 512
"""Enough for every signature here; MPEG-TS needs its third packet's sync byte at 376 (M2TS: 388)."""

DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,ogg,flv,asf,mp3,wav,flac,aac"
"""The formats that ffmpeg may recognise; no playlist, no image sequence, no script is among them."""

_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
_IMAGE_BRANDS = {b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis"}
_PREFIXES = (
    (b"\x1aE\xdf\xa3", "matroska"),
    (b"OggS", "ogg"),
    (b"FLV\x01", "flv"),
    (b"\x00\x00\x01\xba", "mpeg"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"ID3", "mp3"),
    (b"fLaC", "flac"),
)
# Frame syncs of MPEG audio layers II and III and of ADTS; 0xFFFE would be the mark of UTF-16 text.
_AUDIO_SYNCS = {
    b"\xff\xfb",
    b"\xff\xfa",
    b"\xff\xf3",
    b"\xff\xf2",
    b"\xff\xe3",
    b"\xff\xfd",
    b"\xff\xfc",
    b"\xff\xf1",
    b"\xff\xf9",
}
_TS_SYNC = 0x47
_STRANGERS = (
    (b"#EXTM3U", "a playlist; upload the video itself"),
    (b"ffconcat", "a playlist; upload the video itself"),
    (b"PK\x03\x04", "a ZIP archive or an Office document; unpack or export it as MP4 first"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"MZ", "a program"),
    (b"\x7fELF", "a program"),
    (b"7z\xbc\xaf", "an archive; unpack it first"),
    (b"Rar!", "an archive; unpack it first"),
    (b"\x1f\x8b", "an archive; unpack it first"),
)
_UNKNOWN = "no video or audio file that is known here; export it as MP4"


def container_of(head: bytes) -> str | None:
    """The container that a file's first bytes announce, by ffmpeg's name; None where they announce none."""
    if head[4:8] in _BOXES and head[8:12] not in _IMAGE_BRANDS:
        return "mov"
    if head[:4] == b"RIFF" and head[8:12] in {b"AVI ", b"WAVE"}:
        return "avi" if head[8:12] == b"AVI " else "wav"
    for offset, packet in ((0, 188), (4, 192)):
        if len(head) > offset + 2 * packet and all(head[offset + n * packet] == _TS_SYNC for n in range(3)):
            return "mpegts"
    if head[:2] in _AUDIO_SYNCS:
        return "mp3"
    return next((name for prefix, name in _PREFIXES if head.startswith(prefix)), None)


def describe(head: bytes) -> str:
    """What a file that is no media seems to be, and what to do, in two sentences."""
    what, _, remedy = _seems(head).partition("; ")
    remedy = remedy or "choose the recording, such as an MP4, MOV, WebM or MKV file"
    return f"This is {what}. {remedy[0].upper()}{remedy[1:]}."


def _seems(head: bytes) -> str:
    if not head:
        return "an empty file; export the recording again"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for prefix, words in _STRANGERS:
        if start.startswith(prefix):
            return words
    if start[:1] == b"<":
        return "a web page or XML, no video"
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # A character may be cut at the end of the head.
        if error.start < len(head) - 4:
            return _UNKNOWN
    return "text, no video" if b"\x00" not in head else _UNKNOWN

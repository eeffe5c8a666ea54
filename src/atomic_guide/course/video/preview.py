"""Small pictures along the seek bar: tiles of a few sheets, bounded whatever a lecture's length. Pure."""

from __future__ import annotations

import math

import msgspec

COLUMNS = 10
ROWS = 10
MOST = 400
"""Tiles of one lecture, four sheets: a lecture of three hours has one for every 27 s and takes about 2 MB."""
_LONGER_SIDE = 160
"""Pixels; a seek bar's bubble is no wider."""
FOLDER = "preview"


class Preview(msgspec.Struct, frozen=True):
    """Tile number n, counted by rows over sheets of `columns` by `rows`, shows the lecture at n * `interval` seconds.

    `width` and `height` are a tile's in pixels; `folder` holds the sheets, `bytes` is their size together.
    """

    interval: float
    count: int
    width: int
    height: int
    sheets: int
    columns: int = COLUMNS
    rows: int = ROWS
    folder: str = FOLDER
    bytes: int = 0


def plan(duration: float, width: int, height: int, least: float) -> Preview:
    """The preview of a picture of some shape; `least` is the shortest time between two tiles, in seconds."""
    interval = max(least, duration / MOST)
    # Muxers round: a last tile of a few hundredths of a second would be black.
    count = max(1, min(MOST, math.ceil(duration / interval - 0.1)))
    scale = _LONGER_SIDE / max(width, height)
    # A shape beyond 10:1 is a stripe; it keeps a side that can be encoded.
    shape = [max(16, round(side * scale / 2) * 2) for side in (width, height)]
    return Preview(round(interval, 3), count, shape[0], shape[1], math.ceil(count / (COLUMNS * ROWS)))


def filters(preview: Preview) -> str:
    """The filters that make the sheets of key frames."""
    return (
        f"fps=1/{preview.interval:g}:eof_action=pass,scale={preview.width}:{preview.height},setsar=1,"
        f"tile={preview.columns}x{preview.rows},format=yuvj420p"
    )


def sheet(number: int) -> str:
    """The file name of a sheet, counted from 0."""
    return f"{number + 1:05d}.jpg"

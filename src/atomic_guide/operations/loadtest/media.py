"""The lecture that load tests upload: two seconds of ffmpeg's own test picture and tone, 160 by 90, H.264 and AAC."""

from __future__ import annotations

from pathlib import Path

VIDEO = Path(__file__).with_name("lecture.mp4").read_bytes()

"""Running ffmpeg: confined, watched, and ended with everything it started.

Each run has its own session and process group, limits set by `confine.py`, an empty environment and a private
working folder. What a file claims is never believed: it is read with a fixed list of protocols (files only),
formats and decoders, its name is ours, and where the kernel can the run sees no other file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import imageio_ffmpeg
import msgspec

from atomic_guide.course.video.containers import DEMUXERS
from atomic_guide.course.video.limits import JOB_MEMORY, JOB_STALL
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.limit import Used

Progress = Callable[[float], Awaitable[None]]

DECODERS = (
    "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,av1,libdav1d,mpeg4,msmpeg4v1,msmpeg4v2,msmpeg4,h263,mpeg1video,mpeg2video,"
    "mpegvideo,theora,flv,vp6,vp6f,wmv1,wmv2,wmv3,vc1,mjpeg,prores,dnxhd,dvvideo,png,rawvideo,"
    "tscc,tscc2,g2m,mss1,mss2,qtrle,cinepak,svq3,ffv1,huffyuv,utvideo,"
    "aac,aac_latm,mp3float,mp3,mp2float,mp2,ac3,eac3,opus,libopus,vorbis,libvorbis,flac,alac,wmav1,wmav2,wmapro,"
    "amrnb,amrwb,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,pcm_u8,"
    "pcm_s8,pcm_alaw,pcm_mulaw,pcm_bluray,adpcm_ima_wav,adpcm_ima_qt,adpcm_ms"
)
"""What phones, cameras, editors and screen recorders write; each decoder less is one less to attack."""

_LAUNCHER = Path(__file__).with_name("confine.py")
_HEAD_LIMIT = 64 * 1024
_TAIL_LIMIT = 16 * 1024
_NICE = 10
_ENDING_SECONDS = 30.0


class Bounds(msgspec.Struct, frozen=True):
    """What one run may take: bytes of address space and of a file, seconds of CPU, of the clock, without progress."""

    memory: int
    cpu: float
    file: int
    wall: float
    stall: float


class Report(msgspec.Struct, frozen=True):
    """How a run ended: exit status (negative: the signal), the beginning and end of what it said, seconds written."""

    status: int
    head: str
    tail: str
    seconds: float

    @property
    def text(self) -> str:
        """All that was kept of its words."""
        return self.head if self.head.endswith(self.tail) else f"{self.head}\n{self.tail}"


class Overrun(Exception):
    """A run was ended by us; `kind` is "wall" or "stall"."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Program:
    """A run under way: its process, what it may take, and when it last moved on (the loop's time)."""

    __slots__ = ("bounds", "moved_at", "pid")

    def __init__(self, pid: int, bounds: Bounds, moved_at: float) -> None:
        self.pid = pid
        self.bounds = bounds
        self.moved_at = moved_at


_running: set[Program] = set()
"""The runs of this process."""


def used() -> Iterator[Used]:
    """How much of its bounds the run uses that is nearest to them."""
    for program in _running:
        yield Used(JOB_MEMORY, _peak(program.pid) / 2**20, most=program.bounds.memory / 2**20)
        yield Used(JOB_STALL, asyncio.get_running_loop().time() - program.moved_at, most=program.bounds.stall)


def _peak(pid: int) -> int:
    """The most address space that a process has had, in bytes; 0 where the system does not say."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmPeak:"):
                return int(line.split()[1]) * 1024
    return 0


class Ffmpeg:
    """The program and its standing arguments; `memory_mb` is the address space that one run of it may take."""

    def __init__(self, settings: VideoSettings, memory_mb: int = 4096) -> None:
        self._settings = settings
        self._memory = memory_mb * 2**20
        self._program = settings.ffmpeg or imageio_ffmpeg.get_ffmpeg_exe()

    def source(self, path: Path, start: float = 0.0) -> list[str]:
        """Arguments that open a source file, read from `start` seconds on."""
        settings = self._settings
        return [
            *("-protocol_whitelist", "file", "-format_whitelist", DEMUXERS, "-codec_whitelist", DECODERS),
            *("-max_streams", str(settings.max_streams), "-max_pixels", str(settings.max_pixels)),
            *("-threads", str(settings.threads), "-ss", f"{start:.3f}", "-i", f"file:{path.absolute()}"),
        ]

    def made(self, path: Path) -> list[str]:
        """Arguments that open a rendition of ours: a playlist or one of its segments. Only files, and only these."""
        # Without a number there is a decoder's thread for each core, each with memory of its own.
        threads = ("-threads", str(self._settings.threads))
        # It works in a folder of its own, where a path below a data directory such as ./var leads nowhere.
        name = f"file:{path.absolute()}"
        return ["-protocol_whitelist", "file", "-format_whitelist", "hls,mov,mp4,m4a", *threads, "-i", name]

    def bounds(self, duration: float) -> Bounds:
        """What a run over `duration` seconds of media may take."""
        settings = self._settings
        cpu = 300 + duration * settings.cpu_seconds_per_second
        return Bounds(self._memory, cpu, 2 * settings.max_bytes, 2 * cpu, settings.stall_seconds)

    async def run(
        self, arguments: list[str], source: Path, folder: Path, bounds: Bounds, progress: Progress | None = None
    ) -> Report:
        """Run it over `source` (a file or a folder) in `folder`.

        `progress` is told the seconds of media written, about twice a second.
        Raises `Overrun`. However this ends, no process of the run is left.
        """
        limits = (os.getpid(), bounds.memory, int(bounds.cpu), bounds.file, _NICE, source)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_LAUNCHER), *map(str, limits), "--"),
            *(self._program, "-hide_banner", "-nostdin", "-nostats", "-progress", "pipe:1", "-stats_period", "0.5"),
            *arguments,
            cwd=folder,
            env={"LC_ALL": "C", "HOME": str(folder), "TMPDIR": str(folder)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None  # noqa: S101 - asked for above
        assert process.stderr is not None  # noqa: S101 - as above
        words = asyncio.create_task(_listen(process.stderr))
        program = Program(process.pid, bounds, asyncio.get_running_loop().time())
        _running.add(program)
        try:
            seconds = await self._watch(process.stdout, program, progress)
            # It has closed its output, so it is at its end; one that is not has lost its way.
            async with asyncio.timeout(_ENDING_SECONDS):
                await process.wait()
                head, tail = await words
            return Report(process.returncode or 0, head, tail, seconds)
        except TimeoutError as error:
            raise Overrun("stall") from error
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.shield(process.wait())
            words.cancel()
            _running.discard(program)

    async def _watch(self, stdout: asyncio.StreamReader, program: Program, progress: Progress | None) -> float:
        """Follow the progress lines to their end; the seconds of media written. Raises `Overrun`."""
        loop = asyncio.get_running_loop()
        bounds, seconds = program.bounds, 0.0
        ends_at = loop.time() + bounds.wall
        while True:
            stalls_at = program.moved_at + bounds.stall
            try:
                async with asyncio.timeout_at(min(ends_at, stalls_at)):
                    line = await stdout.readline()
            except TimeoutError:
                raise Overrun("wall" if loop.time() >= ends_at else "stall") from None
            if not line:
                return seconds
            name, _, value = line.decode("ascii", "replace").strip().partition("=")
            if name == "out_time_us" and value.lstrip("-").isdigit() and int(value) / 1e6 > seconds:
                seconds, program.moved_at = int(value) / 1e6, loop.time()
                if progress is not None:
                    await progress(seconds)


async def _listen(stderr: asyncio.StreamReader) -> tuple[str, str]:
    """The beginning and the end of a stream of any length."""
    head, tail = b"", b""
    while chunk := await stderr.read(8192):
        if len(head) < _HEAD_LIMIT:
            head += chunk
        tail = (tail + chunk)[-_TAIL_LIMIT:]
    return head[:_HEAD_LIMIT].decode("utf-8", "replace"), tail.decode("utf-8", "replace")

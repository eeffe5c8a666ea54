"""The pure parts of lecture videos: file kinds, reports, qualities, reasons, captions, chapters."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.course.video import reasons
from atomic_guide.course.video.captions import check_captions, check_language, label_of
from atomic_guide.course.video.chapters import Chapter, check_chapters
from atomic_guide.course.video.containers import container_of, describe
from atomic_guide.course.video.ladder import ladder
from atomic_guide.course.video.probe import Picture, read_report
from atomic_guide.course.video.upload import checked_title, shown_filename
from atomic_guide.errors import Invalid

HEIGHTS = (480, 720, 1080)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "empty"),
        (b"#EXTM3U\n#EXT-X-VERSION:3\n", "playlist"),
        (b"\xef\xbb\xbf#EXTM3U\n", "playlist"),
        (b"  \r\n#EXTM3U", "playlist"),
        (b"ffconcat version 1.0\nfile /etc/passwd", "playlist"),
        (b"<!DOCTYPE html>", "web page"),
        (b"hello, this is no video", "text"),
        ("Grüße".encode(), "text"),
        ("#EXTM3U".encode("utf-16"), "no video"),
        (b"PK\x03\x04....", "ZIP"),
        (b"%PDF-1.7", "PDF"),
        (b"\x89PNG\r\n", "picture"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "no video"),
        (b"\x00" * 600, "no video"),
    ],
)
def test_what_is_no_media_is_named(head: bytes, words: str) -> None:
    assert container_of(head) is None
    assert words in describe(head)


@pytest.mark.parametrize(
    ("head", "container"),
    [
        (b"\x00\x00\x00\x18ftypisom", "mov"),
        (b"\x00\x00\x00\x08wide\x00\x00\x00\x00mdat", "mov"),
        (b"\x1aE\xdf\xa3\x9fB\x86", "matroska"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "avi"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "wav"),
        (b"OggS\x00\x02", "ogg"),
        ((b"G" + b"\xff" * 187) * 3, "mpegts"),
        ((b"\0\0\0\0G" + b"\xff" * 187) * 3, "mpegts"),
        (b"ID3\x04\x00", "mp3"),
        (b"\xff\xfb\x90\x00", "mp3"),
    ],
)
def test_media_is_known_by_its_first_bytes(head: bytes, container: str) -> None:
    assert container_of(head) == container


@given(st.binary(max_size=600))
def test_any_first_bytes_get_an_answer(head: bytes) -> None:
    assert container_of(head) or describe(head)


def test_a_turned_phone_video_is_upright() -> None:
    report = (
        "Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:x':\n  Duration: 00:01:02.50, start: 0.000000, bitrate: 1 kb/s\n"
        "  Stream #0:0[0x1](und): Video: hevc (Main) (hvc1 / 0x31637668), yuv420p(tv), 1920x1080, 9000 kb/s, 29.97 fps,"
        " 29.97 tbr, 600 tbn (default)\n    Side data:\n      Display Matrix: rotation of -90.00 degrees\n"
        "  Stream #0:1[0x2](und): Audio: aac (LC) (mp4a / 0x6134706D), 44100 Hz, mono, fltp, 69 kb/s (default)\n"
    )
    source = read_report(report)
    assert source.duration == 62.5
    assert source.picture == Picture("hevc", 1080, 1920, 29.97)
    assert source.sound == "aac"


def test_square_pixels_are_what_counts() -> None:
    line = "  Stream #0:0[0x100]: Video: mpeg2video (Main), yuv420p(tv), 720x576 [SAR 64:45 DAR 16:9], 25 fps, 25 tbr"
    picture = read_report(line).picture
    assert picture is not None
    assert (picture.width, picture.height) == (1024, 576)


def test_metadata_cannot_pose_as_a_stream() -> None:
    report = "    title           : x\n                    :   Stream #0:0: Video: h264, yuv420p, 99999x99999, 25 fps\n"
    assert read_report(report).picture is None


def test_cover_art_is_no_picture() -> None:
    report = (
        "  Duration: 00:00:03.00, start: 0.0, bitrate: 65 kb/s\n"
        "  Stream #0:0: Audio: mp3 (mp3float), 44100 Hz, mono, fltp, 64 kb/s\n"
        "  Stream #0:1: Video: mjpeg (Baseline), yuvj420p(pc), 500x500, 90k tbr, 90k tbn (attached pic)\n"
    )
    source = read_report(report)
    assert (source.picture, source.sound) == (None, "mp3")


def test_a_missing_duration_and_absurd_frame_rates_are_taken_calmly() -> None:
    report = "  Duration: N/A, start: 0.0\n  Stream #0:0: Video: vp8, yuv420p, 640x360, 1k fps, 1k tbr, 1k tbn\n"
    source = read_report(report)
    assert source.duration is None
    assert source.picture is not None
    assert source.picture.rate == 30


@pytest.mark.parametrize(
    ("size", "names"),
    [
        ((1920, 1080), ["480p", "720p", "1080p"]),
        ((3840, 2160), ["480p", "720p", "1080p"]),
        ((1280, 720), ["480p", "720p"]),
        ((1080, 1920), ["480p", "720p", "1080p"]),
        ((854, 480), ["240p", "480p"]),
        ((640, 360), ["180p", "360p"]),
        ((1280, 800), ["480p", "800p"]),
        ((160, 120), ["120p-lean", "120p"]),
        ((321, 241), ["120p", "241p"]),
    ],
)
def test_qualities_go_up_to_the_source(size: tuple[int, int], names: list[str]) -> None:
    rungs = ladder(Picture("h264", *size, 25.0), HEIGHTS)
    assert [rung.name for rung in rungs] == names


@given(st.integers(1, 8000), st.integers(1, 8000))
def test_every_source_gets_two_qualities_of_even_size(width: int, height: int) -> None:
    rungs = ladder(Picture("h264", width, height, 25.0), HEIGHTS)
    assert len({rung.name for rung in rungs}) == len(rungs) >= 2
    for rung in rungs:
        assert rung.width % 2 == rung.height % 2 == 0
        assert 2 <= rung.width <= max(2, width + 1)
        assert 2 <= rung.height <= max(2, height + 1)


def test_a_lecture_without_a_picture_gets_two_sounds() -> None:
    assert [rung.name for rung in ladder(None, HEIGHTS)] == ["audio-64k", "audio-128k"]


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("[mov] moov atom not found", "The file stops in the middle: its index is missing."),
        ("Picture size 9x9 exceeds specified max pixel count 1", "The picture is larger than what is accepted here."),
        ("[in#0] Format not on whitelist 'mov'", "The file is not a video or audio file that is known here."),
        ("nobody has seen this", "The file cannot be converted."),
    ],
)
def test_a_reason_is_a_cause_and_a_remedy(words: str, cause: str) -> None:
    reason = reasons.reason_for(words)
    assert reason.startswith(cause)
    assert len(reason) > len(cause) + 10


def test_lengths_are_told_as_people_say_them() -> None:
    assert "1 h 2 min" in reasons.too_long(3725, 60)
    assert "5 s of 1 min 30 s" in reasons.cut_off(5, 90)


GOOD = (
    b"WEBVTT - lecture 7\n\nNOTE by hand\n\nintro\n00:01.000 --> 00:04.000 align:start\nHello\n\n"
    b"00:00:04.000 --> 00:05.500\nWorld\n"
)


def test_good_captions_are_counted() -> None:
    assert check_captions(GOOD) == 2
    assert check_captions(b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n")) == 2


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"1\n00:00:01,000 --> 00:00:02,000\nSRT\n", 1, "WEBVTT"),
        (b"WEBVTT\n\n00:01.000 -> 00:02.000\nx\n", 3, "times"),
        (b"WEBVTT\n\n00:01,000 --> 00:02,000\nx\n", 3, "times"),
        (b"WEBVTT\n\n00:05.000 --> 00:02.000\nx\n", 3, "ends before"),
        (b"WEBVTT\n\n00:05.000 --> 00:06.000\nx\n\n00:01.000 --> 00:02.000\ny\n", 6, "one above"),
        (b"WEBVTT\n\n00:05.000 --> 00:06.000 colour:red\nx\n", 3, "cue setting"),
        (b"WEBVTT\n\n00:05.000 --> 00:06.000\nx\n00:07.000 --> 00:08.000\ny\n", 5, "blank line"),
        (b"WEBVTT\n00:05.000 --> 00:06.000\nx\n", 2, "blank line"),
        (b"WEBVTT\n\nNOTE nothing\n", 4, "no cue"),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\n\xff\xfe\n", 4, "UTF-8"),
        (b"WEBVTT\n\n" + b"9" * 5000 + b":00:01.000 --> " + b"9" * 5001 + b":00:02.000\nx\n", 3, "times"),
        (b"", 1, "WEBVTT"),
    ],
)
def test_bad_captions_are_refused_with_their_line(content: bytes, line: int, words: str) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        check_captions(content)
    assert refused.value.details == {"line": line}


@given(st.binary(max_size=300))
def test_any_caption_file_is_taken_or_refused(content: bytes) -> None:
    try:
        assert check_captions(b"WEBVTT\n\n" + content) > 0
    except Invalid as refused:
        line = refused.details["line"]
    else:
        line = 1
    assert line >= 1


@pytest.mark.parametrize(
    ("text", "tag", "label"),
    [
        ("EN", "en", "English"),
        ("pt-br", "pt-BR", "Português (BR)"),
        ("zh-hANT", "zh-Hant", "中文 (Hant)"),
        ("ar", "ar", "العربية"),
    ],
)
def test_languages_are_written_as_usual(text: str, tag: str, label: str) -> None:
    assert check_language(text) == tag
    assert label_of(tag) == label


@pytest.mark.parametrize("text", ["", "e", "english", "../en", "en_US", "en-", "x" * 200])
def test_what_is_no_language_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        check_language(text)


def test_chapters_come_back_in_order() -> None:
    chapters = [Chapter(60.0, " Second  part "), Chapter(0.0, "First")]
    assert check_chapters(chapters, 100.0) == [Chapter(0.0, "First"), Chapter(60.0, "Second part")]


@pytest.mark.parametrize(
    "chapters",
    [
        [Chapter(0.0, "")],
        [Chapter(0.0, "x" * 201)],
        [Chapter(-1.0, "x")],
        [Chapter(float("nan"), "x")],
        [Chapter(100.0, "x")],
        [Chapter(1.0, "x"), Chapter(1.0, "y")],
        [Chapter(float(start), "x") for start in range(201)],
    ],
)
def test_chapters_that_cannot_be_are_refused(chapters: list[Chapter]) -> None:
    with pytest.raises(Invalid):
        check_chapters(chapters, 100.0 if len(chapters) < 200 else 1000.0)


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\film.mp4", "film.mp4"),
        ("a\x00b\r\n.mp4", "ab.mp4"),
        ("", "video"),
        ("..", ".."),
        ("x" * 500 + ".mp4", "x" * 196 + ".mp4"),
    ],
)
def test_a_clients_file_name_is_for_showing_only(given_name: str, shown: str) -> None:
    assert shown_filename(given_name) == shown


@pytest.mark.parametrize("title", ["", " \n ", "x" * 301])
def test_titles_have_bounds(title: str) -> None:
    with pytest.raises(Invalid):
        checked_title(title)


def test_a_title_is_one_line() -> None:
    title: Any = checked_title("  Waves\r\nand\tOptics\u2028 7 ")
    assert title == "Waves and Optics 7"

"""A lecture from its upload to its removal: the real application, ffmpeg, databases and store."""

import asyncio
import re
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.policy import HTTP
from pathlib import Path
from typing import Any

import httpx
import pytest

from atomic_guide.clock import ManualClock, SystemClock
from atomic_guide.course.keeping.holds import Holds
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.engines.assets.sign import SigningSettings
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.queues.deadletter import DeadLetters
from tests import media
from tests.media import Studio

INTERRUPT = parse_queries(
    """
-- name: interrupt
-- purpose: Leave a video as a failure after its first rendition does.
UPDATE videos SET status = 'playable', reason = 'The disk was full.' WHERE id = :id
""",
    "here",
)

VTT = "WEBVTT\n\n00:00.000 --> 00:01.000\nWaves, größer\n"


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="session")
def lecture(clips: Path) -> bytes:
    return media.clip(clips / "lecture.mp4").read_bytes()


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Studio]:
    async with media.opened(tmp_path) as studio:
        yield studio


async def ready(studio: Studio, client: httpx.AsyncClient, content: bytes, state: str = "ready") -> dict[str, Any]:
    """Upload, process, and wait for a state."""
    video = await media.upload(client, content)
    async with studio.working():
        return await media.until(client, video, state)


def stranger(studio: Studio) -> httpx.AsyncClient:
    """A client without a session."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(studio.app), base_url="http://tool.test")


async def variants(client: httpx.AsyncClient, playback: str) -> dict[str, list[httpx.URL]]:
    """Every file of every variant playlist, by the variant's name."""
    master = httpx.URL(playback)
    found: dict[str, list[httpx.URL]] = {}
    for name in re.findall(r"^[^#].*$", (await client.get(master)).text, re.MULTILINE):
        playlist = (await client.get(master.join(name))).text
        names = re.findall(r'URI="([^"]+)"', playlist) + re.findall(r"^[^#].*$", playlist, re.MULTILINE)
        found[name] = [master.join(name).join(one) for one in names]
    return found


async def test_an_uploaded_mp4_plays_as_hls(studio: Studio, lecture: bytes, tmp_path: Path) -> None:
    teacher = await studio.enter()
    shown = await ready(studio, teacher, lecture)
    assert [one["name"] for one in shown["renditions"]] == ["180p", "360p"]
    assert shown["duration"] == pytest.approx(2, abs=0.1)
    assert (shown["progress"], shown["position"], shown["reason"]) == (1, None, None)
    assert {step["name"]: step["state"] for step in shown["steps"]} == {
        "received": "done",
        "checked": "done",
        "poster": "done",
        "180p": "done",
        "preview": "done",
        "360p": "done",
        "captions": "waiting",
    }
    player = stranger(studio)
    for files in (await variants(player, shown["playback"])).values():
        assert len(files) >= 2
        whole = b"".join([(await player.get(file)).content for file in files])
        (tmp_path / "whole.mp4").write_bytes(whole)
        media.ffmpeg("-xerror", "-i", str(tmp_path / "whole.mp4"), "-f", "null", "-")
    master = (await player.get(shown["playback"])).text
    assert re.search(r'BANDWIDTH=\d+,AVERAGE-BANDWIDTH=\d+,RESOLUTION=320x180,CODECS="avc1\.64[0-9a-f]{4},mp4a', master)
    poster = await player.get(shown["poster"])
    assert (poster.headers["content-type"], poster.content[:3]) == ("image/jpeg", b"\xff\xd8\xff")


async def test_key_frames_of_all_qualities_stand_at_the_same_times(tmp_path: Path, clips: Path) -> None:
    path = media.clip(clips / "long.mp4", seconds=7, extra=("-g", "70"))
    async with media.opened(tmp_path, settings=VideoSettings(segment_seconds=2)) as studio:
        teacher = await studio.enter()
        shown = await ready(studio, teacher, path.read_bytes())
        player = stranger(studio)
        lengths = [
            re.findall(r"#EXTINF:([\d.]+)", (await player.get(files[0].join("index.m3u8"))).text)
            for files in (await variants(player, shown["playback"])).values()
        ]
    assert lengths[0] == lengths[1]
    assert [round(float(length), 1) for length in lengths[0]] == [2, 2, 2, 1]


async def test_the_uploader_hears_progress_and_the_room_hears_what_is_new_to_watch(
    studio: Studio, lecture: bytes
) -> None:
    teacher = await studio.enter()
    shown = await ready(studio, teacher, lecture)
    frames = [frame for frame in studio.heard.frames if frame["id"] == shown["id"]]
    own = [frame["progress"] for frame in frames]
    assert own == sorted(own)
    assert [frame["status"] for frame in frames if frame["user"] is None] == ["playable", "ready"]
    assert {frame["user"] for frame in frames} == {None, "teacher"}


@pytest.mark.parametrize(
    ("name", "arguments", "size"),
    [
        ("turned.mp4", ("-display_rotation", "90", "-i", "lecture.mp4", "-c", "copy"), (360, 640)),
        ("mute.webm", ("-f", "lavfi", "-i", "testsrc2=s=322x242:r=30:d=1", "-c:v", "libvpx"), (322, 242)),
        ("uneven.mkv", ("-f", "lavfi", "-i", "testsrc2=s=321x241:d=1", "-c:v", "ffv1", "-c:v", "mpeg4"), (320, 240)),
        ("paced.mp4", ("-i", "lecture.mp4", "-vf", "select='not(mod(n,7))'", "-fps_mode", "vfr"), (640, 360)),
        ("wide.ts", ("-f", "lavfi", "-i", "testsrc2=s=720x576:d=1,setsar=64/45", "-c:v", "mpeg2video"), (1024, 576)),
    ],
)
async def test_what_recorders_make_is_shown_upright_and_whole(
    studio: Studio, lecture: bytes, clips: Path, name: str, arguments: tuple[str, ...], size: tuple[int, int]
) -> None:
    arguments = tuple(str(clips / part) if part == "lecture.mp4" else part for part in arguments)
    media.ffmpeg(*arguments, str(clips / name))
    teacher = await studio.enter()
    shown = await ready(studio, teacher, (clips / name).read_bytes())
    best = shown["renditions"][-1]
    assert (best["width"], best["height"]) == size


async def test_a_recording_that_names_no_duration_gets_one(studio: Studio, lecture: bytes, clips: Path) -> None:
    live = clips / "live.mkv"
    media.ffmpeg("-i", str(clips / "lecture.mp4"), "-c", "copy", "-live", "1", "-f", "matroska", str(live))
    teacher = await studio.enter()
    shown = await ready(studio, teacher, live.read_bytes())
    assert shown["duration"] == pytest.approx(2, abs=0.2)


async def test_a_lecture_of_sound_alone_can_be_heard(studio: Studio, clips: Path) -> None:
    media.ffmpeg("-f", "lavfi", "-i", "sine=d=2", "-c:a", "aac", str(clips / "sound.m4a"))
    teacher = await studio.enter()
    shown = await ready(studio, teacher, (clips / "sound.m4a").read_bytes())
    assert [one["height"] for one in shown["renditions"]] == [0, 0]
    assert (await stranger(studio).get(shown["poster"])).status_code == 200


@pytest.mark.parametrize("share", [0.3, 0.7])
@pytest.mark.parametrize(("start", "words"), [(False, "its index is missing"), (True, "stops in the middle: ")])
async def test_a_cut_off_file_fails_with_a_reason_and_a_dead_letter(
    studio: Studio, lecture: bytes, clips: Path, *, share: float, start: bool, words: str
) -> None:
    content = lecture
    if start:
        media.ffmpeg("-i", str(clips / "lecture.mp4"), "-c", "copy", "-movflags", "faststart", str(clips / "fast.mp4"))
        content = (clips / "fast.mp4").read_bytes()
    teacher = await studio.enter()
    shown = await ready(studio, teacher, content[: int(len(content) * share)], "failed")
    assert words in shown["reason"]
    assert shown["reason"].count(". ") >= 1, "the remedy follows the cause"
    assert {"name": "checked", "state": "failed"} in shown["steps"]
    ((letter,), _) = await DeadLetters(studio.shards).list()
    assert (letter.subject, letter.reason) == (shown["id"], shown["reason"])
    assert (await (await studio.enter("learner", "s1")).get("/api/video")).json()["videos"] == []


async def test_a_failed_video_can_be_tried_again(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    shown = await ready(studio, teacher, lecture[:50_000], "failed")
    for _ in range(2):
        again = await teacher.post(f"/api/video/{shown['id']}/retry", headers={"Idempotency-Key": "once"})
        assert (again.status_code, again.json()["status"]) == (202, "queued")
    assert (await teacher.post(f"/api/video/{shown['id']}/retry")).status_code == 409
    async with studio.working():
        await media.until(teacher, shown["id"], "failed")
    assert len((await DeadLetters(studio.shards).list()).letters) == 1


async def test_a_video_that_plays_but_lacks_qualities_can_be_tried_again(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    shown = await ready(studio, teacher, lecture)

    async def interrupt(tx: Transaction) -> None:
        await tx.execute(INTERRUPT["interrupt"], {"id": shown["id"]})

    await studio.shards.of(studio.key()).write(interrupt)
    again = await teacher.post(f"/api/video/{shown['id']}/retry")
    assert (again.status_code, again.json()["status"]) == (202, "playable")
    async with studio.working():
        found = await media.until(teacher, shown["id"], "ready")
    assert (found["reason"], found["renditions"]) == (None, shown["renditions"])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (VideoSettings(max_duration=1), "at most 1 s are accepted"),
        (VideoSettings(max_pixels=10_000), "larger than what is accepted"),
        (VideoSettings(max_streams=1), "too many streams"),
        (VideoSettings(ffmpeg="/bin/false"), "cannot be converted"),
    ],
)
async def test_a_file_beyond_the_limits_fails_with_a_reason(
    tmp_path: Path, lecture: bytes, settings: VideoSettings, words: str
) -> None:
    async with media.opened(tmp_path, settings=settings) as studio:
        teacher = await studio.enter()
        shown = await ready(studio, teacher, lecture, "failed")
    assert words in shown["reason"]


async def test_learners_see_what_can_be_watched_and_no_more(studio: Studio, lecture: bytes) -> None:
    teacher, learner = await studio.enter(), await studio.enter("learner", "s1")
    other = await studio.enter("instructor", "t2", context="course-2")
    foreign = await studio.enter("instructor", "teacher", tenant="t-other")
    waiting = await media.upload(teacher, lecture, "Not yet")
    assert (await learner.get(f"/api/video/{waiting}")).status_code == 404
    assert (await learner.get("/api/video")).json()["videos"] == []
    listed = (await teacher.get("/api/video")).json()
    assert [(one["id"], one["position"]) for one in listed["videos"]] == [(waiting, 0)]
    assert listed["space"]["used"] == len(lecture)
    async with studio.working():
        await media.until(teacher, waiting, "ready")
    assert (await learner.get(f"/api/video/{waiting}")).json()["playback"]
    for outsider in (other, foreign):
        assert (await outsider.get(f"/api/video/{waiting}")).status_code == 404
        assert (await outsider.get("/api/video")).json()["videos"] == []
        assert (await outsider.delete(f"/api/video/{waiting}")).status_code == 404
    refused = [
        await learner.delete(f"/api/video/{waiting}"),
        await learner.put(f"/api/video/{waiting}/captions/en", content=VTT, headers={"Content-Type": "text/vtt"}),
        await learner.put(f"/api/video/{waiting}/chapters", json={"chapters": []}),
        await learner.post("/api/video/upload", files={"file": ("a.mp4", lecture)}),
    ]
    assert [answer.status_code for answer in refused] == [403] * 4


async def test_a_wrong_or_expired_address_is_refused(tmp_path: Path, lecture: bytes) -> None:
    clock = ManualClock(SystemClock().now())
    async with media.opened(tmp_path, clock=clock, signing=SigningSettings(life_seconds=60)) as studio:
        teacher = await studio.enter()
        first = await media.upload(teacher, lecture)
        second = await media.upload(teacher, lecture)
        async with studio.working():
            shown = await media.until(teacher, first, "ready")
            await media.until(teacher, second, "ready")
        player = stranger(studio)
        playback = shown["playback"]
        _, _, _, _, signed, video, name = playback.split("/")
        body, _, signature = signed.partition(".")
        wrong = [
            playback.replace(first, second),
            playback.replace(signature, signature[:-2] + ("AA" if signature[-2:] != "AA" else "BB")),
            playback.replace(body, body[:-2]),
            f"/api/video/play/x/{video}/{name}",
            f"/api/video/play/{body}./{video}/{name}",
        ]
        assert [(await player.get(address)).status_code for address in wrong] == [403] * len(wrong)
        segment = (await variants(player, playback))["360p/index.m3u8"][1]
        assert (await player.get(segment)).status_code == 200
        clock.advance(200)
        for address in (playback, segment, shown["poster"]):
            answer = await player.get(address)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")


async def test_only_files_of_the_video_are_served(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    shown = await ready(studio, teacher, lecture)
    base = shown["playback"].removesuffix("master.m3u8")
    names = ["source", "../x/source", "%2e%2e/source", "360p/../source", "360p/index.m3u8/", "360p", "captions/en.vtt"]
    player = stranger(studio)
    answers = [await player.get(base + name) for name in names]
    assert {answer.status_code for answer in answers} <= {403, 404}
    assert {answer.json()["error"]["code"] for answer in answers} <= {"FORBIDDEN", "NOT_FOUND"}


async def test_ranges_and_conditions_are_honoured(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    shown = await ready(studio, teacher, lecture)
    player = stranger(studio)
    segment = (await variants(player, shown["playback"]))["360p/index.m3u8"][1]
    whole = await player.get(segment)
    size = len(whole.content)
    assert whole.headers["cache-control"].startswith("private")
    part = await player.get(segment, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{size}"
    tail = await player.get(segment, headers={"Range": "bytes=-5"})
    assert tail.content == whole.content[-5:]
    several = await player.get(segment, headers={"Range": "bytes=-5,0-9,300-399,350-449"})
    assert several.status_code == 206
    assert "content-range" not in several.headers
    assert int(several.headers["content-length"]) == len(several.content)
    kind = several.headers["content-type"].encode()
    _, *pieces = message_from_bytes(b"Content-Type: " + kind + b"\r\n\r\n" + several.content, policy=HTTP).walk()
    assert [(one["content-type"], one["content-range"], one.get_payload(decode=True)) for one in pieces] == [
        (whole.headers["content-type"], f"bytes {start}-{end - 1}/{size}", whole.content[start:end])
        for start, end in ((size - 5, size), (0, 10), (300, 450))
    ]
    many = await player.get(segment, headers={"Range": "bytes=" + ",".join(["0-"] * 5000)})
    assert (many.status_code, len(many.content)) == (200, size), "no more than a plain request"
    outside = await player.get(segment, headers={"Range": f"bytes={size}-"})
    assert (outside.status_code, outside.headers["content-range"]) == (416, f"bytes */{size}")
    stale = await player.get(segment, headers={"Range": "bytes=0-1", "If-Range": '"other"'})
    assert stale.status_code == 200
    for address in (segment, shown["playback"]):
        etag = (await player.get(address)).headers["etag"]
        assert (await player.get(address, headers={"If-None-Match": etag})).status_code == 304
    head = await player.head(segment, headers={"Range": "bytes=0-1"})
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")


async def test_captions_are_stored_served_replaced_and_removed(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    shown = await ready(studio, teacher, lecture)
    address = f"/api/video/{shown['id']}/captions"
    kind = {"Content-Type": "text/vtt; charset=utf-8"}
    put = await teacher.put(f"{address}/en", content=VTT.encode(), headers=kind)
    assert (put.status_code, put.json()["label"]) == (200, "English")
    await teacher.put(f"{address}/AR", content=VTT.encode(), headers=kind)
    shown = (await teacher.get(f"/api/video/{shown['id']}")).json()
    assert [one["lang"] for one in shown["captions"]] == ["ar", "en"]
    assert {"name": "captions", "state": "done"} in shown["steps"]
    served = await stranger(studio).get(shown["captions"][0]["url"])
    assert (served.text, served.headers["content-type"]) == (VTT, "text/vtt; charset=utf-8")
    await teacher.put(f"{address}/en", content=VTT.replace("Waves", "Optics").encode(), headers=kind)
    assert "Optics" in (await stranger(studio).get(put.json()["url"])).text
    assert (await teacher.delete(f"{address}/en")).status_code == 204
    assert (await teacher.delete(f"{address}/en")).status_code == 404
    assert (await stranger(studio).get(put.json()["url"])).status_code == 404


@pytest.mark.parametrize(
    ("lang", "content", "kind", "status"),
    [
        ("en", b"1\n00:00:01,000 --> 00:00:02,000\nSRT\n", "text/vtt", 400),
        ("english!", VTT.encode(), "text/vtt", 400),
        ("..%2Fx", VTT.encode(), "text/vtt", 404),
        ("en", VTT.encode(), "text/plain", 415),
        ("en", b"WEBVTT\n\n" + b"x" * 5_000_000, "text/vtt", 413),
    ],
)
async def test_captions_that_cannot_be_used_are_refused(
    studio: Studio, lecture: bytes, lang: str, content: bytes, kind: str, status: int
) -> None:
    teacher = await studio.enter()
    video = await media.upload(teacher, lecture)
    address = f"/api/video/{video}/captions/{lang}"
    answer = await teacher.put(address, content=content, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert (await teacher.get(f"/api/video/{video}")).json()["captions"] == []


async def test_chapters_are_kept_in_order(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    video = await media.upload(teacher, lecture)
    chapters = [{"start": 1.5, "title": "Optics"}, {"start": 0, "title": "Waves"}]
    assert (await teacher.put(f"/api/video/{video}/chapters", json={"chapters": chapters})).status_code == 200
    shown = (await teacher.get(f"/api/video/{video}")).json()
    assert [one["title"] for one in shown["chapters"]] == ["Waves", "Optics"]
    wrong = await teacher.put(f"/api/video/{video}/chapters", json={"chapters": [{"start": 0, "title": ""}]})
    assert (wrong.status_code, wrong.json()["error"]["details"]) == (400, {"chapter": 1})


async def test_the_room_hears_of_captions_chapters_and_removal(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    video = (await ready(studio, teacher, lecture))["id"]
    studio.heard.frames.clear()
    address, kind = f"/api/video/{video}", {"Content-Type": "text/vtt"}
    await teacher.put(f"{address}/captions/en", content=VTT.encode(), headers=kind)
    await teacher.put(f"{address}/chapters", json={"chapters": [{"start": 0, "title": "Start"}]})
    await teacher.delete(f"{address}/captions/en")
    await teacher.delete(address)
    told = [(frame["id"], frame["status"], frame["user"]) for frame in studio.heard.frames]
    assert told == [(video, "ready", None)] * 3 + [(video, "deleted", None)]


async def test_where_captions_are_required_learners_see_a_lecture_once_it_has_some(
    studio: Studio, lecture: bytes
) -> None:
    teacher, learner = await studio.enter(), await studio.enter("learner", "s1")
    video = (await ready(studio, teacher, lecture))["id"]
    rules = {"captions_required": True}
    assert (await learner.put("/api/video/rules", json=rules)).status_code == 403
    assert (await teacher.put("/api/video/rules", json=rules)).json() == rules
    listed = (await teacher.get("/api/video")).json()
    assert (listed["rules"], listed["videos"][0]["withheld"]) == (rules, "captions missing")
    assert (await learner.get("/api/video")).json()["videos"] == []
    assert (await learner.get(f"/api/video/{video}")).status_code == 404
    other = await studio.enter("instructor", "t2", context="course-2")
    assert (await other.get("/api/video")).json()["rules"] == {"captions_required": False}
    address = f"/api/video/{video}/captions/en"
    await teacher.put(address, content=VTT.encode(), headers={"Content-Type": "text/vtt"})
    shown = (await learner.get(f"/api/video/{video}")).json()
    assert (shown["withheld"], [one["lang"] for one in shown["captions"]]) == (None, ["en"])
    await teacher.delete(address)
    assert (await learner.get(f"/api/video/{video}")).status_code == 404
    await teacher.put("/api/video/rules", json={"captions_required": False})
    assert (await learner.get(f"/api/video/{video}")).json()["playback"]


@pytest.mark.parametrize("scope", ["tenant", "course", "person"])
async def test_a_video_under_legal_hold_cannot_be_deleted(studio: Studio, lecture: bytes, scope: str) -> None:
    teacher = await studio.enter()
    video = await media.upload(teacher, lecture)
    key, holds = studio.key(), Holds(studio.shards.directory, SystemClock())
    course, person = key.course if scope == "course" else "", "teacher" if scope == "person" else ""
    await holds.add(key.tenant, "" if person else studio.key("course-2").course, "u9" if person else "", "case 10")
    hold = await holds.add(key.tenant, course, person, "case 11")
    refused = await teacher.delete(f"/api/video/{video}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONFLICT")
    assert "case 11" not in refused.text
    await holds.lift(hold.id)
    assert (await teacher.delete(f"/api/video/{video}")).status_code == 204


async def test_a_deleted_video_leaves_nothing(studio: Studio, lecture: bytes, tmp_path: Path) -> None:
    teacher = await studio.enter()
    shown = await ready(studio, teacher, lecture)
    kind = {"Content-Type": "text/vtt"}
    await teacher.put(f"/api/video/{shown['id']}/captions/en", content=VTT.encode(), headers=kind)
    assert (await teacher.delete(f"/api/video/{shown['id']}")).status_code == 204
    assert [path for path in (tmp_path / "objects").rglob("*") if path.is_file()] == []
    for address in (shown["playback"], shown["poster"], f"/api/video/{shown['id']}"):
        assert (await teacher.get(address)).status_code == 404
    listed = (await teacher.get("/api/video")).json()
    assert (listed["videos"], listed["space"]) == ([], {"used": 0, "limit": 50 * 10**9})
    assert (await teacher.delete(f"/api/video/{shown['id']}")).status_code == 404


async def test_deleting_while_it_is_processed_stops_that_and_leaves_nothing(
    studio: Studio, clips: Path, tmp_path: Path
) -> None:
    path = media.clip(clips / "busy.mp4", size="960x540", seconds=12)
    teacher = await studio.enter()
    video = await media.upload(teacher, path.read_bytes())
    async with studio.working() as worker:
        await media.until(teacher, video, "processing", "playable")
        assert (await teacher.delete(f"/api/video/{video}")).status_code == 204
        for _ in range(200):
            if not worker.running:
                break
            await asyncio.sleep(0.05)
        assert worker.running == 0
    files = [path for folder in ("objects", "work") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert files == []


async def test_a_stopped_worker_hands_a_video_back_and_the_next_makes_only_what_is_missing(
    studio: Studio, clips: Path, tmp_path: Path
) -> None:
    path = media.clip(clips / "resumed.mp4", size="960x540", seconds=8)
    teacher = await studio.enter()
    video = await media.upload(teacher, path.read_bytes())
    async with studio.working():
        await media.until(teacher, video, "playable")
    first = next((tmp_path / "objects").rglob("270p/index.m3u8"))
    made_at = first.stat().st_mtime_ns
    assert (await teacher.get(f"/api/video/{video}")).json()["status"] == "playable"
    async with studio.working():
        shown = await media.until(teacher, video, "ready")
    assert [one["name"] for one in shown["renditions"]] == ["270p", "540p"]
    assert first.stat().st_mtime_ns == made_at

"""Traces of real server processes, received by OTLP over HTTP."""

import json
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests import media
from tests.integration.test_doctor import doctor, run
from tests.running import RunningServer, running_server

pytest.importorskip("opentelemetry.sdk")
from tests.integration.collector import Collector, Received, collecting


class Traced:
    """A server whose requests are all traced, and what it has sent."""

    def __init__(self, server: RunningServer, collector: Collector) -> None:
        self.server = server
        self.collector = collector

    def until_run(self, trace: str) -> list[Received]:
        """The spans of a trace once its lecture has been processed."""
        self.collector.until(lambda: any(one.name == "job video.transcode" for one in self.collector.of(trace)))
        return self.collector.of(trace)


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    folder = tmp_path_factory.mktemp("tracing")
    with collecting() as collector:
        settings = {"TRACING_ENDPOINT": collector.url, "TRACING_SAMPLE_RATIO": "1", "TRACING_TOKEN": "token-of-a-test"}
        with running_server(folder / "data", settings, PROCESSES_WORKER="1") as server:
            yield Traced(server, collector)


@pytest.fixture
def trace() -> str:
    return secrets.token_hex(16)


def launched(server: RunningServer, parent: dict[str, str]) -> httpx.Client:
    """Somebody whom the practice LMS has sent, as a browser: every request belongs to the trace."""
    tool = server.url
    front = tool.replace("127.0.0.1", "localhost")
    client = httpx.Client(headers=parent, timeout=20)
    asked = client.get(f"{front}/practice/open", params={"course": "waves", "person": "instructor"})
    begun = client.get(asked.headers["location"])
    form = client.get(begun.headers["location"]).text
    fields = dict(re.findall(r'name="(state|id_token)" value="([^"]+)"', form))
    cookie = {"Cookie": begun.headers["set-cookie"].partition(";")[0]}
    page = client.post(f"{tool}/lti/launch", data=fields, headers=cookie).text
    code = re.search(r'name="atomic-guide-code" content="([^"]+)"', page)
    assert code is not None, page[:500]
    token = client.post(f"{tool}/api/session", json={"code": code[1]}).json()["token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def test_a_launch_a_message_an_upload_and_its_job_are_one_trace_over_processes(
    traced: Traced, trace: str, tmp_path: Path
) -> None:
    collector, url = traced.collector, traced.server.url
    clip = media.clip(tmp_path / "a.mp4", size="160x120", seconds=1).read_bytes()
    with closing(launched(traced.server, {"traceparent": f"00-{trace}-{'1' * 16}-01"})) as client:
        sent = client.post(f"{url}/api/chat/message", json={"content": "a secret word"})
        assert sent.status_code == 201, sent.text
        files, title = {"file": ("a.mp4", clip)}, {"title": "A private title"}
        assert client.post(f"{url}/api/video/upload", files=files, data=title).status_code == 202
    names = ("POST /lti/launch", "POST /api/chat/message", "POST /api/video/upload", "job video.transcode")
    collector.until(lambda: {span.name for span in collector.of(trace)} >= set(names))
    spans = {span.id: span for span in collector.of(trace)}
    by_name = {span.name: span for span in spans.values()}
    assert all(span.parent in spans or span.parent == "1" * 16 for span in spans.values())
    job = by_name["job video.transcode"]
    assert job.attributes["messaging.destination.name"] == "video"
    assert job.attributes["atomic_guide.job.attempt"] == "1"
    upload = by_name["POST /api/video/upload"]
    assert upload.attributes["http.response.status_code"] == "202"
    above = spans[job.parent]
    while above.parent in spans:
        above = spans[above.parent]
    assert above == upload
    reads = [span for span in spans.values() if span.name == "database read"]
    asked = {span.attributes["db.operation.name"] for span in reads}
    # Names of statements, and never what was asked for.
    assert asked
    assert all(re.fullmatch(r"[a-z_]+", name) for name in asked)
    assert all(span.parent in spans for span in reads)
    told = {span.attributes["messaging.destination.name"] for span in spans.values() if span.name == "NATS publish"}
    # The worker in the other process is woken; it tells the room of the lecture.
    assert told == {"jobs", "rooms"}
    assert collector.token == "Bearer token-of-a-test"
    said = repr(collector.spans)
    assert not re.search(r"secret word|private title|Authorization|ticket=|code=|127\.0\.0\.1|u1", said)


def test_jobs_of_other_processes_go_on_with_the_trace(traced: Traced, tmp_path: Path) -> None:
    clip = media.clip(tmp_path / "a.mp4", size="160x120", seconds=1).read_bytes()
    traces = [secrets.token_hex(16) for _ in range(8)]
    with traced.server.enter(role="instructor") as client:
        # More than one process has slots for, so that the others take some.
        for trace in traces:
            client.headers["traceparent"] = f"00-{trace}-{'2' * 16}-01"
            files, title = {"file": ("a.mp4", clip)}, {"title": "Lecture"}
            assert client.post("/api/video/upload", files=files, data=title).status_code == 202
    for trace in traces:
        traced.until_run(trace)
    # The spans of the upload and of its job come from two processes.
    traced.collector.until(
        lambda: any(len({one.process for one in traced.collector.of(trace)}) > 1 for trace in traces)
    )


def test_the_log_names_the_trace(traced: Traced, trace: str) -> None:
    httpx.get(f"{traced.server.url}/api/course", headers={"traceparent": f"00-{trace}-{'3' * 16}-01"})
    traced.collector.until(lambda: traced.collector.of(trace))
    (span,) = traced.collector.of(trace)
    log = Path(f"{traced.server.data}.log").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in log.splitlines() if trace in line]
    assert [(line["event"], line["trace_id"], line["span_id"]) for line in lines] == [("request", trace, span.id)]


@pytest.mark.parametrize("given", ["", "00-0-0-00", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "x" * 2000])
def test_a_bad_traceparent_begins_a_trace_of_its_own(traced: Traced, given: str) -> None:
    before = len(traced.collector.spans)
    answer = httpx.get(f"{traced.server.url}/openapi.json", headers={"traceparent": given})
    assert answer.status_code == 200
    traced.collector.until(lambda: any(s.name == "GET /openapi.json" for s in traced.collector.spans[before:]))
    span = next(s for s in traced.collector.spans[before:] if s.name == "GET /openapi.json")
    assert span.parent == ""


def test_probes_are_not_traced_and_what_was_sent_is_counted(traced: Traced) -> None:
    collector = traced.collector
    assert httpx.get(f"{traced.server.url}/healthz").status_code == 200
    assert httpx.get(f"{traced.server.url}/openapi.json").status_code == 200
    lines = httpx.get(f"{traced.server.url}/metrics").text
    sent = re.search(r'atomic_guide_trace_spans_total\{outcome="sent"\} (\S+)', lines)
    assert sent is not None
    assert float(sent[1]) > 0
    assert not [span for span in collector.spans if "healthz" in span.name or "metrics" in span.name]


def test_the_doctor_looks_for_the_collector(traced: Traced, tmp_path: Path) -> None:
    _, found = doctor(tmp_path / "data", TRACING_ENDPOINT=traced.collector.url)
    assert found["tracing"]["status"] == "ok"
    _, found = doctor(tmp_path / "data", TRACING_ENDPOINT="http://127.0.0.1:9/v1/traces")
    assert found["tracing"]["status"] == "warning"
    assert "tracing" not in doctor(tmp_path / "data")[1]


def test_reads_and_messages_outside_of_a_trace_begin_none(traced: Traced) -> None:
    # By now the leader has read and the processes have told each other of themselves.
    traced.collector.until(lambda: any(span.name == "alerts turn" for span in traced.collector.spans))
    inner = [span for span in traced.collector.spans if span.name == "database read" or span.name.startswith("NATS")]
    assert inner
    assert all(span.parent for span in inner)


@pytest.mark.parametrize("name", ["scaling tick", "alerts turn"])
def test_ticks_have_traces_of_their_own(traced: Traced, name: str) -> None:
    traced.collector.until(lambda: any(span.name == name for span in traced.collector.spans))
    assert all(span.parent == "" for span in traced.collector.spans if span.name == name)


def test_what_waits_is_sent_at_the_end(tmp_path: Path, trace: str) -> None:
    with collecting() as collector:
        settings = {"TRACING_ENDPOINT": collector.url, "TRACING_SAMPLE_RATIO": "1"}
        with running_server(tmp_path / "data", settings) as server:
            httpx.get(f"{server.url}/openapi.json", headers={"traceparent": f"00-{trace}-{'4' * 16}-01"})
            assert server.stop() == 0
        assert [span.name for span in collector.of(trace)] == ["GET /openapi.json"]


def test_a_collector_that_is_away_harms_nothing(tmp_path: Path) -> None:
    nowhere = {"TRACING_ENDPOINT": "http://127.0.0.1:9/v1/traces", "TRACING_SAMPLE_RATIO": "1"}
    with running_server(tmp_path / "data", nowhere, TRACING_QUEUE_LIMIT="16", TRACING_TIMEOUT_SECONDS="1") as server:
        with server.enter() as client:
            for _ in range(100):
                assert client.get("/api/chat/messages").status_code == 200
        lines = httpx.get(f"{server.url}/metrics").text
        dropped = re.search(r'atomic_guide_trace_spans_total\{outcome="dropped"\} (\S+)', lines)
        assert dropped is not None
        assert float(dropped[1]) > 0
        assert f'atomic_guide_limit_refused_total{{limit="trace_spans"}} {dropped[1]}' in lines
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 20
    assert "traces are lost" in Path(f"{server.data}.log").read_text(encoding="utf-8")


LOADED = """
import sys
from atomic_guide.app import run
from atomic_guide.app.traces import Traces
from atomic_guide.tracing import TracingSettings
Traces(TracingSettings(), "supervisor", "all").end()
print(sorted(name for name in sys.modules if name.startswith("opentelemetry")))
"""


def test_without_an_endpoint_no_library_is_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_extra_a_start_says_what_to_install(tmp_path: Path) -> None:
    hide = "import sys; sys.modules['opentelemetry'] = None; from atomic_guide.cli import main; main()"
    command = [sys.executable, "-c", hide, "serve", "--data", str(tmp_path / "data"), "--port", "0"]
    environment = {"PATH": "/usr/bin:/bin", "ATOMIC_GUIDE_TRACING_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False, env=environment)
    assert done.returncode == 1
    assert "setting tracing.endpoint" in done.stderr
    assert "pip install 'atomic-guide[tracing]'" in done.stderr
    assert not (tmp_path / "data").exists()
    for wrong in ("ftp://x", "http://me:secret@collector:4318/v1/traces"):
        refused = run("settings", "--data", str(tmp_path), TRACING_ENDPOINT=wrong)
        assert (refused.returncode, "secret" in refused.stdout + refused.stderr) == (1, False)

"""Load tests against a real server: what they send, find, and refuse; stalls, and whose fault they are."""

import getpass
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import RSAKey

from atomic_guide.web import pages
from tests.load_testing import Test, call, command, environment, needs_locust
from tests.postgres.tls import certificate, pem
from tests.running import RunningServer, running_server

pytestmark = [needs_locust, pytest.mark.slow]

PATIENT = ("--late", "1s")
"""Where it is not the point how well a tester keeps its times on a machine that others use, too."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("target") / "data", LOADTEST_TARGET="true") as running:
        yield running


def operators(server: RunningServer) -> httpx.Client:
    token = (server.data / "operator-token").read_text().strip()
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=30)


def test_a_test_sends_what_it_was_told_and_cleans_up_behind_itself(server: RunningServer) -> None:
    mix = "launch=10,message=50,frame=10,scores=10,performance=19,upload=1"
    done = call(server, "run", "--rps", "40", "--duration", "8s", "--ramp", "2s", "--sockets", "40", "--mix", mix,
                "--slo", "p99=5s,errors=0%", *PATIENT, "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = msgspec.json.decode(done.stdout)
    steady = report["steady"]
    assert report["verdict"] == {**report["verdict"], "result": "met", "reasons": [], "tester_is_limit": False}
    # Poisson: four standard deviations of 240 arrivals.
    assert abs(steady["all"]["count"] - 240) < 62
    assert set(steady["scenarios"]) == {"launch", "message", "frame", "scores", "performance", "upload"}
    assert steady["all"]["count"] == sum(one["count"] for one in steady["scenarios"].values())
    assert {"launch/init", "launch/launch", "launch/session"} <= set(steady["steps"])
    said = steady["scenarios"]["message"]["count"] + steady["scenarios"]["frame"]["count"]
    # One course, 40 sockets: each message reaches each of them once.
    assert steady["delivery"]["count"] == 40 * said
    assert steady["delivery"]["errors"] == {}
    (point,) = report["points"]
    assert point["concurrency"] == pytest.approx(steady["all"]["mean"] * point["throughput"])
    assert report["usage"]["cpus"] == os.cpu_count()
    assert max(moment["sockets"] for moment in report["timeline"]) == 40

    with operators(server) as client:
        (listed,) = client.get("/api/ops/loadtests").json()["loadtests"]
        assert (listed["id"], listed["running"]) == (report["id"], False)
        assert client.get(f"/api/ops/loadtests/{report['id']}").json() == report
    assert report["id"] in call(server, "list").stdout
    assert call(server, "show", "last").stdout.endswith("verdict: MET\n")

    cleaned = call(server, "clean", report["id"], "--json")
    erased = msgspec.json.decode(cleaned.stdout)["erased"]
    everybody = report["ramp"]["scenarios"]["message"]["count"] + report["ramp"]["scenarios"]["frame"]["count"] + said
    assert erased["messages"] == everybody
    assert erased["members"] == report["plan"]["people"]
    assert msgspec.json.decode(call(server, "clean", "last", "--json").stdout)["erased"] == {}


def test_what_a_killed_test_has_left_can_be_cleaned(server: RunningServer) -> None:
    test = Test(server, "--rps", "10", "--duration", "50s", "--ramp", "1s", "--people", "20", *PATIENT)
    test.wait_for("   2 s")
    assert "runs; end it first" in call(server, "clean", "last").stderr
    tester = test.tester(0)
    test.process.kill()
    test.process.communicate(timeout=10)
    until_gone(tester)
    (newest, *_) = sorted((server.data / "loadtests").iterdir(), reverse=True)
    state = newest / "state.json"
    # As ten seconds later, when it counts as killed.
    os.utime(state, (0, 0))
    erased = msgspec.json.decode(call(server, "clean", newest.name, "--json").stdout)["erased"]
    assert erased["members"] == 20
    platforms = subprocess.run(
        [sys.executable, "-m", "atomic_guide.cli", "platforms", "list", "--data", str(server.data)],
        capture_output=True, text=True, env=environment(), timeout=50, check=True,
    ).stdout  # fmt: skip
    assert msgspec.json.decode(state.read_bytes())["run"] not in platforms


def until_gone(process: int) -> None:
    """A tester whose starter is gone ends by itself."""
    end = time.monotonic() + 20
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < end
        time.sleep(0.05)


def closed_loop(server: RunningServer, user: str, seconds: float, found: list[float]) -> None:
    """One user who waits for each answer, 25 times a second while those are quick."""
    with server.enter(user, "instructor", "closed") as client:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            client.post("/api/chat/message", json={"content": "hello"}).raise_for_status()
            found.append(time.monotonic() - began)
            time.sleep(max(0.0, 0.04 - found[-1]))


def test_a_stall_of_two_seconds_is_in_the_p99_and_would_not_be_in_a_closed_loops(server: RunningServer) -> None:
    latencies: list[float] = []
    test = Test(server, "--rps", "50", "--duration", "12s", "--ramp", "1s", "--mix", "message=1",
                "--arrivals", "constant", *PATIENT)  # fmt: skip
    test.wait_for("arrivals begin")
    users = [threading.Thread(target=closed_loop, args=(server, f"c{n}", 11.0, latencies)) for n in range(2)]
    for user in users:
        user.start()
    time.sleep(4)
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(2)
    server.process.send_signal(signal.SIGCONT)
    for user in users:
        user.join(30)
    report = test.report()
    p99 = report["steady"]["scenarios"]["message"]["p99"]
    # A sixth of the arrivals came into it; who came in its first hundredth waited for nearly all of it.
    assert 1.6 < p99 < 4
    assert report["verdict"]["result"] == "missed", (report["verdict"], report["tester"])
    assert report["tester"]["dropped"] == 0
    # All that were due were begun, and at their times, while nothing was answered.
    assert report["steady"]["all"]["count"] == pytest.approx(550, abs=2)
    assert max(moment["in_flight"] for moment in report["timeline"]) > 40
    closed = statistics.quantiles(latencies, n=100, method="inclusive")[98]
    assert max(latencies) > 1.5
    assert closed < p99 / 2


def test_what_fails_is_told_by_its_class_and_the_test_goes_on(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", LOADTEST_TARGET="true") as doomed:
        test = Test(doomed, "--rps", "30", "--duration", "11s", "--ramp", "1s", "--sockets", "5", "--timeout", "1s",
                    "--mix", "launch=30,message=70", *PATIENT)  # fmt: skip
        test.wait_for("   3 s")
        doomed.process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        doomed.process.send_signal(signal.SIGCONT)
        test.wait_for("   8 s")
        doomed.kill()
        report = test.report()
    steady = report["steady"]
    assert test.process.returncode == 1
    assert report["verdict"]["result"] == "missed"
    errors = steady["all"]["errors"]
    assert errors["timeout"] > 0
    assert errors["refused"] > 0
    assert errors.keys() <= {"timeout", "refused", "closed", "unfinished", "http_400", "http_401", "http_403"}
    assert steady["steps"]["launch/init"]["errors"].keys() <= {"timeout", "refused", "closed", "unfinished"}
    assert steady["steps"]["socket"]["errors"]["closed"] == 5
    # What was given up was waited for a second, and counts with it.
    assert steady["all"]["p99"] > 0.9
    assert steady["all"]["count"] + steady["all"]["failed"] == report["tester"]["due"]


def test_where_the_tester_is_stopped_it_says_that_it_is_the_limit(server: RunningServer) -> None:
    test = Test(server, "--rps", "30", "--duration", "6s", "--ramp", "1s", "--mix", "message=1", "--slo", "p99=10s")
    test.wait_for("arrivals begin")
    time.sleep(2)
    tester = test.tester()
    os.kill(tester, signal.SIGSTOP)
    time.sleep(1)
    os.kill(tester, signal.SIGCONT)
    report = test.report()
    assert test.process.returncode == 3
    assert report["verdict"]["tester_is_limit"]
    assert "the tester is the limit: one in a hundred arrivals began more than" in report["verdict"]["reasons"][0]
    assert 0.8 < report["tester"]["lag_most"] < 2
    # It has caught up: nothing was left out, and the latencies hold the delay.
    assert report["steady"]["all"]["p99"] > 0.5


def test_arrivals_beyond_what_may_be_in_flight_are_not_begun_and_make_the_test_invalid(server: RunningServer) -> None:
    done = call(server, "run", "--rps", "100", "--duration", "3s", "--ramp", "1s", "--in-flight", "1", "--json")
    report = msgspec.json.decode(done.stdout)
    assert done.returncode == 3
    assert report["tester"]["dropped"] > 0
    assert "the tester is the limit" in report["verdict"]["reasons"][0]
    assert "raise limits.in_flight" in report["verdict"]["reasons"][0]


def test_ctrl_c_ends_it_with_a_report_of_what_was(server: RunningServer) -> None:
    test = Test(server, "--rps", "30", "--duration", "10m", "--ramp", "1s", "--mix", "message=1", *PATIENT)
    test.wait_for("   3 s")
    with operators(server) as client:
        running = client.get("/api/ops/loadtests").json()["loadtests"][0]
    assert (running["running"], running["verdict"], running["state"]["phase"]) == (True, None, "sending")
    assert running["state"]["last"]["second"] >= 2
    assert running["id"] + "  running" in call(server, "list").stdout
    with operators(server) as client:
        told = client.get(f"/api/ops/loadtests/{running['id']}/seconds", params={"after": 1}).json()
    assert [one["second"] for one in told["seconds"]][:2] == [2, 3]
    assert told["state"]["stage"]["kind"] == "hold"
    assert [one["objective"] for one in told["state"]["objectives"]] == ["p95", "errors"]
    began = time.monotonic()
    test.process.send_signal(signal.SIGINT)
    report = test.report()
    assert time.monotonic() - began < 8
    assert test.process.returncode == 3
    assert (report["complete"], report["verdict"]["reasons"]) == (False, ["it was ended before its time"])
    assert 2 <= report["seconds"] < 10
    assert report["steady"]["all"]["count"] > 20
    with operators(server) as client:
        assert not any(one["running"] for one in client.get("/api/ops/loadtests").json()["loadtests"])
        refused = client.post(f"/api/ops/loadtests/{running['id']}/stop")
        over = client.get(f"/api/ops/loadtests/{running['id']}/seconds").json()
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONFLICT")
    assert (over["state"], over["seconds"]) == (None, [])


def test_a_test_that_others_end_says_who_did(server: RunningServer) -> None:
    test = Test(server, "--rps", "20", "--duration", "10m", "--ramp", "1s", "--mix", "message=1", *PATIENT)
    test.wait_for("arrivals begin")
    done = call(server, "stop", "last", "--json")
    report = test.report()
    assert msgspec.json.decode(done.stdout) == {"stopping": report["id"]}
    assert (report["complete"], report["notes"]) == (False, [f"it was ended by {getpass.getuser()}"])
    assert "does not run" in call(server, "stop", "last").stderr


@pytest.fixture
def unbuilt(server: RunningServer) -> Iterator[str]:
    """The address of a target that answers as one whose pages are not built."""
    with operators(server) as client:
        state = client.get("/api/ops/loadtest/target").json()
    assert state["pages"] is pages.is_built(pages.COURSE)

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(msgspec.json.encode({**state, "pages": False}))

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as front:
        thread = threading.Thread(target=front.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{front.server_address[1]}"
        front.shutdown()
        thread.join(10)


def test_where_nobody_can_come_in_it_fails_at_once_with_the_remedy(server: RunningServer, unbuilt: str) -> None:
    words = ("run", "--rps", "10", "--target", unbuilt, "--token-file", str(server.data / "operator-token"))
    began = time.monotonic()
    done = call(server, *words)
    assert time.monotonic() - began < 20
    assert done.returncode == 1
    assert "are not built, so that nobody can come in" in done.stderr
    assert "npx vite build" in done.stderr


def test_a_target_that_is_not_marked_is_not_loaded(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as plain:
        done = call(plain, "run", "--rps", "10")
        assert (done.returncode, done.stdout) == (1, "")
        assert "is not marked as a test target, and is not loaded" in done.stderr
        assert "loadtest.target = true" in done.stderr
        with operators(plain) as client:
            refused = client.post("/api/ops/loadtest/runs", json={"keys": []})
        assert refused.status_code == 403
        assert "loadtest.target = true" in refused.json()["error"]["message"]
        assert call(plain, "list").stdout.startswith("no load test was run")


def test_a_target_takes_a_tester_in_once_and_only_with_keys_that_can_be_used(server: RunningServer) -> None:
    key = RSAKey.generate_key(2048).as_dict(private=False)
    keys = {"keys": [{**key, "kid": "k", "use": "sig", "alg": "RS256"}]}
    with operators(server) as client:
        first, again = (client.post("/api/ops/loadtest/runs", json=keys) for _ in range(2))
        assert (first.status_code, again.json()) == (201, first.json())
        assert first.json()["tool"] == server.url
        run = first.json()["run"]
        assert client.post(f"/api/ops/loadtest/runs/{run}/clean").json()["erased"].keys() <= {"lti_deployments"}
        assert client.post("/api/ops/loadtest/runs", json={"keys": []}).status_code == 400
        assert client.post("/api/ops/loadtest/runs", json={"keys": [{"kty": "RSA", "kid": "k"}]}).status_code == 400
        assert client.post("/api/ops/loadtest/runs/practice/clean").status_code == 404
    assert httpx.post(f"{server.url}/api/ops/loadtest/runs", json=keys).status_code == 401


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rps", "10", "--target", "ftp://example.org"], "is no web address"),
        (["--rps", "10", "--target", "http://localhost/x"], "has a path"),
        (["--rps", "0"], "load.rps"),
        ([], "say how fast arrivals come"),
        (["--rps", "10", "--mix", "lunch=1"], "no scenario 'lunch'"),
        (["--rps", "10", "--slo", "p95=soon"], "'soon' is no duration"),
        (["--rps", "10", "--steps", "1,x"], "no list of rates"),
        (["--rps", "1e6"], "loadtest.most_rps"),
        (["--rps", "10", "--expect-workers", "1"], "need --secret-file"),
        (["--rps", "10", "--target", "http://127.0.0.1:9"], "whose operator token is for nobody else"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_sent(server: RunningServer, words: list[str], said: str) -> None:
    done = call(server, "run", *words)
    assert done.returncode == 2
    assert said in done.stderr


def test_where_nothing_answers_the_address_is_named(server: RunningServer) -> None:
    words = ("run", "--rps", "10", "--target", "http://127.0.0.1:9")
    done = call(server, *words, "--token-file", str(server.data / "operator-token"))
    assert done.returncode == 1
    assert "nothing answers at http://127.0.0.1:9" in done.stderr


def test_the_server_itself_is_known_by_its_other_names(server: RunningServer) -> None:
    known = "https://guide.invalid"
    short = ("run", "--rps", "1", "--duration", "1s", "--mix", "performance=1", "--target")
    done = call(server, *short, server.url.replace("127.0.0.1", "localhost"))
    assert "arrivals begin" in done.stderr
    done = call(server, *short, known, ATOMIC_GUIDE_SERVER_PUBLIC_URL=known)
    assert f"nothing answers at {known}" in done.stderr


def test_testers_on_several_machines_share_the_rate(server: RunningServer, tmp_path: Path) -> None:
    secret, other = tmp_path / "secret", tmp_path / "other"
    secret.write_text("known-to-all-testers")
    other.write_text("known-to-nobody-else")
    test = Test(server, "--rps", "40", "--duration", "7s", "--ramp", "1s", "--workers", "1", "--expect-workers", "1",
                "--bind", "127.0.0.1:15557", "--secret-file", str(secret), "--sockets", "20", "--progress", "json",
                "--mix", "message=1", *PATIENT, "--slo", "p99=5s")  # fmt: skip
    test.wait_for('"part":0')
    words = ["worker", "--master", "127.0.0.1:15557", "--secret-file"]
    stranger = subprocess.run(
        command(*words, str(other)), capture_output=True, text=True, env=environment(), cwd=tmp_path, timeout=30,
        check=False,
    )  # fmt: skip
    assert stranger.returncode == 1
    assert "it has all its testers, or another secret" in stranger.stderr
    worker = subprocess.run(
        command(*words, str(secret)), capture_output=True, text=True, env=environment(), cwd=tmp_path, timeout=50,
        check=False,
    )  # fmt: skip
    report = test.report()
    assert worker.returncode == 0, worker.stderr
    assert "tester 2 of 2" in worker.stderr
    assert report["verdict"]["result"] == "met", report["verdict"]
    assert report["tester"]["testers"] == 2
    assert abs(report["steady"]["all"]["count"] - 240) < 62
    assert max(moment["sockets"] for moment in report["timeline"]) == 20
    # Two courses of ten sockets.
    assert report["steady"]["delivery"]["count"] == 10 * report["steady"]["all"]["count"]


def test_a_tester_that_is_lost_makes_the_test_invalid(server: RunningServer) -> None:
    test = Test(server, "--rps", "20", "--duration", "12s", "--ramp", "1s", "--workers", "2", "--mix", "message=1",
                *PATIENT)  # fmt: skip
    test.wait_for("arrivals begin")
    time.sleep(2)
    # After the leader, which was started first.
    os.kill(test.tester(1), signal.SIGKILL)
    report = test.report()
    assert test.process.returncode == 3
    assert not report["complete"]
    assert report["verdict"]["reasons"] == [report["verdict"]["reasons"][0]]
    assert "was lost, and what it was to send was not sent" in report["verdict"]["reasons"][0]


@pytest.mark.timeout(120)
def test_over_tls_with_sessions_that_are_refreshed(tmp_path: Path) -> None:
    signer, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority, chain, private = (tmp_path / name for name in ("authority.pem", "chain.pem", "key.pem"))
    authority.write_bytes(pem(certificate(signer, signer)))
    chain.write_bytes(pem(certificate(key, signer)))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    settings = {"SERVER_TLS_CERTIFICATE": str(chain), "SERVER_TLS_KEY": str(private), "LOADTEST_TARGET": "true",
                "SESSIONS_TOKEN_SECONDS": "60"}  # fmt: skip
    with running_server(tmp_path / "data", settings) as secure:
        words = ("run", "--rps", "20", "--duration", "34s", "--ramp", "1s", "--sockets", "10", "--people", "10",
                 "--mix", "message=1", "--slo", "errors=0%", "--json", *PATIENT)  # fmt: skip
        trusted = call(secure, *words, SSL_CERT_FILE=str(authority))
        strange = call(secure, *words)
    assert trusted.returncode == 0, trusted.stderr
    steady = msgspec.json.decode(trusted.stdout)["steady"]
    assert steady["delivery"]["count"] == 10 * steady["scenarios"]["message"]["count"]
    assert steady["steps"]["refresh"]["count"] >= 1
    assert steady["steps"]["refresh"]["errors"] == {}
    assert strange.returncode == 1
    assert "the certificate of https://127.0.0.1" in strange.stderr

"""A server that tells of alerts: one signed message, a silence, a restart in the middle, and that it is over.

The rule looks at jobs that wait in a queue: pausing the queue makes them wait, resuming it lets them go.
"""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import scaling_live
from tests.keeping import run
from tests.running import RunningServer, running_server
from tests.webhooks import Received, receiver

SECRET = "the secret of a test"
TICK = 15


def _settings(url: str) -> dict[str, str]:
    return {
        "ALERTS_RULES": json.dumps([
            {"name": "lecture-waits", "condition": 'queues_backlog{queue="video"} > 0', "for": "1s",
             "severity": "critical", "description": "{value} lectures wait."},
        ]),
        "ALERTS_CHANNELS": json.dumps([{"name": "hook", "kind": "webhook", "url": f"{url}/in", "secret": SECRET}]),
        "ALERTS_GROUP_WAIT_SECONDS": "0",
        "ALERTS_GROUP_INTERVAL_SECONDS": "1",
        # The machine of a test run is busy with others' work, which would keep the lecture waiting for minutes.
        "QUEUES_VIDEO_HOLD_WHEN_BUSY": "false",
    }  # fmt: skip


def _of_the_rule(one: Received) -> bool:
    return bool(one.json["groupLabels"].get("alertname") == "lecture-waits")


def _told(server: RunningServer, *arguments: str) -> Any:
    return run(server.data, "alerts", *arguments)


def _until_evaluated(server: RunningServer, after: str) -> Any:
    for _ in range(300):
        standing = _told(server, "list")
        if standing["at"] is not None and standing["at"] > after:
            return standing
        time.sleep(0.2)
    message = "no evaluation within a minute"
    raise AssertionError(message)


def _clip(server: RunningServer) -> None:
    with server.enter("teacher", "instructor") as teacher:
        scaling_live._upload(teacher, scaling_live.clips(1, 1.0, "160x90")[0])


@pytest.mark.timeout(360)
def test_an_alert_is_told_once_survives_a_restart_and_is_told_to_be_over(tmp_path: Path) -> None:
    with receiver() as came:
        settings = _settings(came.url)
        with running_server(tmp_path / "data", settings) as server:
            run(server.data, "queues", "pause", "video")
            # A server sees it within a second, and a quick one would have made the clip by then.
            time.sleep(1.5)
            _clip(server)
            [first] = came.until(1, 120, of=_of_the_rule)
            _check_signed(first)
            assert first.json["alerts"][0]["annotations"]["description"] == "1 lectures wait."
            [alert] = _told(server, "list")["alerts"]
            assert (alert["rule"], alert["state"]) == ("lecture-waits", "firing")
            _over_http(server)
        with running_server(tmp_path / "data", settings) as server:
            standing = _until_evaluated(server, _now())
            assert [(one["rule"], one["state"]) for one in standing["alerts"]] == [("lecture-waits", "silenced")]
            assert standing["alerts"][0]["since"] == alert["since"], "it is the same alert"
            assert len([one for one in came.received if _of_the_rule(one)]) == 1, "nothing is told twice"
            run(server.data, "queues", "resume", "video")
            last = came.until(2, 120, of=_of_the_rule)[-1]
            assert last.json["status"] == "resolved"
            _check_signed(last)
            happened = [one["what"] for one in _told(server, "history", "--limit", "100")["entries"]]
            assert [what for what in reversed(happened) if what != "tested"] == [
                "fired", "told", "silenced", "resolved", "told",
            ]  # fmt: skip
            metrics = httpx.get(f"{server.url}/metrics").text
            assert 'atomic_guide_alerts_notifications_total{channel="hook",outcome="taken"} 1.0' in metrics
            assert 'atomic_guide_alerts{rule="lecture-waits",state="firing"} 0.0' in metrics
        log = (tmp_path / "data.log").read_text(encoding="utf-8")
        assert "an alert fires" in log
        assert SECRET not in log
        assert came.url not in log


def _over_http(server: RunningServer) -> None:
    """The same by HTTP, and a silence that is made twice with one key."""
    token = (server.data / "operator-token").read_text(encoding="utf-8").strip()
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}) as operator:
        standing = operator.get("/api/ops/alerts").json()
        assert [one["state"] for one in standing["alerts"]] == ["firing"]
        asked = {"matchers": ["lecture-waits"], "seconds": 3600, "comment": "being mended"}
        made = [
            operator.post("/api/ops/alerts/silences", json=asked, headers={"Idempotency-Key": "k-1"}) for _ in range(2)
        ]
        assert [one.status_code for one in made] == [201, 201]
        assert made[0].json()["id"] == made[1].json()["id"]
        [silence] = operator.get("/api/ops/alerts/silences").json()["silences"]
        assert (silence["who"], silence["state"]) == ("operator", "active")
        tried = operator.post("/api/ops/alerts/test", json={"name": "hook"}).json()
        assert tried == {"channels": [{"channel": "hook", "taken": True, "why": ""}]}
        rules = operator.get("/api/ops/alerts/prometheus").text
        assert 'alert: "lecture-waits"' in rules
        replay = operator.get("/api/ops/alerts/rules/lecture-waits/replay?seconds=600").json()
        assert [spell["labels"]["queue"] for spell in replay["spells"]] == ["video"]
        assert operator.post("/api/ops/alerts/silences", json={**asked, "matchers": ["a b"]}).status_code == 400
        assert operator.post("/api/ops/alerts/silences/none/end").status_code == 404
    assert httpx.get(f"{server.url}/api/ops/alerts").status_code == 401


def _check_signed(one: Received) -> None:
    identity, at = one.headers["webhook-id"], one.headers["webhook-timestamp"]
    signed = hmac.new(SECRET.encode(), f"{identity}.{at}.".encode() + one.body, hashlib.sha256).digest()
    assert one.headers["webhook-signature"] == "v1," + base64.b64encode(signed).decode()
    assert abs(time.time() - int(at)) < 120


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())

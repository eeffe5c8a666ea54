"""`atomic-guide alerts`: rules checked, replayed and exported, silences, and what is listed."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from atomic_guide.engines.data.embedded import database_files
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.engines.data.sqlite import SqliteDatabase
from atomic_guide.operations.alerts.rule import Labels
from atomic_guide.operations.alerts.state import Alert
from atomic_guide.operations.alerts.store import Deed, Evaluated, Store
from atomic_guide.operations.scaling.leader import Leader
from atomic_guide.operations.scaling.model import Key, Sample
from atomic_guide.operations.scaling.series import Series
from tests.alert_day import programs
from tests.engines import installed
from tests.keeping import run
from tests.webhooks import receiver

LABELS: Labels = (("alertname", "queue-stalled"), ("queue", "video"), ("severity", "warning"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    return installed(folder, 2)


def written(
    data: Path, alerts: Sequence[Alert], evaluated: Evaluated, series: Sequence[tuple[float, Sample]] = ()
) -> None:
    """What a leader has left behind."""

    async def write() -> None:
        directory = SqliteDatabase(database_files(data, DataSettings())[0])
        leader = Leader(directory, "test")
        assert await leader.campaign()
        deeds = [Deed("fired", alert.rule, dict(alert.labels), {"value": alert.value}) for alert in alerts]
        await Store(directory, leader).save(alerts, [], evaluated, deeds)
        record = Series(directory)
        for at, sample in series:
            await record.store(at, [sample])
        await leader.step_down()
        await directory.close()

    asyncio.run(write())


def test_without_a_server_nothing_was_evaluated(data: Path) -> None:
    found = run(data, "alerts", "list")
    assert (found["at"], found["stale"], found["alerts"]) == (None, True, [])
    assert {"queue-stalled", "cost-spike"} <= {rule["name"] for rule in found["rules"]}
    assert {rule["state"] for rule in found["rules"]} == {"unknown"}, "nobody has looked"
    assert run(data, "alerts", "history") == {"entries": []}


def test_alerts_and_unknown_rules_are_listed_with_what_silences_them(data: Path) -> None:
    now = time.time()
    firing = Alert("queue-stalled", LABELS, "firing", now - 600, now - 300, value=1000.0)
    written(data, [firing], Evaluated(now, {"cost-spike": now - 60}))
    [alert] = run(data, "alerts", "list")["alerts"]
    assert alert["description"] == "The oldest job of the queue video has waited for 1000 s."
    assert (alert["state"], alert["labels"], alert["silences"]) == ("firing", {"queue": "video"}, [])
    states = {rule["name"]: rule["state"] for rule in run(data, "alerts", "list")["rules"]}
    assert (states["queue-stalled"], states["cost-spike"], states["disk-full"]) == ("firing", "unknown", "inactive")
    made = run(data, "alerts", "silence", "queue-stalled", "queue=~vid.*", "--for", "2h", "--comment", "being mended")
    assert made["matchers"] == ['alertname="queue-stalled"', 'queue=~"vid.*"']
    assert [one["state"] for one in run(data, "alerts", "list")["alerts"]] == ["silenced"]
    assert [one["id"] for one in run(data, "alerts", "silences")["silences"]] == [made["id"]]
    assert run(data, "alerts", "unsilence", made["id"])["state"] == "expired"
    assert run(data, "alerts", "silences") == {"silences": []}
    assert [one["state"] for one in run(data, "alerts", "silences", "--expired")["silences"]] == ["expired"]
    what = [(entry["what"], entry["rule"]) for entry in run(data, "alerts", "history")["entries"]]
    assert what == [("unsilenced", ""), ("silenced", ""), ("fired", "queue-stalled")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("silence", "a b", "--for", "1h", "--comment", "x"), "matches nothing"),
        (("silence", "a=~(", "--for", "1h", "--comment", "x"), "no pattern"),
        (("silence", "queue-stalled", "--for", "999d", "--comment", "x"), "at most|to 90 days"),
        (("silence", "queue-stalled", "--for", "1h", "--comment", " "), "why they are kept quiet"),
        (("silence", "queue-stalled", "--comment", "x"), "--for or --until"),
        (("unsilence", "nothing"), "no silence nothing"),
        (("test", "nothing"), "no rule nothing"),
        (("export",), "--prometheus"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(data: Path, arguments: tuple[str, ...], said: str) -> None:
    found = run(data, "alerts", *arguments, fails=True)
    assert any(part in found for part in said.split("|")), found


def test_a_rule_is_replayed_on_what_is_on_record(data: Path) -> None:
    end = time.time() // 15 * 15
    samples = []
    for tick in range(160):
        at = end - 2400 + 15 * tick
        samples.append((at, Sample(Key("queues", "oldest", "video"), 1000.0 if 40 <= tick < 100 else 1.0)))
    written(data, [], Evaluated(end), samples)
    found = run(data, "alerts", "test", "queue-stalled", "--since", "35m")
    [spell] = found["spells"]
    assert spell["labels"]["queue"] == "video"
    assert spell["fired_at"] is not None
    assert spell["ended_at"] is not None
    assert found["ticks"] == 140
    assert found["unknown"] < 0.1
    assert run(data, "alerts", "list")["alerts"] == [], "a replay changes nothing"
    empty = run(data, "alerts", "test", "Cost Spike Detected", "--since", "35m")
    assert (empty["unknown"], empty["spells"]) == (1.0, [])


def test_channels_are_tried_with_a_message_that_is_marked(data: Path) -> None:
    with receiver() as came:
        channels = [{"name": "hook", "kind": "webhook", "url": came.url, "secret": "s" * 16}]
        environment = {"ATOMIC_GUIDE_ALERTS_CHANNELS": json.dumps(channels)}
        found = run(data, "alerts", "test", "queue-stalled", "--send", environment=environment)
        assert {one["channel"]: one["taken"] for one in found["channels"]} == {"hook": True}
        assert came.received[0].json["test"] is True
        assert came.received[0].json["alerts"][0]["labels"]["alertname"] == "queue-stalled"
        came.answers = [(404, {})]
        failed = run(data, "alerts", "test", "hook", "--send", fails=True, environment=environment)
        assert "hook did not take the message" in failed
    [newest, _older] = run(data, "alerts", "history", "--what", "tested")["entries"]
    assert "404" in newest["details"]["channels"]["hook"]


GOOD = """
[alerts]
group_by = ["alertname", "queue"]

[[alerts.rules]]
name = "mine"
condition = 'queues_oldest{queue="video"} > limit'
limit = 5
for = "90s"

[[alerts.channels]]
name = "mail"
kind = "email"
to = ["ops@example.edu"]

[[alerts.routes]]
matchers = ["severity=critical"]
channels = ["mail"]
"""

BAD = """
[[rules]]
name = "one"
condition = "9**9**9 > 1"
[[rules]]
name = "two"
condition = "queues_oldest > 1"
for = "soon"
[[channels]]
name = "hook"
kind = "webhook"
[[routes]]
channels = ["nobody"]
"""


def test_a_file_is_checked_and_every_fault_is_told(data: Path, tmp_path: Path) -> None:
    good, bad, odd = tmp_path / "good.toml", tmp_path / "bad.toml", tmp_path / "odd.toml"
    good.write_text(GOOD)
    assert run(data, "alerts", "check", str(good))["faults"] == []
    bad.write_text(BAD)
    command = [sys.executable, "-m", "atomic_guide.cli", "alerts", "check", str(bad), "--data", str(data), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 1
    assert done.stderr.strip() == "bad.toml: 4 faults; see above"
    faults = json.loads(done.stdout)["faults"]
    assert {(one["key"], one.get("rule"), one.get("field"), one.get("column")) for one in faults} == {
        ("rules", "one", "condition", 2), ("rules", "two", "for", 0), ("channels", None, None, None),
        ("routes", None, None, None),
    }  # fmt: skip
    for text, said in (("[[alerts.rules]]\nname = 1\n", "alerts.rules[0].name"), ("[alerts\n", "not TOML")):
        odd.write_text(text)
        assert said in run(data, "alerts", "check", str(odd), fails=True)
    assert run(data, "alerts", "check")["faults"] == [], "the settings in force"


@pytest.mark.skipif(programs() is None, reason="prometheus and promtool are not installed")
def test_what_is_exported_is_a_rules_file_of_prometheus(data: Path, tmp_path: Path) -> None:
    text = run(data, "alerts", "export", "--prometheus", "--match", 'job="guide",env!=test')["rules"]
    assert 'job=\\"guide\\",env!=\\"test\\"' in text
    file = tmp_path / "rules.yml"
    file.write_text(text)
    found = programs()
    assert found is not None
    done = subprocess.run([found[1], "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

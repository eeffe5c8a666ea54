"""Rules from settings: what they change, what is refused, and that a start is refused with the key's name."""

import json
from pathlib import Path

import pytest

from atomic_guide.config import as_tree, load_settings
from atomic_guide.errors import ConfigurationError, Invalid
from atomic_guide.operations.alerts.checking import check_alerts
from atomic_guide.operations.alerts.matchers import matching, read_matcher, read_matchers
from atomic_guide.operations.alerts.rules import rules_of
from atomic_guide.operations.alerts.settings import AlertSettings, ChannelSettings, RuleSettings
from atomic_guide.operations.alerts.silences import Silence, Silenced
from atomic_guide.operations.alerts.spans import said, seconds_of

OWN = {"name": "own", "condition": "web_errors > 0.1"}


def started(tmp_path: Path, **sections: object) -> None:
    load_settings({f"ATOMIC_GUIDE_ALERTS_{name.upper()}": json.dumps(value) for name, value in sections.items()})


def test_a_shipped_rule_keeps_what_is_not_changed_of_it() -> None:
    found = rules_of([RuleSettings(name="queue-stalled", limit=60, for_="1h30m", labels={"team": "media"})])
    rule = found.rules["queue-stalled"]
    assert (rule.given.limit, rule.given.for_seconds, rule.given.keep_firing_seconds) == (60, 5400, 300)
    assert rule.given.shipped
    assert rule.labels == {"alertname": "queue-stalled", "severity": "warning", "team": "media"}
    assert len(rules_of([]).rules) == len(found.rules)


def test_a_rule_that_is_switched_off_is_known_and_not_evaluated() -> None:
    found = rules_of([RuleSettings(name="disk-full", enabled=False)])
    assert "disk-full" in found.rules
    assert "disk-full" not in {rule.name for rule in found.enabled}


def test_a_runbook_is_where_the_page_can_be_read() -> None:
    assert rules_of([], "https://x.test/alerts").rules["disk-full"].given.runbook == "https://x.test/alerts#disk-full"


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"name": "own", "condition": "9**9**9 > 1"}, "the rule own, condition, column 2: .*no powers"),
        ({"name": "own"}, "the rule own, condition: it has none, and no shipped rule has its name"),
        ({**OWN, "for": "5 minutes"}, "the rule own, for: '5 minutes' is no length of time; write 90s"),
        ({**OWN, "for": -1}, "for: -1.* is not from 0"),
        ({**OWN, "keep_firing_for": "1y"}, "keep_firing_for"),
        ({**OWN, "unmeasured_after": "400d"}, "unmeasured_after"),
        ({**OWN, "labels": {"9": "a"}}, "no name of a label"),
        ({**OWN, "labels": {"severity": "a"}}, "severity is a label that"),
        ({"name": "own", "condition": "queues_oldest > 1", "labels": {"queue": "a"}}, "queue is a label that"),
        ({**OWN, "labels": {"team": ""}}, "the value of team"),
        ({**OWN, "description": "{nothing}"}, "there is no {nothing}; there are .*value"),
        ({**OWN, "description": "{value.__class__}"}, "there is no {value.__class__}"),
        ({**OWN, "description": "{value"}, "braces"),
        ({**OWN, "runbook": "javascript:alert(1)"}, "no web address"),
        ({**OWN, "name": "Own Rule"}, "alerts.rules"),
        ({**OWN, "severity": "page"}, "alerts.rules"),
        ({**OWN, "conditon": "web_errors > 1"}, "conditon"),
        ({"name": "disk-full", "condition": "disk_utilisation > limits"}, "limits is not measured"),
    ],
)
def test_a_server_does_not_start_with_a_bad_rule(rule: dict[str, object], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=reason) as refused:
        started(tmp_path, rules=[rule])
    assert "alerts.rules" in str(refused.value)


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        started(tmp_path, rules=[OWN, OWN])


HOOK = {"name": "hook", "kind": "webhook", "url": "https://x.test/hook", "secret": "a" * 16}


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({"channels": [{"name": "console", "kind": "slack", "url": "https://x.test/a"}]}, "console is taken"),
        ({"channels": [HOOK, HOOK]}, "hook is taken"),
        ({"channels": [{**HOOK, "url": None}]}, "has no url"),
        ({"channels": [{**HOOK, "url": "ftp://x.test"}]}, "no web address"),
        ({"channels": [{**HOOK, "url": "https://me:pass@x.test/"}]}, "a name or a fragment"),
        ({"channels": [{**HOOK, "url": "https://x.test/#a"}]}, "a name or a fragment"),
        ({"channels": [{**HOOK, "url": "https://x.test:99999/"}]}, "no web address"),
        ({"channels": [{**HOOK, "secret": "short"}]}, "length >= 16"),
        ({"channels": [{**HOOK, "secret": "whsec_not-base-64!"}]}, "not base64"),
        ({"channels": [{**HOOK, "to": ["a@b.test"]}]}, "for e-mail"),
        ({"channels": [{"name": "m", "kind": "email", "to": ["a@b.test"]}]}, "no mail server"),
        ({"channels": [{"name": "s", "kind": "slack", "url": "https://x.test/a", "secret": "a" * 16}]}, "not signed"),
        ({"routes": [{"channels": ["hook"]}]}, "names the channel hook, which there is not"),
        ({"channels": [HOOK], "routes": [{"channels": ["hook"], "matchers": ["a b"]}]}, "route 1 .*matches nothing"),
        ({"routes": [{"channels": ["console"], "group_wait": "soon"}]}, "group_wait"),
        ({"inhibitions": [{"source": [], "target": ["severity=warning"]}]}, "source of inhibition 1"),
        ({"inhibitions": [{"source": ["a=~["], "target": ["severity=warning"]}]}, "no pattern"),
    ],
)
def test_a_server_does_not_start_with_bad_channels_or_routes(
    sections: dict[str, object], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=f"setting alerts.*{reason}") as refused:
        started(tmp_path, **sections)
    assert "pass@" not in str(refused.value)


@pytest.mark.parametrize(
    "to",
    ["nobody", "a b@x.test", "a@x.test\nBcc: b@x.test", "<a@x.test>", "a@x.test, b@x.test", "", "a@", "\u00fc@x.test",
     "a@x.test" * 40],
)  # fmt: skip
def test_an_address_to_which_no_mail_can_be_written_is_refused(to: str) -> None:
    settings = AlertSettings(channels=(ChannelSettings(name="m", kind="email", to=("a@b.test", to)),))
    with pytest.raises(ConfigurationError, match=r"m writes to .* no address such as"):
        check_alerts(settings, mail=True)
    check_alerts(AlertSettings(channels=(ChannelSettings(name="m", kind="email", to=("a.b+c@x-y.test",)),)), mail=True)


def test_what_is_secret_of_a_channel_is_not_printed() -> None:
    settings = load_settings({"ATOMIC_GUIDE_ALERTS_CHANNELS": json.dumps([HOOK])})
    [shown] = as_tree(settings)["alerts.channels"]
    assert (shown["name"], shown["url"], shown["secret"]) == ("hook", "(set)", "(set)")


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("queue-stalled", {"alertname": "queue-stalled"}, True),
        ("queue-stalled", {"alertname": "queue-stalled-2"}, False),
        ("severity=critical", {"severity": "critical"}, True),
        ('queue="two words"', {"queue": "two words"}, True),
        ('queue="a\\"b"', {"queue": 'a"b'}, True),
        ("queue!=video", {}, True),
        ("queue!=video", {"queue": "video"}, False),
        ("queue=", {}, True),
        ("queue=~vid.*", {"queue": "video"}, True),
        ("queue=~vid", {"queue": "video"}, False),
        ('queue!~"a|b"', {"queue": "b"}, False),
        (" severity = critical ", {"severity": "critical"}, True),
    ],
)
def test_matchers_are_those_of_alertmanager(text: str, labels: dict[str, str], *, expected: bool) -> None:
    assert matching([read_matcher(text)])(labels) is expected
    assert matching([read_matcher(read_matcher(text).said)])(labels) is expected, "it reads what it writes"


@pytest.mark.parametrize(
    "text", ["", "a b", "=a", "a=~(", "a==b", "Upper Case", "a=" + "x" * 300, 'a="\0"', 'a="\x1b[2J"', 'a="\udcff"']
)
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read_matcher(text)


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+x", "(a|a)*b", "((((a*)*)*)*)*", ".*.*.*x", "a?" * 40 + "a" * 40, "(?:(?:a|b)?){20}x", "([a-z-]+)+X",
     "a{1,200}b{1,200}c{1,200}", "(a|ab)(c|bcd)(d*)" * 3, "a{9999999999999}", "(a)\\1", "(?=a).*", "(?i)a"],
)  # fmt: skip
def test_patterns_that_could_take_long_are_refused(pattern: str) -> None:
    with pytest.raises(Invalid):
        read_matcher(f'part=~"{pattern}"')


@pytest.mark.parametrize(
    "pattern",
    [".*", "queue-.*", ".*video.*", "web|workers", "(?:web|workers)-[0-9]+", "(ab)*c", "shard-(0|1|2)", "a{2}b{,3}",
     "[]a-z]+", "[^]]*", "{", "(a*|b)", "x*+"],
)  # fmt: skip
def test_patterns_that_people_write_are_taken(pattern: str) -> None:
    assert read_matcher(f'part=~"{pattern}"').value == pattern


def test_a_silence_whose_pattern_is_refused_by_now_keeps_nothing_quiet() -> None:
    old = Silence("old", ('part=~"(a+)+x"',), 0.0, 100.0, "operator", "of another version")
    assert Silenced().by([old], {"part": "aaax"}, 50.0) == []


def test_there_are_only_so_many_matchers() -> None:
    with pytest.raises(Invalid, match="more than 20"):
        read_matchers(["a=b"] * 21)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1h30m", 5400), ("7d", 604800), ("1w", 604800), (0, 0), (2.5, 2.5)]
)
def test_times_are_written_as_in_prometheus(text: str | float, seconds: float) -> None:
    assert seconds_of(text) == seconds
    if isinstance(text, str) and text != "1w":
        assert seconds_of(said(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5m3h", "1.5h", "-5m", "5 m", "100000d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|is not from"):
        seconds_of(text)

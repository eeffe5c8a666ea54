"""The language of conditions: what is taken, what it means where something is not known, and what is refused."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.operations.alerts.check import checked
from atomic_guide.operations.alerts.compile import compiled, compiled_value
from atomic_guide.operations.alerts.tree import Refused, denied

NAMES = ("web_errors", "web_throughput", "web_demand")


def truth(text: str, values: Mapping[str, float | None], words: Mapping[str, float] | None = None) -> bool | None:
    condition = checked(text, words)
    names = {selector: name.name for name, selector in condition.reads.items()}
    return compiled(condition)([values.get(names[selector]) for selector in condition.selectors])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web_errors > 0.05", True),
        ("web_errors>0.05 and web_throughput<1", False),
        ("not web_errors > 0.05", False),
        ("not not web_errors > 0.05", True),
        ("web_errors > 0.05 or web_throughput < 1", True),
        ("web_errors * 2 + 1 == 1.2", True),
        ("1 - web_errors >= 0.9", True),
        ("-web_errors < 0", True),
        ("web_throughput - 1 - 1 == 8", True),
        ("web_throughput / 2 / 5 == 1", True),
        ("web_throughput / (2 / 5) == 25", True),
        ("2 + 3 * 2 == web_throughput - 2", True),
        ("(2 + 3) * 2 != web_throughput", False),
        ("web_errors > .05 and (web_throughput < 1 or web_throughput > 1e0)", True),
        ("web_throughput > 1 or web_throughput < 0 and web_errors < 0", True),
        ("web_errors <= web_throughput", True),
    ],
)
def test_a_condition_means_what_it_says(text: str, *, expected: bool) -> None:
    assert truth(text, {"web_errors": 0.1, "web_throughput": 10.0}) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web_errors > 0", None),
        ("not web_errors > 0", None),
        ("web_errors != web_throughput", None),
        ("web_errors * 0 == 0", None),
        ("-web_errors < 1", None),
        ("web_errors > 0 and web_throughput > 1", None),
        ("web_errors > 0 and web_throughput < 1", False),
        ("web_errors > 0 or web_throughput > 1", True),
        ("web_errors > 0 or web_throughput < 1", None),
        ("not (web_errors > 0 or web_throughput > 1)", False),
        ("web_throughput / web_demand > 1", None),
        ("not web_throughput / web_demand > 1", None),
        ("web_throughput / (web_throughput - 10) < 1", None),
    ],
)
def test_what_is_not_measured_is_unknown_and_so_is_what_depends_on_it(text: str, *, expected: bool | None) -> None:
    assert truth(text, {"web_throughput": 10.0, "web_demand": 0.0}) is expected


REFUSED = [
    ("", 1, "ends where"),
    ("   ", 1, "ends where"),
    ("9**9**9 > web_errors", 2, "no powers"),
    ("web_errors ^ 2 > 1", 12, "no powers"),
    ("abs(web_errors) > 1", 1, "no calls"),
    ('__import__("os").system("x") > 1', 1, "no calls"),
    ("web_errors.real > 1", 11, "no place"),
    ("web_errors[5m] > 1", 11, "no ranges"),
    ("lambda: 1 > 0", 7, "no place"),
    ("web_erors > 1", 1, "did you mean web_errors"),
    ("nonsense > 1", 1, "is not measured"),
    ("limit < web_errors", 1, "sets no limit"),
    ("0 < web_errors < 1", 16, "not chained"),
    ("web_errors == 1 == 1", 17, "not chained"),
    ("web_errors", 1, "compare it"),
    ("web_errors + 1", 1, "compare it"),
    ("not web_errors", 5, "compare it"),
    ("web_errors and web_demand > 1", 1, "compare it"),
    ("(web_errors > 1) + 1 > 2", 2, "true or false"),
    ("(web_errors > 1) > 0", 2, "true or false"),
    ("1 > 0", 1, "never change"),
    ("web_errors > 1 or 2 > 1", 19, "never change"),
    ("web_errors > 1 / 0", 18, "divides by zero"),
    ("web_errors / (3 - 3) > 1", 15, "divides by zero"),
    ("web_errors > 1e999", 14, "no finite number"),
    ("web_errors > 1e300 * 1e300", 14, "no finite number"),
    ("web_errors = 1", 12, "compare with =="),
    ("web_errors > 1 && web_demand > 1", 16, "write and"),
    ("web_errors > 1 || web_demand > 1", 16, "write or"),
    ("!web_errors > 1", 1, "write not"),
    ("web_errors > 1 AND web_demand > 1", 16, "small letters"),
    ("web_errors >", 13, "ends where"),
    ("> 1", 1, "no place"),
    ("web_errors > 1)", 15, "no place"),
    ("((web_errors > 1)", 1, "not closed"),
    ('queues_oldest{queue="a" > 1', 25, "no place"),
    ('queues_oldest{queue="a"', 14, "not closed"),
    ('queues_oldest{queue="a > 1', 21, "quotation mark"),
    ('queues_oldest{queue=~"a.*"} > 1', 15, "= or != only"),
    ("queues_oldest{queue=a} > 1", 15, 'label="value"'),
    ('queues_oldest{shard="a"} > 1', 15, "has no label shard"),
    ('web_errors{part="a"} > 1', 12, "one series"),
    ('queues_oldest{queue="a",queue="b"} > 1', 25, "two values"),
    ("queues_oldest > database_lag", 1, "by queue and the other by shard"),
    ("web_errors > 1; 2", 15, "means nothing"),
    ("web_errors > 5m", 15, "no place"),
    ("web_errors > $1", 14, "means nothing"),
    ("\N{GREEK SMALL LETTER ALPHA} > 1", 1, "means nothing"),
    ("(" * 40 + "web_errors > 1" + ")" * 40, 31, "more than 30 deep"),
    ("web_errors > " + "-" * 40 + "1", 44, "more than 30 deep"),
    ("not " * 40 + "web_errors > 1", 121, "more than 30 deep"),
    ("web_errors > 1" + " and web_errors > 1" * 55, 1001, "at most 1000 characters"),
    ("web_errors>1" + "+1" * 150, 210, "at most 200"),
]


@pytest.mark.parametrize(("text", "column", "reason"), REFUSED)
def test_what_is_no_condition_is_refused_with_column_and_reason(text: str, column: int, reason: str) -> None:
    with pytest.raises(Refused, match=reason) as refused:
        checked(text)
    assert refused.value.column == column


def test_a_number_of_the_rule_stands_for_its_name() -> None:
    assert truth("web_errors > limit", {"web_errors": 0.1}, {"limit": 0.05}) is True
    assert truth("web_errors > limit * 4", {"web_errors": 0.1}, {"limit": 0.05}) is False
    with pytest.raises(Refused, match="has no labels"):
        checked('limit{a="b"} < web_errors', {"limit": 1})
    with pytest.raises(Refused, match="never change"):
        checked("limit > 1 and web_errors > 1", {"limit": 1})


def test_labels_tell_alerts_apart_unless_the_condition_fixes_them() -> None:
    assert checked("queues_oldest > 1").labels == ("queue",)
    fixed = checked('queues_oldest{queue="video"} > 1')
    assert (fixed.labels, fixed.fixed) == ((), {"queue": "video"})
    assert checked("resource_utilization > 1").labels == ("component", "part")
    one = checked('resource_utilization{component="web"} > 1')
    assert (one.labels, one.fixed) == (("part",), {"component": "web"})
    assert checked("queues_oldest > 1 or web_errors > 1").labels == ("queue",)
    both = checked('queues_oldest{queue="video"} > queues_oldest{queue="analytics"}')
    assert (both.labels, both.fixed) == ((), {}), "two queues are no queue"
    assert checked("web_errors > 0 and queues_oldest > 1 and web_demand < 2").labels == ("queue",)


def test_the_number_that_is_shown_is_what_is_compared() -> None:
    def value(text: str, *values: float) -> float | None:
        return compiled_value(checked(text))(values)

    assert value("web_errors > 1", 7.0) == 7
    assert value("1 < web_errors", 7.0) == 7
    assert value("web_errors * 2 > 1 and web_demand > 1", 7.0, 3.0) == 14
    assert value("web_errors > 10 or web_demand > 1", 7.0, 3.0) == 3


_LEAVES = st.sampled_from([f"{name} {order} {limit}" for name in NAMES for order in ("<", ">=", "==", "!=")
                           for limit in (0, 1)])  # fmt: skip
_CONDITIONS = st.recursive(
    _LEAVES,
    lambda parts: st.one_of(
        st.tuples(parts, st.sampled_from(["and", "or"]), parts).map(lambda part: f"({' '.join(part)})"),
        parts.map(lambda part: f"not ({part})"),
    ),
    max_leaves=8,
)
_VALUES = st.lists(st.sampled_from([None, 0.0, 1.0, 2.0]), min_size=3, max_size=3)


def _kleene(text: str, values: Mapping[str, float | None]) -> bool | None:
    """By Python's own grammar: what is the same whatever the unknown were is known."""
    unknown = [name for name, value in values.items() if value is None]

    def worlds(names: Sequence[str]) -> list[dict[str, float]]:
        if not names:
            return [{name: value for name, value in values.items() if value is not None}]
        return [{**world, names[0]: value} for world in worlds(names[1:]) for value in (0.0, 1.0, 2.0, -1.0)]

    said = {bool(eval(text, {}, world)) for world in worlds(unknown)}  # noqa: S307 - the text is made above
    return said.pop() if len(said) == 1 else None


@given(_CONDITIONS, _VALUES)
def test_known_answers_are_those_of_python_and_nothing_is_known_that_is_not(
    text: str, values: list[float | None]
) -> None:
    given_values = dict(zip(NAMES, values, strict=True))
    found = truth(text, given_values)
    if found is not None:
        assert found is _kleene(text, given_values)
    if None not in values:
        assert found is not None


@given(_CONDITIONS, _VALUES)
def test_what_denies_a_condition_is_true_exactly_where_that_is_false(text: str, values: list[float | None]) -> None:
    condition = checked(text)
    against = condition._replace(tree=denied(condition.tree))
    names = {selector: name.name for name, selector in condition.reads.items()}
    row = [dict(zip(NAMES, values, strict=True))[names[selector]] for selector in condition.selectors]
    opposite = {True: False, False: True, None: None}
    assert compiled(against)(row) is opposite[compiled(condition)(row)]


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    refused = _refusal(text)
    if refused is not None:
        assert 1 <= refused.column <= len(text) + 1
        assert refused.reason


@given(st.lists(st.sampled_from(["web_errors", "(", ")", "and", "or", "not", "-", "*", ">", "==", "1", "{", "}", '"a"',
                                 "queue", "=", ",", "**"]), max_size=40))  # fmt: skip
def test_no_order_of_words_breaks_the_reader(words: list[str]) -> None:
    text = " ".join(words)
    refused = _refusal(text)
    if refused is None:
        assert truth(text, {}) is None
    else:
        assert 1 <= refused.column <= len(text) + 1


def _refusal(text: str) -> Refused | None:
    try:
        checked(text)
    except Refused as refused:
        return refused
    return None

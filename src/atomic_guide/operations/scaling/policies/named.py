"""The policies by the names that `atomic-guide scale simulate --policy` takes."""

from __future__ import annotations

from collections.abc import Callable

from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.fleet import Policy
from atomic_guide.operations.scaling.policies.guide import GuideSchedule, GuideThresholds
from atomic_guide.operations.scaling.policies.peers import Hpa, Knative, TargetTracking
from atomic_guide.operations.scaling.policies.tuned import Tuned
from atomic_guide.operations.scaling.simulate import Terms

_MAKERS: dict[str, Callable[[Terms], Policy]] = {
    "default": lambda terms: Tuned(terms.tick, terms.delay),
    "guide-thresholds": lambda _: GuideThresholds(),
    "guide-schedule": lambda _: GuideSchedule(),
    "hpa-50": lambda _: Hpa(0.5),
    "hpa-60": lambda _: Hpa(0.6),
    "hpa-70": lambda _: Hpa(0.7),
    "knative-70": lambda _: Knative(0.7),
    "target-tracking": lambda _: TargetTracking(),
}

NAMES = tuple(_MAKERS)

WHAT = {
    "default": "Ours, as shipped",
    "guide-thresholds": "One more at each tick over 80%, never one less",
    "guide-schedule": "Fixed hours around the daily peak",
    "hpa-50": "Kubernetes HPA at 50%",
    "hpa-60": "Kubernetes HPA at 60%",
    "hpa-70": "Kubernetes HPA at 70%",
    "knative-70": "Knative's autoscaler at 70%",
    "target-tracking": "Target tracking of an Auto Scaling group at 60%",
}
"""Each policy in a few words."""


def make_policy(name: str, terms: Terms) -> Policy:
    """A policy by its name. Raises `Invalid` naming those that there are."""
    if name not in _MAKERS:
        raise Invalid(f"there is no policy {name}; there are {', '.join(NAMES)}")
    return _MAKERS[name](terms)

"""What people use today, as documented: Kubernetes' HPA, Knative's autoscaler, target tracking of Auto Scaling groups.

All of them see the demand itself, not a utilisation that ends at 100%: that favours them. In all of them missing
metrics change nothing, which is what HPA does where no pod reports.
"""

from __future__ import annotations

import math
from collections import deque

from atomic_guide.operations.scaling.fleet import Choice, Fleet

_KEEP = "as before"


class Hpa:
    """HorizontalPodAutoscaler v2 with its defaults, for an average utilisation.

    Every 15 s ceil(pods * utilisation / target) unless within 10% of it; pods that are not ready count as idle where
    it would add; at most the double or four more; the highest recommendation of 300 s on the way down.
    """

    tolerance = 0.1
    window = 300.0

    def __init__(self, target: float) -> None:
        self._target = target
        self._highest: deque[tuple[float, int]] = deque()

    def decide(self, at: float, demand: float | None, fleet: Fleet) -> Choice:
        """What the controller would set."""
        if demand is None or not fleet.coming:
            return Choice(fleet.coming, "no metrics")
        recommended = self._recommended(demand, fleet)
        while self._highest and self._highest[-1][1] <= recommended:
            self._highest.pop()
        self._highest.append((at, recommended))
        while self._highest[0][0] <= at - self.window:
            self._highest.popleft()
        if recommended > fleet.coming:
            most = max(2 * fleet.coming, fleet.coming + 4)
            return Choice(fleet.bounded(min(recommended, most)), f"utilisation over {self._target:.0%}")
        highest = min(self._highest[0][1], fleet.coming)
        return Choice(fleet.bounded(highest), f"utilisation under {self._target:.0%} for 5 minutes")

    def _recommended(self, demand: float, fleet: Fleet) -> int:
        wanted = demand / (fleet.unit * self._target)
        ratio = wanted / fleet.ready if fleet.ready else math.inf
        if abs(ratio - 1) <= self.tolerance:
            return fleet.coming
        if ratio > 1 and wanted / fleet.coming <= 1 + self.tolerance:
            return fleet.coming
        return fleet.bounded(math.ceil(wanted))


class Knative:
    """Knative's pod autoscaler: a mean of 60 s, or of 6 s in panic, for a share of what a pod takes.

    Panic begins where the short mean wants twice the ready pods and lasts until it has not for 60 s; nothing is
    taken away in it. At most half is taken away at a time. Ticks longer than 6 s make the short mean one tick.
    """

    window = 60.0
    panic_share = 2.0

    def __init__(self, target: float) -> None:
        self._target = target
        self._seen: deque[tuple[float, float]] = deque()
        self._panic_until = -math.inf
        self._panic_peak = 0

    def decide(self, at: float, demand: float | None, fleet: Fleet) -> Choice:
        """What the autoscaler would set."""
        if demand is None:
            return Choice(fleet.coming, "no metrics")
        self._seen.append((at, demand))
        while self._seen[0][0] <= at - self.window:
            self._seen.popleft()
        mean = sum(value for _, value in self._seen) / len(self._seen)
        stable = math.ceil(mean / (fleet.unit * self._target))
        panic = math.ceil(demand / (fleet.unit * self._target))
        if panic >= self.panic_share * max(fleet.ready, 1):
            if at >= self._panic_until:
                self._panic_peak = fleet.coming
            self._panic_until = at + self.window
        if at < self._panic_until:
            self._panic_peak = max(self._panic_peak, panic, stable)
            return Choice(fleet.bounded(self._panic_peak), "panic")
        least = math.floor(fleet.coming / 2)
        return Choice(fleet.bounded(max(stable, least)), f"the mean of 60 s for {self._target:.0%}")


class TargetTracking:
    """Target tracking as of an Auto Scaling group or ECS, on means of a minute.

    More after three minutes in a row over the target, as many as bring it back; fewer after fifteen minutes under 90%
    of it; nothing while units start, which is the warm-up.
    """

    minutes_up = 3
    minutes_down = 15
    slack = 0.9

    def __init__(self, target: float = 0.6) -> None:
        self._target = target
        self._minute: list[float] = []
        self._minute_ends = -math.inf
        self._means: deque[float] = deque(maxlen=self.minutes_down)

    def decide(self, at: float, demand: float | None, fleet: Fleet) -> Choice:
        """What its two alarms would do."""
        if demand is None:
            return Choice(fleet.coming, "no metrics")
        self._minute.append(demand)
        if at < self._minute_ends:
            return Choice(fleet.coming, _KEEP)
        self._minute_ends = at + 60
        self._means.append(sum(self._minute) / len(self._minute))
        self._minute = []
        full = fleet.unit * self._target
        up = list(self._means)[-self.minutes_up :]
        if len(up) == self.minutes_up and min(up) > full * fleet.ready and not fleet.starting:
            self._means.clear()
            return Choice(fleet.bounded(math.ceil(up[-1] / full)), f"over {self._target:.0%} for 3 minutes")
        if len(self._means) == self.minutes_down and max(self._means) < self.slack * full * fleet.coming:
            wanted = fleet.bounded(math.ceil(max(self._means) / full))
            self._means.clear()
            return Choice(min(wanted, fleet.coming), f"under {self.slack * self._target:.0%} for 15 minutes")
        return Choice(fleet.coming, _KEEP)

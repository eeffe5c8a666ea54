"""What a tester is told to do, made from a spec and from what the target grants. Pure.

How many people take part follows from the rate where it is not declared: the product lets one person say 100 messages
a minute and a room 6,000, and a load test that runs into those measures the limits and not the server.
"""

from __future__ import annotations

import math
from typing import Annotated

import msgspec

from atomic_guide.errors import Invalid
from atomic_guide.operations.loadtest import limits
from atomic_guide.operations.loadtest.arrivals import Pattern, Profile, staircase, steady
from atomic_guide.operations.loadtest.settings import LoadtestSettings
from atomic_guide.operations.loadtest.spec import PERSON_SOCKETS, SCENARIOS, Spec, ramp_of, seconds_of, settle_of

PERSON_MESSAGES = 30
"""Messages a minute of one person, where the number of people is ours to choose: under a third of what is let in."""

COURSE_PEOPLE = 50
"""People of a course, likewise: a tutorial to a small lecture."""

LEAST_PEOPLE = 20
_PERSON_LIMIT, _ROOM_LIMIT = 100, 6000
"""Messages a minute that the product lets in as shipped (settings limits.person_messages, limits.room_messages)."""

_LOGIN_LIMIT = 1200
"""Logins a minute of one address (setting lti.logins_per_minute)."""

_WAITING = 1.25
"""In-flight arrivals that are let be, over those that pile up when nothing at all is answered before its time limit."""

_DESCRIPTORS = 60_000
"""Connections of one process, about what one address has ports for."""


class Platform(msgspec.Struct, frozen=True):
    """The platform that the target has registered for this test, and where the tool is for it."""

    run: str
    tool: str
    issuer: str
    client_id: str
    deployment_id: str
    tenant: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A load test as a tester carries it out."""

    target: str
    profile: Profile
    pattern: Pattern
    seed: int
    mix: dict[str, float]
    think: dict[str, float]
    """Mean seconds between the steps of a scenario; exponentially distributed, and no part of any latency."""
    people: Annotated[int, msgspec.Meta(ge=1)]
    courses: Annotated[int, msgspec.Meta(ge=1)]
    sockets: int
    timeout: float
    late: float
    in_flight: int

    @property
    def shares(self) -> dict[str, float]:
        """The mix as shares of 1."""
        whole = sum(self.mix.values())
        return {name: share / whole for name, share in self.mix.items() if share > 0}


def members(plan: Plan, part: int, parts: int) -> list[int]:
    """The numbers of the people whom one of several testers lets in, whole courses.

    So who sends a message and who gets it are of one tester, and one clock times the way.
    """
    return [number for number in range(plan.people) if number % plan.courses % parts == part]


def holders(plan: Plan, part: int, parts: int) -> list[int]:
    """For each socket that one of several testers holds, the number of the person whose it is; in turns over all."""
    everybody = (number % plan.people for number in range(plan.sockets))
    return [person for person in everybody if person % plan.courses % parts == part]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a tester's process is given: the plan, the key to sign launches with, and which part of it all it is."""

    plan: Plan
    platform: Platform
    key: str
    kid: str
    part: int = 0
    parts: int = 1


def make_plan(spec: Spec, target: str, settings: LoadtestSettings, testers: int = 1) -> Plan:
    """The plan of a spec, for so many testers; each has courses of its own.

    Raises `Invalid` where it is more than the settings let be, naming the setting.
    """
    load = spec.load
    whole = seconds_of("load.duration", load.duration)
    ramp = ramp_of(load)
    if load.steps:
        profile = staircase(load.steps, whole, ramp, settle_of(load))
    elif load.rps is not None:
        profile = steady(load.rps, whole, ramp)
    else:
        raise Invalid("load.rps: say how fast arrivals come, with --rps 200 or --steps 50,100,200")
    _within(profile, spec, settings)
    timeout = seconds_of("limits.timeout", spec.limits.timeout)
    mix = {name: spec.mix[name] for name in SCENARIOS if spec.mix.get(name, 0) > 0}
    said = profile.most * sum(mix.get(name, 0) for name in ("message", "frame")) / sum(mix.values()) * 60
    people = spec.people.count or max(
        LEAST_PEOPLE, math.ceil(said / PERSON_MESSAGES), math.ceil(spec.sockets.count / (PERSON_SOCKETS - 1))
    )
    courses = spec.people.courses or max(testers, round(people / COURSE_PEOPLE), 1)
    if not testers <= courses <= people:
        raise Invalid(
            f"people.courses: {courses} courses for {people} people and {testers} testers; each tester needs a course,"
            " and each course somebody"
        )
    return Plan(
        target=target.rstrip("/"),
        profile=profile,
        pattern=load.arrivals,
        seed=load.seed,
        mix=mix,
        think={name: seconds_of(f"think.{name}", pause) for name, pause in spec.think.items()},
        people=people,
        courses=courses,
        sockets=spec.sockets.count,
        timeout=timeout,
        late=seconds_of("limits.late", spec.limits.late),
        in_flight=spec.limits.in_flight or min(_DESCRIPTORS, max(100, math.ceil(profile.most * timeout * _WAITING))),
    )


def _within(profile: Profile, spec: Spec, settings: LoadtestSettings) -> None:
    bounds = (
        ("load.rps", profile.most, settings.most_rps, limits.RATE),
        ("load.duration", profile.seconds, settings.most_seconds, limits.LENGTH),
        ("sockets.count", spec.sockets.count, settings.most_sockets, limits.SOCKETS),
    )
    for key, wanted, most, limit in bounds:
        if wanted > most:
            message = f"{key}: {wanted:g} {limit.unit} is more than the {most:g} that the setting {limit.key} lets be"
            raise limit.over(Invalid(message))


def warnings(plan: Plan) -> list[str]:
    """What in a plan will measure something else than the server's strength, with the remedy."""
    shares = plan.shares
    said = plan.profile.most * (shares.get("message", 0) + shares.get("frame", 0)) * 60
    logins = plan.profile.most * shares.get("launch", 0) * 60
    each = (
        (said / plan.people, _PERSON_LIMIT, f"each of {plan.people} people says {{:.0f}} messages a minute",
         "more people, or fewer messages"),
        (said / plan.courses, _ROOM_LIMIT, f"each of {plan.courses} courses has {{:.0f}} messages a minute",
         "more courses"),
        (logins, _LOGIN_LIMIT, "one address begins {:.0f} logins a minute",
         "fewer launches, or raise lti.logins_per_minute at the target"),
        (plan.sockets / plan.people, PERSON_SOCKETS, f"each of {plan.people} people has {{:.1f}} sockets",
         "more people"),
    )  # fmt: skip
    return [
        f"{what.format(value)}, and {most} are let in: {remedy}" for value, most, what, remedy in each if value > most
    ]


def described(plan: Plan) -> list[str]:
    """The plan for people, line by line."""
    lines = [f"target      {plan.target}", f"arrivals    {plan.pattern}, open: due whatever became of those before"]
    for begin, stage in zip(plan.profile.begins(), plan.profile.stages, strict=True):
        rate = f"{stage.last:g}/s" if stage.first == stage.last else f"{stage.first:g} to {stage.last:g}/s"
        judged = "" if stage.kind == "hold" else "  (not judged)"
        lines.append(f"  {begin:6.0f} s  {stage.kind:6} {stage.seconds:g} s at {rate}{judged}")
    lines.append(f"about {plan.profile.expected:.0f} arrivals in {plan.profile.seconds:g} s:")
    for name, share in plan.shares.items():
        lines.append(f"  {name:12}{share * 100:6.2f}%  about {share * plan.profile.expected:.0f}: {SCENARIOS[name]}")
        if plan.think.get(name):
            lines[-1] += f"; think time {plan.think[name]:g} s between the steps"
    lines.append(f"people      {plan.people} in {plan.courses} courses, launched before the test begins")
    lines.append(f"sockets     {plan.sockets} held open")
    lines.append(f"given up    after {plan.timeout:g} s; at most {plan.in_flight} arrivals waited for")
    return lines

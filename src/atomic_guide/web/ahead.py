"""The time ahead over HTTP, for operators: forecasts, the schedule, and policies tried on demand that has been."""

from __future__ import annotations

from atomic_guide.operations.scaling.foresight import DAYS, DAYS_MOST, ForecastTold, ScheduleTold
from atomic_guide.operations.scaling.simulator.asked import WAIT_MOST, Asked
from atomic_guide.operations.scaling.simulator.choices import Choices, Worth, choices
from atomic_guide.operations.scaling.simulator.telling import Simulation
from atomic_guide.web.routing import Call, Calls, Parameter

calls = Calls()

_TEXT = {"type": "string", "maxLength": 200}
SIMULATIONS = "/api/ops/scaling/simulations"


@calls.add(
    "GET",
    "/api/ops/scaling/forecast",
    access="operator",
    reply=ForecastTold,
    failures=(400, 401, 404, 503),
    parameters=(
        Parameter("component", {**_TEXT, "default": "web"}, "Whose, web or workers."),
        Parameter("metric", {**_TEXT, "default": "demand"}, "Of what: demand."),
        Parameter(
            "days",
            {"type": "integer", "minimum": 1, "maximum": DAYS_MOST},
            f"How many days of the past; {DAYS} if not given.",
        ),
    ),
)
async def show_forecast(call: Call[None]) -> ForecastTold:
    """Show the forecast hour by hour beside what came, and how far it is relied on."""
    asked = call.request.query_params
    days = call.whole_number("days", default=DAYS, least=1, most=DAYS_MOST) or DAYS
    now = call.tool.clock.now()
    return await call.tool.foresight.forecast(asked.get("component", "web"), asked.get("metric", "demand"), days, now)


@calls.add("GET", "/api/ops/scaling/schedule", access="operator", reply=ScheduleTold, failures=(401, 503))
async def show_schedule(call: Call[None]) -> ScheduleTold:
    """Show what is planned for the next week, and how to change it."""
    return await call.tool.foresight.schedule(call.tool.clock.now())


@calls.add("GET", SIMULATIONS, access="operator", reply=Choices, failures=(401, 503))
async def show_choices(call: Call[None]) -> Choices:
    """Show what can be simulated: demonstrations, recorded fleets, policies, how much at once, and the last ones."""
    tool = call.tool
    settings = tool.foresight.settings
    worth = Worth(settings.minute_price, settings.change_price, settings.flap_price)
    return await choices(tool.simulator, tool.shards.directory, worth, tool.clock.now())


@calls.add(
    "POST",
    SIMULATIONS,
    access="operator",
    body=Asked,
    reply=Simulation,
    status=202,
    failures=(400, 401, 409, 413, 415, 422, 429, 503, 507),
)
async def begin_simulation(call: Call[Asked]) -> Simulation:
    """Replay demand under policies, as `atomic-guide scale simulate` does; nothing real changes."""
    return await call.tool.simulator.begin(call.body, call.operator.name)


@calls.add(
    "GET",
    f"{SIMULATIONS}/{{id}}",
    access="operator",
    reply=Simulation,
    failures=(400, 401, 404, 503),
    parameters=(
        Parameter(
            "wait",
            {"type": "integer", "minimum": 0, "maximum": int(WAIT_MOST), "default": 0},
            "Seconds for which the answer waits for the end.",
        ),
    ),
)
async def show_simulation(call: Call[None]) -> Simulation:
    """Show how far a simulation is, or what came out."""
    wait = call.whole_number("wait", default=0, least=0, most=int(WAIT_MOST)) or 0
    return await call.tool.simulator.find(call.request.path_params["id"], wait)


@calls.add(
    "POST",
    f"{SIMULATIONS}/{{id}}/cancel",
    access="operator",
    reply=Simulation,
    failures=(400, 401, 404, 409, 413, 415, 503, 507),
)
async def cancel_simulation(call: Call[None]) -> Simulation:
    """End a simulation that runs, whichever process runs it."""
    return await call.tool.simulator.cancel(call.request.path_params["id"], call.operator.name)

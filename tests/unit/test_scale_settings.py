"""Settings of scaling that cannot work together are refused at start, by their key."""

from pathlib import Path

import pytest

from atomic_guide.config import load_settings
from atomic_guide.errors import ConfigurationError

RULE = 'name="busy", fleet="web", component="web", metric="errors", action="add_process"'
ELSEWHERE = RULE.replace('fleet="web"', 'fleet="moon"')
OF_REPLICAS = RULE.replace('fleet="web"', 'fleet="replicas/"')


def test_the_shipped_modes_act_on_workers_only() -> None:
    found = load_settings({}).scaling
    assert {name: found.fleet(name).mode for name in ("web", "workers", "replicas/s1")} == {
        "web": "shadow",
        "workers": "auto",
        "replicas/s1": "approve",
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('time_zone = "Mars/Phobos"', "scaling.time_zone: there is no time zone 'Mars/Phobos'"),
        ('quiet_hours = "25:00-06:00"', "scaling.quiet_hours"),
        ("web.min = 9", "scaling.web.min: 9 units are more than scaling.web.max (4)"),
        ("budget_per_day = 5.0", "without a price scaling.budget_per_day cannot be kept"),
        (f"rules = [{{{RULE}}}]", "exactly one of above and below"),
        (f"rules = [{{{RULE}, below=1.0}}]", "cannot add_process"),
        (f"rules = [{{{RULE}, above=1.0, clear=2.0}}]", "clears above its limit"),
        (f"rules = [{{{RULE}, above=1.0, cause='moon'}}]", "checks no cause called 'moon'"),
        (f"rules = [{{{ELSEWHERE}, above=1.0}}]", "no fleet is called moon"),
        (f"rules = [{{{OF_REPLICAS}, above=1.0}}]", "has part = '*'"),
        ("web.most = 9", "unknown setting scaling.web.most"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f"[scaling]\n{text}\n")
    with pytest.raises(ConfigurationError) as refused:
        load_settings({}, file)
    assert says in str(refused.value)

"""Presets of limits: they only lower, explicit settings win, and `settings` says where a value came from."""

from pathlib import Path

import pytest

from atomic_guide.config import Settings, load_settings, source_settings, value_at
from atomic_guide.operations.limits.presets import PRESETS

GUIDE = {"ATOMIC_GUIDE_LIMITS_PRESET": "guide"}
DOCS = Path(__file__).parents[2] / "docs" / "limits.md"


def test_without_a_preset_all_is_as_by_default() -> None:
    assert load_settings({}) == load_settings({"ATOMIC_GUIDE_LIMITS_PRESET": "none"})


@pytest.mark.parametrize("key", PRESETS["guide"])
def test_a_preset_lowers_and_never_raises(key: str) -> None:
    default, chosen = (value_at(settings, key) for settings in (Settings(), load_settings(GUIDE)))
    preferred = PRESETS["guide"][key]
    assert chosen in {preferred.value, default}
    assert chosen <= default or (preferred.unbounded and not default)
    assert chosen <= preferred.value


def test_what_is_set_wins_whether_it_is_lower_or_higher(tmp_path: Path) -> None:
    file = tmp_path / "guide.toml"
    file.write_text(
        "[limits]\npreset = 'guide'\n[queues.analytics]\ntime_limit_seconds = 5\n[rooms]\nroom_sockets = 3000\n"
    )
    settings = load_settings({"ATOMIC_GUIDE_QUEUES_VIDEO_PER_SECOND": "0"}, file)
    assert settings.queues.analytics.time_limit_seconds == 5
    assert settings.rooms.room_sockets == 3000
    assert settings.queues.video.per_second == 0
    assert settings.queues.rosters.time_limit_seconds == 30
    # A section of which something is given keeps its own defaults for the rest.
    assert settings.queues.analytics.concurrency == Settings().queues.analytics.concurrency


def test_every_value_says_where_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / "guide.toml"
    file.write_text("[queues.analytics]\ntime_limit_seconds = 5\n")
    sourced = source_settings({**GUIDE, "ATOMIC_GUIDE_SERVER_HOST": "::1"}, file, server__port=9)
    assert sourced.origins["queues.analytics.time_limit_seconds"] == f"file {file}"
    assert sourced.origins["server.host"] == "environment ATOMIC_GUIDE_SERVER_HOST"
    assert sourced.origins["server.port"] == "command line"
    assert sourced.origins["queues.rosters.time_limit_seconds"] == "preset guide"
    assert "rooms.room_sockets" not in sourced.origins, "the default is what the preset has"


def test_the_page_says_what_the_preset_sets() -> None:
    text = DOCS.read_text("utf-8")
    part = text[text.index("## The guide's table") : text.index("## All limits")]
    for key in PRESETS["guide"]:
        section, name = key.rsplit(".", 1)
        assert key in part or (name in part and section.split(".")[0] in part), key


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(Exception, match=r"limits\.preset"):
        load_settings({"ATOMIC_GUIDE_LIMITS_PRESET": "cheap"})

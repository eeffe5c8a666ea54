"""Settings: sources, their order, and refusals that name the key."""

from pathlib import Path

import pytest

from atomic_guide.config import Settings, as_tree, describe, load_settings
from atomic_guide.errors import ConfigurationError


def test_defaults_need_nothing() -> None:
    settings = load_settings({})
    assert (settings.server.host, settings.server.port, settings.data) == ("127.0.0.1", 8000, "./var")


def test_the_command_line_beats_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    file = tmp_path / "guide.toml"
    file.write_text("[server]\nport = 1\nhost = '::1'\n[databases.sqlite]\nbusy_timeout = 2.5\n")
    settings = load_settings({"ATOMIC_GUIDE_SERVER_PORT": "2"}, file)
    assert (settings.server.port, settings.server.host, settings.databases.sqlite.busy_timeout) == (2, "::1", 2.5)
    assert load_settings({"ATOMIC_GUIDE_SERVER_PORT": "2"}, file, server__port=3).server.port == 3


def test_the_file_can_be_named_in_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "guide.toml"
    file.write_text("data = 'elsewhere'")
    assert load_settings({"ATOMIC_GUIDE_CONFIG": str(file)}).data == "elsewhere"


def test_lists_are_comma_separated_in_the_environment() -> None:
    settings = load_settings({"ATOMIC_GUIDE_SERVER_TRUSTED_PROXIES": "10.0.0.1, 10.0.0.2"})
    assert settings.server.trusted_proxies == ("10.0.0.1", "10.0.0.2")


@pytest.mark.parametrize(
    ("environment", "text", "what"),
    [
        ({"ATOMIC_GUIDE_SERVER_PROT": "1"}, "", "ATOMIC_GUIDE_SERVER_PROT; did you mean ATOMIC_GUIDE_SERVER_PORT"),
        ({"ATOMIC_GUIDE_SERVER_PORT": "99999"}, "", "setting server.port"),
        ({"ATOMIC_GUIDE_SERVER_PORT": "many"}, "", "setting server.port"),
        ({"ATOMIC_GUIDE_SERVER_PUBLIC_URL": "ftp://x"}, "", "setting server.public_url"),
        ({"ATOMIC_GUIDE_OPERATOR_TOKEN": "short"}, "", "setting operator_token"),
        ({}, "[server]\nprot = 1", "unknown setting server.prot; did you mean server.port"),
        ({}, "[nothing]\na = 1", "unknown setting nothing"),
        ({}, "server = 1", "setting server"),
        ({}, "[server", "is not TOML"),
        ({}, "a = " + "[" * 5000, "guide.toml is nested too deep"),
        ({}, f"{'a.' * 5000}a = 1", "guide.toml has over 1,000 dots in line 1"),
        ({}, f"# {'x' * 1_000_000}", "guide.toml has over 1,000,000 bytes"),
    ],
    ids=lambda given: str(given)[:40],
)
def test_a_bad_setting_is_refused_by_name(environment: dict[str, str], text: str, what: str, tmp_path: Path) -> None:
    file = tmp_path / "guide.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=what):
        load_settings(environment, file)


def test_every_setting_says_why_it_exists() -> None:
    assert [row.key for row in describe() if not row.reason or not row.unit] == []


def test_secrets_are_shown_as_their_presence_only() -> None:
    settings = load_settings({"ATOMIC_GUIDE_OPERATOR_TOKEN": "a-token-of-some-length"})
    assert as_tree(settings)["operator_token"] == "(set)"


def test_a_key_of_a_section_leaves_the_section_s_other_defaults_as_they_are() -> None:
    settings = load_settings({"ATOMIC_GUIDE_QUEUES_VIDEO_HOLD_WHEN_BUSY": "false", "ATOMIC_GUIDE_SCALING_WEB_MAX": "9"})
    assert not settings.queues.video.hold_when_busy
    assert settings.queues.video.memory_mb == Settings().queues.video.memory_mb == 4096
    assert (settings.scaling.web.max, settings.scaling.web.mode) == (9, "shadow")


def test_every_key_can_be_given_its_own_default_and_changes_nothing() -> None:
    plain = [row for row in describe() if isinstance(row.default, bool | int | float | str) and row.default != ""]
    assert len(plain) > 150
    for row in plain:
        text = str(row.default).lower() if isinstance(row.default, bool) else str(row.default)
        assert load_settings({row.variable: text}) == Settings(), row.key

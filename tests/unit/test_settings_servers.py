"""Shards on servers as they are declared in settings, without a server."""

from pathlib import Path

import pytest

from atomic_guide.config import as_tree, load_settings
from atomic_guide.engines.data.settings import ReplicaSettings
from atomic_guide.errors import ConfigurationError

DECLARED = """
[databases]
directory = "postgresql://guide@db/directory"

[[databases.servers]]
name = "shard-0"
url = "postgresql://guide@db0,db1/shard"
region = "eu"
weight = 2
replicas = [{ url = "postgresql://guide@db2/shard", region = "us" }]

[[databases.servers]]
name = "shard-1"
url = "postgresql://guide@db3/shard"
zone = "swiss"
"""


def test_shards_are_declared_as_tables(tmp_path: Path) -> None:
    (tmp_path / "guide.toml").write_text(DECLARED)
    first, second = load_settings({}, tmp_path / "guide.toml").databases.servers
    assert (first.name, first.zone, first.region, first.weight) == ("shard-0", "default", "eu", 2.0)
    assert first.replicas == (ReplicaSettings("postgresql://guide@db2/shard", "us"),)
    assert (second.zone, second.replicas) == ("swiss", ())


def test_the_environment_declares_them_as_json_and_shows_no_address() -> None:
    settings = load_settings(
        {
            "ATOMIC_GUIDE_DATABASES_DIRECTORY": "postgresql://guide:secret@db/directory",
            "ATOMIC_GUIDE_DATABASES_SERVERS": '[{"name": "shard-0", "url": "postgresql://guide:secret@db/shard"}]',
        }
    )
    assert settings.databases.servers[0].name == "shard-0"
    assert "secret" not in str([as_tree(settings)[key] for key in ("databases.directory", "databases.servers")])


@pytest.mark.parametrize(
    ("changed", "to", "named"),
    [
        ('directory = "postgresql://guide@db/directory"', "", "databases.directory"),
        ('name = "shard-1"', 'name = "shard-0"', "shard-0 stands twice"),
        ("postgresql://guide@db3/shard", "postgresql://guide@db0,db1/shard", "one address"),
        ("postgresql://guide@db3/shard", "mysql://db", r"databases\.servers\[1\]\.url"),
        ('zone = "swiss"', 'zome = "swiss"', "zome"),
        ("weight = 2", "weight = 0", "weight"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, changed: str, to: str, named: str) -> None:
    (tmp_path / "guide.toml").write_text(DECLARED.replace(changed, to))
    with pytest.raises(ConfigurationError, match=named):
        load_settings({}, tmp_path / "guide.toml")


def test_a_broken_list_in_the_environment_names_its_setting() -> None:
    with pytest.raises(ConfigurationError, match=r"databases\.servers.*JSON"):
        load_settings({"ATOMIC_GUIDE_DATABASES_SERVERS": "[{"})

"""What holds for every test: only loopback is reached, each has a time limit (pyproject.toml), PostgreSQL is real."""

import ipaddress
import os
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import Phase, settings

from tests.postgres import (
    Cluster,
    Databases,
    TlsServer,
    debian_programs,
    fresh_databases,
    shared_cluster,
    tls_server,
)
from tests.s3 import S3, s3_service

# As `dev.py test` does it, for whoever runs pytest: each of the processes would compile all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# No time limit for an example: a machine that is busy for a fifth of a second says nothing about the code.
# The suite tries half as many examples; all of them: `python3 dev.py test -n 2 --hypothesis-profile full`.
settings.register_profile("suite", deadline=None, max_examples=50)
settings.register_profile("full", deadline=None, max_examples=100)
# For `dev.py mutants`: the same examples each time, and none is made smaller, as nobody reads it.
settings.register_profile(
    "mutants", deadline=None, max_examples=50, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("suite")

LOOPBACK_NAMES = {"", "localhost"}


def _is_loopback(host: str) -> bool:
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse_far_sockets(event: str, arguments: tuple[Any, ...]) -> None:
    """Raise where a test would leave this machine; paths of Unix sockets and other families pass."""
    if event not in {"socket.connect", "socket.sendto"}:
        return
    address = arguments[1]
    if isinstance(address, tuple) and isinstance(address[0], str) and not _is_loopback(address[0]):
        message = f"a test may reach loopback only, not {address[0]}"
        raise PermissionError(message)


# An audit hook rather than a patched class: it also sees sockets made before a fixture could run.
sys.addaudithook(_refuse_far_sockets)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the longest time limits first, so that no worker begins the longest one when the others are done."""
    limits: dict[object, float] = {}
    for item in items:
        mark = item.get_closest_marker("timeout")
        limits[item.path] = max(limits.get(item.path, 0.0), float(mark.args[0]) if mark else 0.0)
    items.sort(key=lambda item: -limits[item.path])


@pytest.fixture(scope="session")
def postgres_cluster() -> Cluster:
    """Two shards with replicas, shared by all tests of the run; nobody stops, pauses or reconfigures its servers."""
    return shared_cluster()


@pytest.fixture
async def postgres_databases(postgres_cluster: Cluster) -> AsyncIterator[Databases]:
    """Empty databases of a test's own."""
    async with fresh_databases(postgres_cluster) as databases:
        yield databases


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 service, shared by all tests of the run; each has buckets of its own, and nobody stops it."""
    with s3_service(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres_with_tls() -> Iterator[TlsServer]:
    """A server of Debian's PostgreSQL, since the wheel's has no TLS. Absent: its tests are skipped, and say so."""
    programs = debian_programs()
    if programs is None:
        pytest.skip("no PostgreSQL with TLS: Debian's package postgresql is not installed")
    with tls_server(programs) as found:
        yield found

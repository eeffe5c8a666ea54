"""Shards with their replicas."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from tests.postgres.home import home
from tests.postgres.programs import PostgresError, Programs
from tests.postgres.server import Server

SHAPE = (("eu", "us"), ("eu",))
"""The regions of each shard's replicas, shard by shard."""
_PRIMARY_REGION = "eu"
_SYNCHRONOUS_SECONDS = 10.0


class Shard(msgspec.Struct):
    """One primary and its replicas."""

    name: str
    primary: Server
    replicas: list[Server]

    @property
    def servers(self) -> list[Server]:
        """The primary first."""
        return [self.primary, *self.replicas]

    def make_synchronous(self) -> None:
        """From now on a commit is acknowledged only when one replica has it on disk too."""
        names = ", ".join(f'"{replica.name}"' for replica in self.replicas)
        self.primary.set(synchronous_standby_names=f"ANY 1 ({names})")
        # The checkpointer tells commits that they have to wait, and reads the settings before it makes a checkpoint.
        self.primary.sql("CHECKPOINT")
        deadline = time.monotonic() + _SYNCHRONOUS_SECONDS
        while "quorum" not in self.primary.sql("SELECT sync_state FROM pg_stat_replication"):
            if time.monotonic() > deadline:
                raise PostgresError(f"no replica of {self.name} became synchronous within {_SYNCHRONOUS_SECONDS} s")
            time.sleep(0.01)

    def catch_up(self, limit: float = 10.0) -> None:
        """Wait until every replica has replayed what the primary has written up to now."""
        position = self.primary.position()
        for replica in self.replicas:
            replica.wait_for(position, limit)

    def fail_over(self, to: Server) -> None:
        """Promote one replica and let the others follow it; the old primary is dead, and leaves the shard."""
        to.promote()
        self.replicas = [replica for replica in self.replicas if replica != to]
        self.primary = to
        for replica in self.replicas:
            replica.follow(to)


class Cluster(msgspec.Struct, frozen=True):
    """The shards in order; the directory is a database of the first one's primary."""

    shards: tuple[Shard, ...]

    @property
    def servers(self) -> list[Server]:
        """Every server, shard by shard, each primary first."""
        return [server for shard in self.shards for server in shard.servers]


@contextlib.contextmanager
def fresh_cluster(
    shape: Sequence[Sequence[str]] = (("eu", "us"),),
    *,
    settings: Mapping[str, str] | None = None,
    programs: Programs | None = None,
) -> Iterator[Cluster]:
    """A cluster of one's own, for tests that stop, pause, delay or promote: removed at the end.

    `shape` names the regions of the replicas of each shard; the default is one shard with two. `settings` are added to
    the configuration of every server; `programs` chooses another installation.
    """
    cluster = _make(shape, settings or {}, home().programs(programs))
    # Those that a failover takes out of their shard are among them.
    servers = cluster.servers
    try:
        yield cluster
    finally:
        _remove(servers)


def shared_cluster() -> Cluster:
    """The cluster of `SHAPE` that all processes of a run share; it ends with the last of them.

    Nobody stops, pauses, delays or reconfigures its servers.
    """
    file = home().path / "cluster.json"
    programs = home().programs()
    home().seeds(programs, len(SHAPE))
    with home().alone("cluster"):
        if not file.exists():
            unfinished = file.with_suffix(".unfinished")
            unfinished.write_bytes(msgspec.json.encode(_make(SHAPE, {}, programs), enc_hook=str))
            unfinished.rename(file)
    return msgspec.json.decode(file.read_bytes(), type=Cluster, dec_hook=lambda _, path: Path(path))


def _make(shape: Sequence[Sequence[str]], settings: Mapping[str, str], programs: Programs) -> Cluster:
    seeds = home().seeds(programs, len(shape))
    shards: list[Shard] = []
    for number, (seed, regions) in enumerate(zip(seeds, shape, strict=True)):
        name = f"shard-{number}"
        primary = Server.create(f"{name}-primary", _PRIMARY_REGION, seed, programs, settings)
        replicas = [Server.create(f"{name}-{region}", region, seed, programs, settings) for region in regions]
        shards.append(Shard(name, primary, replicas))
    cluster = Cluster(tuple(shards))
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(_start, shards))
    except BaseException:
        _remove(cluster.servers)
        raise
    return cluster


def _remove(servers: list[Server]) -> None:
    for server in reversed(servers):
        server.remove()


def _start(shard: Shard) -> None:
    """Start a new shard. All its servers begin as one seed, so the replicas need no base backup."""
    shard.primary.start()
    for replica in shard.replicas:
        replica.follow(shard.primary)
        replica.start()

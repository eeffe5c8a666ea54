"""Real PostgreSQL for tests and benchmarks: shards with streaming replicas, fsync and synchronous_commit on.

    cluster = shared_cluster()                        # one for the run; the fixture `postgres_cluster`
    async with fresh_databases(cluster, shard=TEMPLATE) as databases:
        databases.directory.primary                   # addresses (dsn)
        databases.shards[0].replicas["us"]
    async with fresh_database(cluster.shards[0], TEMPLATE) as dsn:   # one, without waiting for the replicas
        ...

    with fresh_cluster((("eu", "us"),)) as cluster:   # one to break; about a second
        shard = cluster.shards[0]
        shard.make_synchronous()
        shard.primary.kill()
        shard.fail_over(shard.replicas[0])

`Server` has start, stop, kill, pause, resume, promote, follow, rejoin, set, sql, dsn, position, wait_for and
is_primary. The functions that are not `async` block; where a loop must go on, call them through `asyncio.to_thread`.
When the last process of the run has ended, in whatever way, a keeper ends all servers (`keeper.py`).
"""

from tests.postgres.cluster import SHAPE, Cluster, Shard, fresh_cluster, shared_cluster
from tests.postgres.databases import EMPTY, Databases, Place, Template, fresh_database, fresh_databases
from tests.postgres.programs import PostgresError, Programs, debian_programs, find_programs
from tests.postgres.server import Server
from tests.postgres.tls import TlsServer, tls_server

__all__ = [
    "EMPTY",
    "SHAPE",
    "Cluster",
    "Databases",
    "Place",
    "PostgresError",
    "Programs",
    "Server",
    "Shard",
    "Template",
    "TlsServer",
    "debian_programs",
    "find_programs",
    "fresh_cluster",
    "fresh_database",
    "fresh_databases",
    "shared_cluster",
    "tls_server",
]

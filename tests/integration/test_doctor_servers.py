"""What the doctor says of PostgreSQL servers."""

import msgspec

from atomic_guide.app.doctor import Finding, examine
from atomic_guide.config import Settings
from atomic_guide.engines.data.servers import migrate_servers
from atomic_guide.engines.data.settings import DataSettings, PostgresSettings, ReplicaSettings, ShardSettings
from atomic_guide.engines.data.vitals import examine_servers
from tests.engines import DIRECTORY, SHARD, declared
from tests.postgres import Cluster, Databases, TlsServer, fresh_databases


async def doctor(databases: DataSettings) -> dict[str, Finding]:
    said: list[Finding] = []
    await examine(Settings(data="/nonexistent", databases=databases), said.append)
    return {finding.part: finding for finding in said}


async def test_servers_that_are_well_and_the_failover_that_may_lose_writes(postgres_cluster: Cluster) -> None:
    async with fresh_databases(postgres_cluster, directory=DIRECTORY, shard=SHARD) as databases:
        found = await doctor(declared(databases))
    assert found["directory"].status == "ok", found["directory"]
    assert "PostgreSQL 1" in found["directory"].text
    assert "no TLS" in found["directory"].text
    assert found["shard-0"].status == "warning"
    assert "a failover can lose the last writes" in found["shard-0"].text
    assert "ANY 1" in found["shard-0"].remedy
    replicas = [finding for part, finding in found.items() if "-replica-" in part]
    assert {finding.status for finding in replicas} == {"ok"}
    assert all(finding.text.endswith("a replica") for finding in replicas)
    assert len(replicas) == sum(len(place.replicas) for place in databases.shards)


async def test_what_is_wrong_with_a_server_is_named(postgres_databases: Databases) -> None:
    empty = declared(postgres_databases)
    one, other = empty.servers
    wrong = msgspec.structs.replace(
        empty,
        servers=(
            msgspec.structs.replace(one, replicas=(ReplicaSettings(other.url),)),
            ShardSettings("shard-1", "postgresql://127.0.0.1:1/none"),
            ShardSettings("shard-2", one.replicas[0].url),
        ),
    )
    found = await doctor(wrong)
    assert found["directory"].remedy.startswith("run `atomic-guide migrate`")
    assert "this program needs schema" in found["shard-0"].text
    assert "takes writes of its own" in found["shard-0-replica-1"].text
    assert "follows another server" in found["shard-2"].text
    assert found["shard-1"].status == "failed"
    assert found["shard-1"].remedy == "start it, or correct its address in databases"
    await migrate_servers(empty)
    assert (await doctor(empty))["directory"].status == "ok"


async def test_encryption_is_seen(postgres_with_tls: TlsServer) -> None:
    server = postgres_with_tls.server
    settings = DataSettings(
        directory=server.dsn(),
        servers=(ShardSettings("shard-0", server.dsn("template1")),),
        postgresql=PostgresSettings(tls="verify-full", tls_ca=str(postgres_with_tls.authority)),
    )
    assert [vitals.tls for vitals in await examine_servers(settings)] == [True, True]

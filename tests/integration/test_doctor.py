"""`atomic-guide doctor` and `atomic-guide settings` as people run them."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from atomic_guide.engines.data.embedded import migrate_embedded
from atomic_guide.engines.data.settings import DataSettings
from tests.running import RunningServer, running_server

SECONDS = 50


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATOMIC_GUIDE_")}
    environment |= {f"ATOMIC_GUIDE_{name}": value for name, value in variables.items()}
    command = [sys.executable, "-m", "atomic_guide.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, env=environment)


def doctor(data: Path, **variables: str) -> tuple[int, dict[str, dict[str, Any]]]:
    variables = {"SERVER_PORT": "0", **variables}
    done = run("doctor", "--data", str(data), "--json", **variables)
    findings = json.loads(done.stdout)["findings"]
    return done.returncode, {finding["part"]: finding for finding in findings}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("doctor") / "data") as found:
        yield found


def test_a_new_installation_is_well_and_nothing_is_made(tmp_path: Path) -> None:
    code, found = doctor(tmp_path / "data")
    assert code == 0, found
    assert {finding["status"] for finding in found.values()} == {"ok"}
    assert found["nats-server"]["text"].startswith("nats-server: v2")
    assert found["ffmpeg"]["text"] == "runs under its limits"
    assert found["rooms"]["text"].startswith("a message ")
    assert not (tmp_path / "data").exists()


def test_the_program_of_the_log_is_looked_for_where_a_log_is_kept(tmp_path: Path) -> None:
    assert "litestream" not in doctor(tmp_path / "data")[1]
    assert doctor(tmp_path / "data", BACKUPS_LOG_ENABLED="true")[1]["litestream"]["status"] == "ok"
    code, found = doctor(tmp_path / "data", BACKUPS_LOG_ENABLED="true", BACKUPS_LOG_BINARY=str(tmp_path / "none"))
    assert code != 0
    assert "set backups.log.binary" in found["litestream"]["text"]


def test_a_running_server_is_seen_and_not_disturbed(server: RunningServer) -> None:
    code, found = doctor(server.data, SERVER_PORT=server.url.rpartition(":")[2])
    assert code == 0, found
    assert f"at {server.url}" in found["data directory"]["text"]
    assert found["port"]["text"] == "the server of this data directory answers there and is ready"
    assert found["shard-0"]["text"].endswith("no damage")
    with server.enter() as client:
        assert client.get("/readyz").json()["status"] == "ready"


def test_the_port_of_another_server_is_in_the_way_only_where_none_runs(server: RunningServer, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    code, found = doctor(tmp_path / "data", SERVER_PORT=port)
    assert (code, found["port"]["status"]) == (1, "failed")
    assert "by an Atomic Guide server of another data directory" in found["port"]["text"]
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        code, found = doctor(server.data, SERVER_PORT=str(taken))
    assert code == 0, found
    assert found["port"]["text"] == f"the server of this data directory listens on {port}, not on {taken}"


def test_whatever_listens_on_the_port_of_the_settings_is_not_given_the_token(tmp_path: Path) -> None:
    token = "a token of operators that nobody else may hear"
    (tmp_path / "operator-token").write_text(token, encoding="utf-8")
    heard: list[str] = []

    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(f"{self.path} {self.headers}")
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        _, found = doctor(tmp_path, SERVER_PORT=str(stranger.server_port))
        stranger.shutdown()
    assert heard, "the doctor looks what is on the port"
    assert found["port"]["status"] == "failed"
    assert not [one for one in heard if token in one or "authorization" in one.lower()]
    assert "limits" in found


def test_limits_with_room_are_one_line_unless_all_are_asked_for(server: RunningServer) -> None:
    short = run("doctor", "--data", str(server.data)).stdout
    assert "ok       limits: " in short
    assert "limit room_sockets" not in short
    assert "limit room_sockets: " in run("doctor", "--data", str(server.data), "--all").stdout


def test_a_damaged_database_is_named_with_a_remedy(tmp_path: Path) -> None:
    migrate_embedded(tmp_path, DataSettings())
    (tmp_path / "databases" / "shard-2.sqlite").write_bytes(b"not a database, whatever it says" * 100)
    page = tmp_path / "databases" / "shard-1.sqlite"
    content = bytearray(page.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    page.write_bytes(content)
    tmp_path.chmod(0o700)
    done = run("doctor", "--data", str(tmp_path), SERVER_PORT="0")
    assert done.returncode == 1
    assert "FAILED   shard-1: damaged" in done.stdout
    assert "FAILED   shard-2: damaged: file is not a database" in done.stdout
    assert "put back a backup" in done.stdout
    assert done.stderr.strip().endswith("checks failed: shard-1, shard-2")


def test_a_directory_that_others_read_is_a_warning(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    done = run("doctor", "--data", str(tmp_path), SERVER_PORT="0")
    assert done.returncode == 0
    assert "warning  data directory:" in done.stdout
    assert f"chmod 700 {tmp_path}" in done.stdout


def test_a_shard_that_the_settings_leave_out_is_a_failure(tmp_path: Path) -> None:
    migrate_embedded(tmp_path, DataSettings(shards=3))
    code, found = doctor(tmp_path, DATABASES_SHARDS="2")
    assert code == 1
    assert found["shard-2"]["remedy"] == "raise databases.shards"


@pytest.mark.parametrize(
    ("variables", "part", "status"),
    [
        ({"SERVER_PUBLIC_URL": "http://guide.invalid"}, "address", "failed"),
        ({"SERVER_PUBLIC_URL": "https://guide.invalid"}, "address", "warning"),
        ({"SERVER_PUBLIC_URL": "https://guide.invalid", "SERVER_TRUSTED_PROXIES": "10.0.0.1"}, "address", "ok"),
        ({"SERVER_HOST": "0.0.0.0"}, "address", "failed"),  # noqa: S104 - refused
        ({"SERVER_TLS_CERTIFICATE": "/nowhere.pem"}, "certificate", "failed"),
        ({"LOADTEST_TARGET": "true"}, "load tests", "warning"),
        ({"NATS_BINARY": "/nowhere/nats-server"}, "nats-server", "failed"),
        ({"NATS_URL": "nats://127.0.0.1:1"}, "nats-server", "warning"),
        ({"VIDEO_FFMPEG": "/nowhere/ffmpeg"}, "ffmpeg", "failed"),
        ({"ASSETS_LEAST_FREE_BYTES": str(2**62)}, "disk", "failed"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, variables: dict[str, str], part: str, status: str) -> None:
    code, found = doctor(tmp_path / "data", **variables)
    finding = found[part]
    assert finding["status"] == status, finding
    assert bool(finding.get("remedy")) == (status != "ok")
    assert code == (status == "failed")


def test_settings_say_unit_default_and_reason() -> None:
    done = run("settings", "--json", ANALYTICS_PRIVACY_THRESHOLD="8", OPERATOR_TOKEN="a-token-that-stays-secret")
    rows = {row["key"]: row for row in json.loads(done.stdout)["settings"]}
    assert all(row["unit"] and row["reason"] for row in rows.values()), [
        row for row in rows.values() if not (row["unit"] and row["reason"])
    ]
    assert rows["analytics.privacy_threshold"]["value"] == 8
    assert rows["analytics.privacy_threshold"]["default"] == 5
    assert rows["operator_token"]["value"] == "(set)"
    assert "stays-secret" not in done.stdout


def test_settings_print_what_was_changed_and_the_reference_page() -> None:
    changed = run("settings", "--changed", DATABASES_SHARDS="2").stdout
    assert changed.startswith(
        "databases.shards = 2 files (default 4; from environment ATOMIC_GUIDE_DATABASES_SHARDS)\n"
    )
    assert "sessions" not in changed
    page = run("settings", "--markdown").stdout
    assert "| `databases.shards`<br>`ATOMIC_GUIDE_DATABASES_SHARDS` | `4` | files |" in page


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"ANALYTICS_PRIVACY_THRESHOLD": "4"}, "analytics.privacy_threshold"),
        ({"ANALYTICS_PRIVACI_THRESHOLD": "5"}, "did you mean ATOMIC_GUIDE_ANALYTICS_PRIVACY_THRESHOLD?"),
    ],
)
def test_impossible_settings_are_refused_by_name(variables: dict[str, str], said: str) -> None:
    done = run("settings", **variables)
    assert done.returncode == 1
    assert said in done.stderr

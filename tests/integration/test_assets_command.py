"""`atomic-guide assets`, /api/ops/assets and the CDN, over a store in a directory beside the data directory."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from atomic_guide.app.keeping.assembly import assembled
from atomic_guide.config import Settings
from atomic_guide.course.keeping.survey import Whom
from atomic_guide.engines.assets.settings import AssetSettings, CdnSettings, StoreSettings, check_assets
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.errors import ConfigurationError
from tests.copying import PLAIN, assets, copied, course
from tests.media import OPERATOR, clip, code
from tests.webhooks import receiver

pytestmark = pytest.mark.timeout(180)
TOKEN = "token-of-the-cdn"


@pytest.fixture(scope="module")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return clip(tmp_path_factory.mktemp("clip") / "a.mp4", size="320x180", seconds=1).read_bytes()


class Command:
    """The command over a data directory with a second store."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        stores = [{"name": "disk", "region": "us", "directory": str(folder / "disk")}]
        self._variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ATOMIC_GUIDE_")},
            "ATOMIC_GUIDE_DATABASES_SHARDS": "2",
            "ATOMIC_GUIDE_ASSETS_STORES": json.dumps(stores),
        }

    async def __call__(self, *arguments: str, fails: bool = False) -> dict[str, Any]:
        command = [sys.executable, "-m", "atomic_guide.cli", "assets", *arguments, "--json"]
        command += ["--data", str(self._folder / "data")]
        ran = await asyncio.to_thread(
            subprocess.run, command, check=False, capture_output=True, text=True, timeout=90, env=self._variables
        )
        assert ran.returncode == (1 if fails else 0), ran.stderr
        assert not fails or "assets repair" in ran.stderr.strip().splitlines()[-1]
        found: dict[str, Any] = json.loads(ran.stdout)
        return found


async def test_an_operator_sees_finds_and_heals(tmp_path: Path, lecture: bytes) -> None:
    disk = StoreSettings("disk", "us", directory=str(tmp_path / "disk"))
    ask = Command(tmp_path)
    async with course(tmp_path, lecture, assets(disk)) as made:
        _, place = await made.entry()
        listed = (await ask("replicas"))["replicas"]
        assert [(one["store"], one["state"], one["done"] == one["objects"]) for one in listed] == [
            ("disk", "verified", True),
            ("local", "verified", True),
        ]
        assert (await ask("replicas", "--state", "failed"))["replicas"] == []
        near = (await ask("where", made.video, "--region", "us"))["stores"]
        assert {one["store"]: (one["region"], one["nearest"]) for one in near} == {
            "disk": ("us", True),
            "local": ("", False),
        }
        assert (await ask("verify"))["wrong"] == 0
        path = tmp_path / "disk" / place
        good = path.read_bytes()
        path.write_bytes(good[:-1])
        found = await ask("verify", "--store", "disk", fails=True)
        assert [(one["name"], one["outcome"]) for one in found["copies"][0]["findings"]] == [(PLAIN, "truncated")]
        assert path.read_bytes() == good[:-1], "it only looks"
        kept = {one["store"]: one for one in (await ask("where", made.video))["stores"]}
        assert kept["disk"]["counts"] == {"verified": kept["local"]["counts"]["verified"] - 1, "truncated": 1}
        assert [(one["name"], one["state"]) for one in kept["disk"]["objects"]] == [(PLAIN, "truncated")]
        assert kept["local"]["objects"] == []
        failed = (await ask("replicas", "--state", "failed"))["replicas"]
        assert [one["wrong"] for one in failed] == [{"objects": {PLAIN: "truncated"}, "more": 0}]
        # Copying anew does not take for there what was found wrong.
        listing = await made.listed()
        await made.spread.note(listing.key, listing.place, made.video)
        await copied(made.studio, made.video, "verified")
        assert path.read_bytes() == good
        path.write_bytes(good[:-1])
        healed = await ask("repair", "--lecture", made.video)
        assert (healed["wrong"], healed["open"]) == (1, 0)
        assert path.read_bytes() == good
        await made.teacher.delete(f"/api/video/{made.video}")
        for _ in range(600):
            if (latest := await made.spread.deletions.latest(1)) and latest[0].finished_at:
                break
            await asyncio.sleep(0.05)
        receipts = (await ask("deletions"))["deletions"]
        assert receipts[0]["genuine"]
        assert [(one["store"], one["error"]) for one in receipts[0]["stores"]] == [("disk", None)]
        assert [path for path in (tmp_path / "disk").rglob("*") if path.is_file()] == []


async def test_operators_see_the_same_over_http(tmp_path: Path, lecture: bytes) -> None:
    disk = StoreSettings("disk", "us", directory=str(tmp_path / "disk"))
    async with course(tmp_path, lecture, assets(disk)) as made:
        app = httpx.ASGITransport(made.studio.app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {OPERATOR}"}
        async with httpx.AsyncClient(transport=app, base_url="http://tool.test", headers=headers) as operator:
            shown = (await operator.get("/api/ops/assets")).json()
            assert [(one["name"], one["kind"], one["state"]) for one in shown["stores"]] == [
                ("disk", "directory", "closed")
            ]
            assert shown["stores"][0]["calls"]["put ok"] > 0
            assert {(one["store"], one["state"]) for one in shown["copies"]} == {
                ("disk", "verified"),
                ("local", "verified"),
            }
            first = (await operator.get("/api/ops/assets/replicas?limit=1")).json()
            assert [one["store"] for one in first["replicas"]] == ["disk"]
            # As in all other answers, times are UTC and end with Z.
            times = [one[name] for one in first["replicas"] for name in ("changed_at", "verified_at")]
            times += [one["oldest"] for one in shown["copies"]]
            now = datetime.now(UTC)
            assert all(
                one.endswith("Z") and now - timedelta(hours=1) < datetime.fromisoformat(one) <= now for one in times
            )
            rest = (await operator.get("/api/ops/assets/replicas", params={"after": first["next"]})).json()
            assert [one["store"] for one in rest["replicas"]] == ["local"]
            assert (await operator.get("/api/ops/assets/deletions")).json() == {"deletions": []}
            _, place = await made.entry()
            (tmp_path / "disk" / place).unlink()
            unknown = await operator.post("/api/ops/assets/repair", json={"store": "disc"})
            assert code(unknown) == (404, "NOT_FOUND")
            assert "no store is called disc; there are local, disk" in unknown.text
            asked = await operator.post("/api/ops/assets/repair", json={"store": "disk"})
            assert (asked.status_code, asked.json()) == (202, {"asked": 1})
            for _ in range(600):
                if made.spread.parts.found["missing", "healed"]:
                    break
                await asyncio.sleep(0.05)
            assert (tmp_path / "disk" / place).is_file()
        assert code(await made.teacher.get("/api/ops/assets")) == (401, "UNAUTHENTICATED")


async def test_an_erased_tenant_goes_from_every_store_and_the_receipt_says_so(tmp_path: Path, lecture: bytes) -> None:
    disk = StoreSettings("disk", "us", directory=str(tmp_path / "disk"))
    settings = Settings(data=str(tmp_path / "data"), assets=assets(disk), databases=DataSettings(shards=2))
    async with course(tmp_path, lecture, assets(disk)) as made:
        keeping = await assembled(settings, tmp_path / "data", made.studio.shards)
        keeping.erasures.notice_seconds = 0
        receipt = await keeping.erasures.erase(Whom(tenant="t-test"))
        assert re.fullmatch(r"\d+ objects removed", receipt.copies["store disk"])
        assert [path for path in (tmp_path / "disk").rglob("*") if path.is_file()] == []
        assert await made.spread.parts.catalog.counts() == []
        assert await made.spread.parts.catalog.find("t-test", made.video) is None
        kept = (await made.spread.deletions.latest(1))[0]
        assert made.spread.deletions.is_sealed(kept)
        assert "t-test" not in json.dumps(msgspec.to_builtins(kept))


async def test_a_cdn_is_told_until_it_takes_it(tmp_path: Path, lecture: bytes) -> None:
    with receiver() as hook:
        hook.answers += [(503, {}), (429, {})]
        disk = StoreSettings("disk", "us", directory=str(tmp_path / "disk"))
        bucket = StoreSettings("far", "us", "elsewhere", bucket="lectures", public="https://cdn.example")
        settings = AssetSettings(
            least_free_bytes=0, stores=(disk, bucket), cdn=CdnSettings(purge_url=hook.url, token=TOKEN)
        )
        async with course(tmp_path, lecture, settings) as made:
            prefix = (await made.listed()).prefix
            await made.teacher.delete(f"/api/video/{made.video}")
            for _ in range(600):
                if made.spread.parts.purged:
                    break
                await asyncio.sleep(0.05)
            taken = hook.received[-1]
            assert json.loads(taken.body)["prefixes"] == [f"cdn.example/lectures/{prefix}/"]
            signed = f"{taken.headers['webhook-id']}.{taken.headers['webhook-timestamp']}.".encode() + taken.body
            mac = base64.b64encode(hmac.digest(TOKEN.encode(), signed, hashlib.sha256)).decode()
            assert taken.headers["webhook-signature"] == f"v1,{mac}"
            assert taken.headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("stores", "said"),
    [
        ([StoreSettings("local", directory="x")], "data directory's own"),
        ([StoreSettings("a", directory="x"), StoreSettings("a", directory="y")], "used twice"),
        ([StoreSettings("a")], "needs a directory or a bucket"),
        ([StoreSettings("a", directory="x", bucket="lectures")], "and not both"),
        ([StoreSettings("a", bucket="lectures", access_key="k")], "set both"),
    ],
)
def test_stores_that_cannot_be_are_refused_by_name(stores: list[StoreSettings], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        check_assets(AssetSettings(stores=tuple(stores)))

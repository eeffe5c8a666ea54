"""The fake API server refuses what a real one would, so that a client which passes it is one that Kubernetes takes."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.kubernetes import MERGE, NAMESPACE, FakeKubernetes, fake_kubernetes
from tests.kubernetes_fleets import WORKER

BELOW = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
SCALE = f"{BELOW}/{WORKER}/scale"


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[FakeKubernetes]:
    async with fake_kubernetes(tmp_path) as made:
        made.deployment(WORKER, 4)
        yield made


async def ask(fake: FakeKubernetes, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    sent = {"Authorization": f"Bearer {fake.token}", "Accept": "application/json", "Content-Type": MERGE, **headers}
    trust = ssl.create_default_context(cafile=str(fake.folder / "ca.crt"))
    async with httpx.AsyncClient(base_url=fake.url, verify=trust, timeout=20) as client:
        return await client.request(method, path, json=body, headers=sent)


def patch(fake: FakeKubernetes, **changes: Any) -> dict[str, Any]:
    version = fake.objects["deployments", WORKER]["metadata"]["resourceVersion"]
    return {"metadata": {"resourceVersion": version}, "spec": {"replicas": 6}, **changes}


async def test_it_serves_what_is_right(fake: FakeKubernetes) -> None:
    assert (await ask(fake, "GET", f"{BELOW}/{WORKER}")).json()["spec"]["replicas"] == 4
    answer = await ask(fake, "PATCH", SCALE, patch(fake))
    assert answer.status_code == 200
    assert (answer.json()["kind"], answer.json()["spec"]) == ("Scale", {"replicas": 6})
    assert fake.count("deployments", WORKER) == 6
    assert fake.problems == []


async def test_a_rehearsal_changes_nothing(fake: FakeKubernetes) -> None:
    answer = await ask(fake, "PATCH", f"{SCALE}?dryRun=All", patch(fake))
    assert (answer.status_code, answer.json()["spec"]) == (200, {"replicas": 6})
    assert fake.count("deployments", WORKER) == 4


@pytest.mark.parametrize(
    ("status", "method", "path", "headers"),
    [
        (401, "GET", f"{BELOW}/{WORKER}", {"Authorization": "Bearer old"}),
        (403, "GET", f"{BELOW}/another", {}),
        (403, "GET", BELOW, {}),
        (403, "PUT", SCALE, {}),
        (403, "PATCH", f"{BELOW}/{WORKER}", {}),
        (403, "GET", f"/apis/apps/v1/namespaces/other/deployments/{WORKER}", {}),
        (404, "GET", f"/apis/apps/v1beta1/namespaces/{NAMESPACE}/deployments/{WORKER}", {}),
        (404, "GET", f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/deployments/{WORKER}", {}),
        (404, "GET", f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/{WORKER}", {}),
        (404, "GET", f"/apis/apps/v1/deployments/{WORKER}", {}),
        (405, "DELETE", f"{BELOW}/{WORKER}", {}),
        (406, "GET", f"{BELOW}/{WORKER}", {"Accept": "text/html"}),
        (400, "GET", f"{BELOW}/{WORKER}?watch=true", {}),
        (400, "PATCH", f"{SCALE}?dryRun=yes", {}),
        (415, "PATCH", SCALE, {"Content-Type": "application/json"}),
        (415, "PATCH", SCALE, {"Content-Type": "application/strategic-merge-patch+json"}),
    ],
)
async def test_it_refuses_a_request_of_a_wrong_form(
    fake: FakeKubernetes, status: int, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = await ask(fake, method, path, patch(fake) if method in {"PATCH", "PUT"} else None, **headers)
    assert answer.status_code == status
    assert fake.count("deployments", WORKER) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": {"replicas": "6"}},
        {"spec": {"replicas": 6.5}},
        {"spec": {"replicas": -1}},
        {"spec": {"replicas": 2**31}},
        {"spec": {"replicas": 6, "paused": True}},
        {"spec": None},
        {"replicas": 6},
        {"kind": "Deployment"},
        {"apiVersion": "apps/v1"},
    ],
)
async def test_it_refuses_a_body_that_is_no_scale(fake: FakeKubernetes, changes: dict[str, Any]) -> None:
    answer = await ask(fake, "PATCH", SCALE, patch(fake, **changes))
    assert (answer.status_code, answer.json()["reason"]) == (422, "Invalid")
    assert fake.count("deployments", WORKER) == 4


async def test_it_refuses_a_version_that_is_not_the_present_one(fake: FakeKubernetes) -> None:
    stale = patch(fake)
    fake.touch("deployments", WORKER)
    answer = await ask(fake, "PATCH", SCALE, stale)
    assert (answer.status_code, answer.json()["reason"]) == (409, "Conflict")
    assert fake.count("deployments", WORKER) == 4


async def test_it_tells_of_a_patch_that_overwrites_blindly(fake: FakeKubernetes) -> None:
    await ask(fake, "PATCH", SCALE, {"spec": {"replicas": 6}})
    assert fake.problems == ["a patch without a resource version overwrites what it has not seen"]

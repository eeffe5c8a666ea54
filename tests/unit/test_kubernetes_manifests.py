"""What we ship for Kubernetes is of the published schemas, and fits together."""

from __future__ import annotations

from typing import Any

import pytest

from atomic_guide.errors import ConfigurationError
from atomic_guide.operations.scaling.kubernetes import (
    ClusterSettings,
    DeploymentSettings,
    KubernetesSettings,
    check_kubernetes,
)
from tests.fakes.kubernetes import MANIFESTS, documents, faults

FILES = sorted(path.name for path in MANIFESTS.glob("*.yaml"))
SHIPPED = [pytest.param(one, id=f"{file} {one['kind']}") for file in FILES for one in documents(file)]


@pytest.mark.parametrize("document", SHIPPED)
def test_a_manifest_is_of_its_schema(document: dict[str, Any]) -> None:
    assert faults(document, document["kind"]) == []


def test_a_schema_refuses_what_it_does_not_know() -> None:
    [role] = [one for one in documents("rbac.yaml") if one["kind"] == "Role"]
    assert faults({**role, "rules": [{**role["rules"][0], "verb": ["get"]}]}, "Role")
    assert faults({**role, "apiVersion": "v1"}, "Role")


def test_the_role_is_of_a_namespace_and_may_change_a_scale_only() -> None:
    found = documents("rbac.yaml")
    assert [one["kind"] for one in found] == ["ServiceAccount", "Role", "RoleBinding"]
    account, role, binding = found
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account["metadata"]["name"]}]
    changing = [rule for rule in role["rules"] if set(rule["verbs"]) - {"get", "list"}]
    assert {resource for rule in changing for resource in rule["resources"]} == {"deployments/scale", "clusters/scale"}
    assert all(rule.get("resourceNames") for rule in role["rules"] if rule["verbs"] != ["list"])
    assert "*" not in str(role)


def test_keda_reads_the_number_with_a_token_from_a_secret() -> None:
    authentication, scaled = documents("scaledobject.yaml")
    [trigger] = scaled["spec"]["triggers"]
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    assert authentication["spec"]["secretTargetRef"][0]["parameter"] == "token"
    assert trigger["metadata"]["authMode"] == "bearer"
    assert scaled["spec"]["fallback"]["behavior"] == "currentReplicasIfHigher"


def test_one_deployment_is_not_two_fleets() -> None:
    with pytest.raises(ConfigurationError, match=r"kubernetes.web.deployment and kubernetes.workers.deployment"):
        check_kubernetes(KubernetesSettings(web=DeploymentSettings("guide"), workers=DeploymentSettings("guide")))


@pytest.mark.parametrize("second", [ClusterSettings("a", "other"), ClusterSettings("b", "one")])
def test_a_shard_and_a_cluster_stand_once(second: ClusterSettings) -> None:
    with pytest.raises(ConfigurationError, match=r"kubernetes.clusters: the .* stands there twice"):
        check_kubernetes(KubernetesSettings(clusters=(ClusterSettings("a", "one"), second)))


def test_nothing_is_in_kubernetes_unless_it_is_said() -> None:
    assert not KubernetesSettings().on
    check_kubernetes(KubernetesSettings())

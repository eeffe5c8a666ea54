"""A fake of Kubernetes' API server, for tests: HTTPS on loopback, strict about what it is asked.

It is no Kubernetes: there are no controllers, so that pods and instances are what a test says. It holds a client to
what a server does: paths, verbs, media types, the bearer token, rights (of the Role that we ship), resource versions
and the schema of each body. What a client did wrong is in `problems` too, for those who would not notice an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
import yaml  # type: ignore[import-untyped]
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.kubernetes_schemas import SCHEMAS, as_patch
from tests.fakes.platform import serving
from tests.postgres.tls import certificate, pem

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "deploy" / "kubernetes"
NAMESPACE = "guide"
MERGE = "application/merge-patch+json"
QUERIES = {
    "get": {"resourceVersion"},
    "list": {"limit", "continue"},
    "patch": {"fieldManager", "fieldValidation", "dryRun"},
}
PARSED = {
    "Scale": jsonschema_rs.validator_for(SCHEMAS["Scale"]),
    "patch": jsonschema_rs.validator_for(as_patch(SCHEMAS["Scale"])),
}


class Resource(NamedTuple):
    """Where a kind is, and where the number is that its scale sets."""

    group: str
    version: str
    kind: str
    counted: str = ""


RESOURCES = {
    "deployments": Resource("apps", "v1", "Deployment", "replicas"),
    "clusters": Resource("postgresql.cnpg.io", "v1", "Cluster", "instances"),
    "horizontalpodautoscalers": Resource("autoscaling", "v2", "HorizontalPodAutoscaler"),
    "scaledobjects": Resource("keda.sh", "v1alpha1", "ScaledObject"),
}


class Asked(NamedTuple):
    """A request that was understood."""

    verb: str
    plural: str
    name: str
    part: str
    rehearsed: bool

    @property
    def resource(self) -> str:
        return f"{self.plural}/{self.part}" if self.part else self.plural


class Failure(NamedTuple):
    """An answer in place of the true one; `seconds` is how long it takes."""

    status: int
    headers: dict[str, str] | None = None
    seconds: float = 0.0
    done: bool = False
    """The change is made all the same, and only its answer is lost."""


class Refused(Exception):
    """A request that is not served; `wrong` where a client that knows the API would not have sent it."""

    def __init__(self, status: int, reason: str, message: str, *, wrong: bool = True) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.wrong = wrong


def documents(name: str) -> list[dict[str, Any]]:
    """The objects of a manifest that we ship."""
    return list(yaml.safe_load_all((MANIFESTS / name).read_text(encoding="utf-8")))


def faults(value: Any, kind: str) -> list[str]:
    """What a schema says against an object."""
    found = jsonschema_rs.validator_for(SCHEMAS[kind]).iter_errors(value)
    return [f"{'.'.join(str(part) for part in one.instance_path)}: {one.message}" for one in found]


class FakeKubernetes:
    """Objects of one namespace and who may do what with them."""

    def __init__(self, folder: Path) -> None:
        self.url = ""
        self.folder = folder
        self.token = ""
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.absent: set[str] = set()
        """Kinds that this cluster does not know."""
        self.rules: list[dict[str, Any]] = next(one for one in documents("rbac.yaml") if one["kind"] == "Role")["rules"]
        self.asked: list[Asked] = []
        self.problems: list[str] = []
        self.failures: dict[str, list[Failure]] = {}
        """The next answers by verb (`rehearse` with dryRun) and resource, such as `patch deployments/scale`."""
        self.before_write: Callable[[], Awaitable[None]] | None = None
        self.page = 500
        self._version = 1000
        self.rotate()
        (folder / "namespace").write_text(NAMESPACE, encoding="ascii")

    def rotate(self, *, mount: bool = True) -> None:
        """A new token in place of the old one; `mount` writes it where pods read it."""
        self.token = secrets.token_urlsafe(24)
        if mount:
            (self.folder / "token").write_text(self.token, encoding="ascii")

    def put(self, plural: str, name: str, spec: dict[str, Any], **parts: Any) -> dict[str, Any]:
        """Create an object, or change it from outside."""
        resource = RESOURCES[plural]
        metadata = {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", **parts.pop("metadata", {})}
        made = {"apiVersion": f"{resource.group}/{resource.version}", "kind": resource.kind, "metadata": metadata}
        made |= {"spec": spec, **parts}
        self.objects[plural, name] = made
        self._touch(made)
        if wrong := faults(made, resource.kind):
            raise AssertionError(f"the test's own {resource.kind} is none: {wrong}")
        return made

    def deployment(self, name: str, count: int, ready: int | None = None, **status: Any) -> dict[str, Any]:
        """A Deployment whose pods are as the test says."""
        labels = {"app": name}
        spec = {"replicas": count, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}
        there = count if ready is None else ready
        found = {"replicas": count, "readyReplicas": there, "updatedReplicas": count, **status}
        return self.put("deployments", name, spec, status=found)

    def cluster(self, name: str, instances: int, ready: int | None = None, **spec: Any) -> dict[str, Any]:
        """A Cluster of CloudNativePG."""
        there = instances if ready is None else ready
        status = {"instances": there, "readyInstances": there, "currentPrimary": f"{name}-1"}
        status["targetPrimary"] = f"{name}-1"
        return self.put("clusters", name, {"instances": instances, **spec}, status=status)

    def count(self, plural: str, name: str) -> int:
        """What is set now."""
        return int(self.objects[plural, name]["spec"][RESOURCES[plural].counted])

    def writes(self) -> list[Asked]:
        """The changes that were asked for."""
        return [one for one in self.asked if one.verb not in {"get", "list"} and not one.rehearsed]

    def set_count(self, plural: str, name: str, count: int) -> None:
        """Somebody else sets the number."""
        found = self.objects[plural, name]
        found["spec"][RESOURCES[plural].counted] = count
        self._touch(found)

    def touch(self, plural: str, name: str) -> None:
        """The object changes without its number, as with every pod that comes or goes."""
        self.objects[plural, name]["metadata"]["resourceVersion"] = self._next()

    def _touch(self, found: dict[str, Any]) -> None:
        metadata = found["metadata"]
        metadata["resourceVersion"] = self._next()
        metadata["generation"] = metadata.get("generation", 0) + 1

    def _next(self) -> str:
        self._version += 1
        return str(self._version)

    async def answer(self, request: Request) -> Response:
        """One request, as a server would treat it."""
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return _status(401, "Unauthorized", "Unauthorized")
        try:
            asked = self._understood(request)
            self.asked.append(asked)
            what = "rehearse" if asked.rehearsed else asked.verb
            failures = self.failures.get(f"{what} {asked.resource}", [])
            failure = failures.pop(0) if failures else None
            if failure is None:
                return await self._serve(asked, request)
            if failure.done:
                await self._serve(asked, request)
            await asyncio.sleep(failure.seconds)
            return _status(failure.status, "Failure", "the test says so", failure.headers)
        except Refused as error:
            if error.wrong:
                self.problems.append(f"{error.status} {error.message}")
            return _status(error.status, error.reason, error.message)

    def _understood(self, request: Request) -> Asked:
        """What is asked, if it is a request of a kind that there is, in a form that is taken, by somebody who may."""
        plural, name = request.path_params["plural"], request.path_params.get("name", "")
        part = request.path_params.get("part", "")
        if plural in self.absent:
            raise Refused(404, "NotFound", "404 page not found", wrong=False)
        resource = RESOURCES.get(plural)
        where = (request.path_params["group"], request.path_params["version"])
        if resource is None or where != resource[:2] or part not in {"", "scale"}:
            raise Refused(404, "NotFound", f"no such path: {request.url.path}")
        if request.path_params["namespace"] != NAMESPACE:
            raise Refused(403, "Forbidden", f"namespace {request.path_params['namespace']}")
        verb = {"GET": "get" if name else "list", "PATCH": "patch", "PUT": "update"}.get(request.method)
        if verb is None:
            raise Refused(405, "MethodNotAllowed", f"{request.method} {request.url.path}")
        rehearsed = request.query_params.get("dryRun")
        if rehearsed not in {None, "All"}:
            raise Refused(400, "BadRequest", f"dryRun: {rehearsed}")
        asked = Asked(verb, plural, name, part, rehearsed is not None)
        if not self._may(asked):
            said = f'{resource.kind} "{name}" is forbidden: cannot {verb} resource "{asked.resource}"'
            raise Refused(403, "Forbidden", said)
        if "application/json" not in request.headers.get("accept", ""):
            raise Refused(406, "NotAcceptable", f"Accept: {request.headers.get('accept')}")
        if unknown := set(request.query_params) - QUERIES.get(verb, set()):
            raise Refused(400, "BadRequest", f"unknown parameters of a {verb}: {sorted(unknown)}")
        return asked

    def _may(self, asked: Asked) -> bool:
        group = RESOURCES[asked.plural].group
        return any(
            group in rule["apiGroups"]
            and asked.resource in rule["resources"]
            and asked.verb in rule["verbs"]
            and ("resourceNames" not in rule or asked.name in rule["resourceNames"])
            for rule in self.rules
        )

    async def _serve(self, asked: Asked, request: Request) -> Response:
        if asked.verb == "list":
            return self._list(asked.plural, request)
        found = self.objects.get((asked.plural, asked.name))
        if found is None:
            kind = RESOURCES[asked.plural]
            raise Refused(404, "NotFound", f'{asked.plural}.{kind.group} "{asked.name}" not found', wrong=False)
        if asked.verb == "get" and not asked.part:
            return JSONResponse(found)
        if asked.verb == "patch" and asked.part == "scale":
            return await self._patch_scale(asked, found, request)
        raise Refused(405, "MethodNotAllowed", f"{asked.verb} {asked.resource}")

    def _list(self, plural: str, request: Request) -> Response:
        kind = RESOURCES[plural]
        every = [one for (of, _), one in sorted(self.objects.items()) if of == plural]
        start = int(request.query_params.get("continue") or 0)
        size = min(int(request.query_params.get("limit") or self.page), self.page)
        metadata = {"resourceVersion": str(self._version)}
        if start + size < len(every):
            metadata["continue"] = str(start + size)
        # Items of a list carry neither their kind nor its version.
        items = [{name: value for name, value in one.items() if name not in {"kind", "apiVersion"}} for one in every]
        body = {"kind": f"{kind.kind}List", "apiVersion": f"{kind.group}/{kind.version}", "metadata": metadata}
        return JSONResponse({**body, "items": items[start : start + size]})

    async def _patch_scale(self, asked: Asked, found: dict[str, Any], request: Request) -> Response:
        if request.headers.get("content-type") != MERGE:
            raise Refused(415, "UnsupportedMediaType", f"Content-Type {request.headers.get('content-type')}")
        try:
            patch = json.loads(await request.body())
        except ValueError as error:
            raise Refused(400, "BadRequest", f"no JSON: {error}") from error
        if wrong := [one.message for one in PARSED["patch"].iter_errors(patch)]:
            raise Refused(422, "Invalid", f"Scale: {wrong}")
        if self.before_write is not None and not asked.rehearsed:
            await self.before_write()
        scale = _merged(self._scale(asked, found), patch)
        if wrong := [one.message for one in PARSED["Scale"].iter_errors(scale)]:
            raise Refused(422, "Invalid", f"Scale: {wrong}")
        if scale["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            said = f'Operation cannot be fulfilled on {asked.plural} "{asked.name}": the object has been modified'
            raise Refused(409, "Conflict", said, wrong=False)
        if "resourceVersion" not in patch.get("metadata", {}):
            self.problems.append("a patch without a resource version overwrites what it has not seen")
        if asked.rehearsed:
            return JSONResponse(scale)
        count = RESOURCES[asked.plural].counted
        if found["spec"][count] != scale["spec"]["replicas"]:
            found["spec"][count] = scale["spec"]["replicas"]
            self._touch(found)
        return JSONResponse(self._scale(asked, found))

    def _scale(self, asked: Asked, found: dict[str, Any]) -> dict[str, Any]:
        kind = RESOURCES[asked.plural]
        kept = ("name", "namespace", "uid", "resourceVersion")
        return {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {name: found["metadata"][name] for name in kept},
            "spec": {"replicas": found["spec"][kind.counted]},
            "status": {"replicas": found["status"][kind.counted], "selector": f"app={asked.name}"},
        }

    def app(self) -> Starlette:
        below = "/apis/{group}/{version}/namespaces/{namespace}/{plural}"
        methods = ["GET", "PUT", "PATCH", "POST", "DELETE"]
        paths = [below, f"{below}/{{name}}", f"{below}/{{name}}/{{part}}"]
        return Starlette(routes=[Route(path, self.answer, methods=methods) for path in paths])


def _status(code: int, reason: str, message: str, headers: dict[str, str] | None = None) -> Response:
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason}
    return JSONResponse({**body, "message": message, "code": code}, code, headers)


def _merged(into: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = copy.deepcopy(into) if isinstance(into, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result


def certify(folder: Path) -> tuple[Path, Path]:
    """A new authority in `ca.crt`, and the certificate and key of a server that it signed."""
    signer, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    (folder / "ca.crt").write_bytes(pem(certificate(signer, signer)))
    chain, secret = folder / "server.crt", folder / "server.key"
    chain.write_bytes(pem(certificate(key, signer)))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    secret.write_bytes(key.private_bytes(*form))
    return chain, secret


@contextlib.asynccontextmanager
async def fake_kubernetes(folder: Path) -> AsyncIterator[FakeKubernetes]:
    """A server that answers; `folder` gets what a pod finds mounted: token, ca.crt, namespace."""
    fake = FakeKubernetes(folder)
    chain, key = certify(folder)
    async with serving(fake.app(), ssl_certfile=str(chain), ssl_keyfile=str(key)) as url:
        fake.url = url
        yield fake

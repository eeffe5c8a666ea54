"""Uploading a video: a form in one request, or tus 1.0 in as many as it takes.

tus (https://tus.io/protocols/resumable-upload): core, creation, creation-with-upload, expiration,
termination, checksum.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import re
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from atomic_guide import errors
from atomic_guide.course.video.limits import UPLOAD_BYTES
from atomic_guide.course.video.spool import CHECKSUMS, Checksum
from atomic_guide.course.video.upload import Upload, checked_title, shown_filename
from atomic_guide.web.crossing import BEGAN
from atomic_guide.web.idempotency import Hashed
from atomic_guide.web.multipart import FormStream
from atomic_guide.web.routing import Answer, Call, Calls, Parameter, Repeats, Whose

calls = Calls()

TUS = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,termination,checksum"
PATCH_KIND = "application/offset+octet-stream"
_DRAINED = 32 * 1024 * 1024
"""Bytes read and thrown away after a refusal, so that a browser which is still sending can read the answer."""
_DRAIN_SECONDS = 10.0
_SILENCE_SECONDS = 60.0
"""How long a sender may send nothing; phones change networks in less."""
_METADATA_BYTES = 8192
_FORM, _TUS = "POST /api/video/upload", "POST /api/video/upload tus"
"""What the two are called among kept answers."""
_RESUMABLE = Parameter("Tus-Resumable", {"type": "string"}, "1.0.0 for a resumable upload.", place="header")


class Uploaded(msgspec.Struct):
    """A received video."""

    id: str
    status: str


@calls.add("OPTIONS", "/api/video/upload", access="none", status=204)
async def discover(call: Call[None]) -> Response:
    """Tell a tus client what this server speaks."""
    most = call.tool.media.settings.max_bytes
    headers = {"Tus-Version": TUS, "Tus-Extension": EXTENSIONS, "Tus-Max-Size": str(most)}
    headers["Tus-Checksum-Algorithm"] = ",".join(CHECKSUMS)
    return Response(status_code=204, headers={"Tus-Resumable": TUS, **headers})


@calls.add(
    "POST",
    "/api/video/upload",
    access="instructor",
    reply=Uploaded,
    status=202,
    failures=(201, 409, 412, 413, 415, 422, 507),
    shed="uploads",
    parameters=(_RESUMABLE,),
    repeats=Repeats(
        "itself", "The file is read as it comes; its digest is what the key was used for, its id the claim's."
    ),
)
async def upload(call: Call[None]) -> Any:
    """Upload a video: a form with `file` and `title`, or the creation of a tus upload."""
    if "tus-resumable" in call.request.headers:
        return await _create(call)
    form = FormStream(call.request.headers.get("content-type", ""))
    file = Hashed(form.file(_body(call.request)))

    async def whole() -> str:
        digest = await file.whole()
        return f"{digest} {msgspec.json.encode([form.fields.get('title', ''), form.filename]).decode()}"

    whose = Whose(call.session.key, call.session.user)
    try:
        # Its size tells most other files at once: only a file of the same size is read again to be compared.
        size = call.request.headers.get("content-length", "")
        return await call.tool.answers.once(call, whose, _FORM, size, lambda: _receive(call, form, file), whole)
    except errors.GuideError:
        await _drain(call.request)
        raise


@calls.add("HEAD", "/api/video/upload/{id}", access="instructor", failures=(404, 410, 412), parameters=(_RESUMABLE,))
async def tell_offset(call: Call[None]) -> Response:
    """Tell how much of a tus upload has arrived."""
    _check_version(call.request)
    found = await call.tool.media.uploads.find(call.session.key, call.request.path_params["id"])
    return Response(headers={**_state(found), "Upload-Length": str(found.length), "Cache-Control": "no-store"})


@calls.add(
    "PATCH",
    "/api/video/upload/{id}",
    access="instructor",
    status=204,
    shed="uploads",
    failures=(404, 409, 410, 412, 413, 415, 460, 507),
    parameters=(
        _RESUMABLE,
        Parameter("Upload-Offset", {"type": "integer"}, "Where the bytes begin.", place="header"),
        Parameter("Upload-Checksum", {"type": "string"}, "sha1, sha256 or md5, and its base64.", place="header"),
    ),
)
async def append(call: Call[None]) -> Response:
    """Send the next bytes of a tus upload; the last ones queue the video."""
    _check_version(call.request)
    _check_kind(call.request)
    offset = _number(call.request, "Upload-Offset")
    found = await _append(call, call.request.path_params["id"], offset)
    return Response(status_code=204, headers=_state(found))


@calls.add(
    "DELETE", "/api/video/upload/{id}", access="instructor", status=204, failures=(404, 412), parameters=(_RESUMABLE,)
)
async def cancel(call: Call[None]) -> Response:
    """Cancel a tus upload and free its space."""
    _check_version(call.request)
    await call.tool.media.uploads.drop(call.session.key, call.request.path_params["id"])
    return Response(status_code=204, headers={"Tus-Resumable": TUS})


async def _receive(call: Call[None], form: FormStream, file: AsyncIterator[bytes]) -> Answer:
    """A form in one request."""
    request, session = call.request, call.session
    declared = request.headers.get("content-length", "")
    length = int(declared) if re.fullmatch(r"[0-9]{1,15}", declared) else None
    most = call.tool.media.settings.max_bytes
    if length is not None and length > most + 65_536:
        UPLOAD_BYTES.note(length)
        raise UPLOAD_BYTES.over(errors.TooLarge(f"the request has {length} bytes, a file may have {most}"))
    if (made := await _made_before(call)) is not None:
        if made.finished:
            return Answer(msgspec.to_builtins(Uploaded(made.id, "queued")), 202)
        # What had come of it is of no use: this request brings all of it.
        await call.tool.media.uploads.drop(session.key, made.id)
    async with call.tool.media.uploads.receive(session.key, session.user, length, _id_of(call)) as receiving:
        async for chunk in file:
            await receiving.write(chunk)
        video = await receiving.complete(form.fields.get("title", ""), form.filename or "")
    return Answer(msgspec.to_builtins(Uploaded(video, "queued")), 202)


async def _create(call: Call[None]) -> Any:
    """The creation of a tus upload, with its first bytes where the request has some."""
    request, session = call.request, call.session
    _check_version(request)
    if "upload-defer-length" in request.headers:
        raise errors.Invalid("send Upload-Length; a length that follows later is not supported")
    length = _number(request, "Upload-Length")
    described = request.headers.get("upload-metadata", "")
    named = _metadata(described)
    filename = shown_filename(named.get("filename", named.get("name", "")))
    title = checked_title(named.get("title") or filename.rpartition(".")[0] or filename)

    async def produce() -> Answer:
        created = await _made_before(call)
        if created is None:
            sender = (session.key, session.user)
            created = await call.tool.media.uploads.create(*sender, length, title, filename, _id_of(call))
        if request.headers.get("content-type", "").startswith(PATCH_KIND):
            if created.received:
                await _drain(request)
            else:
                created = await _append(call, created.id, 0)
        location = f"/api/video/upload/{created.id}"
        if (own := call.regions.own) is not None:
            # Its bytes lie here, so the rest of them comes here too.
            location += f"?{urlencode({BEGAN: own.name})}"
        return Answer(
            msgspec.to_builtins(Uploaded(created.id, "queued")), 201, {"Location": location, **_state(created)}
        )

    whose = Whose(session.key, session.user)
    return await call.tool.answers.once(call, whose, _TUS, f"{length} {described}", produce)


def _id_of(call: Call[None]) -> str | None:
    """What the upload is called, so that who takes the claim over finds it; None where no key was sent."""
    return f"v{call.claim.mark}" if call.claim is not None else None


async def _made_before(call: Call[None]) -> Upload | None:
    """What a process that died had made of this request."""
    if call.claim is None or not call.claim.taken_over:
        return None
    try:
        return await call.tool.media.uploads.find(call.session.key, f"v{call.claim.mark}")
    except (errors.NotFound, errors.Gone):
        return None


async def _append(call: Call[None], upload_id: str, offset: int) -> Upload:
    """Append the request's body. A sender that went away keeps what it sent, and gets no answer."""
    announced = call.request.headers.get("upload-checksum")
    try:
        checksum = Checksum(announced) if announced is not None else None
        return await call.tool.media.uploads.append(call.session.key, upload_id, offset, _body(call.request), checksum)
    except errors.GuideError:
        await _drain(call.request)
        raise


async def _body(request: Request) -> AsyncIterator[bytes]:
    """The request's bytes. Raises `Invalid` where the sender goes away or falls silent."""
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise errors.Invalid(f"no bytes came for {_SILENCE_SECONDS:.0f} s") from error
        except ClientDisconnect as error:
            raise errors.Invalid("the request ended before its declared length") from error
        yield chunk


async def _drain(request: Request) -> None:
    """Read on for a while after a refusal: closing at once would reset the connection under the answer."""
    left = _DRAINED
    with contextlib.suppress(ClientDisconnect, RuntimeError, TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for chunk in request.stream():
                left -= len(chunk)
                if left <= 0:
                    return


def _check_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != TUS:
        raise errors.PreconditionFailed(f"send Tus-Resumable: {TUS}", details={"supported": [TUS]})


def _check_kind(request: Request) -> None:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != PATCH_KIND:
        raise errors.UnsupportedMedia(f"send the bytes as {PATCH_KIND}")


def _number(request: Request, header: str) -> int:
    text = request.headers.get(header, "")
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise errors.Invalid(f"{header} must be a whole number of bytes", details={"header": header})
    return int(text)


def _metadata(text: str) -> dict[str, str]:
    """Upload-Metadata: pairs of a name and a value in base64, between commas. Raises `Invalid`."""
    if len(text) > _METADATA_BYTES:
        raise errors.Invalid("Upload-Metadata is too long", details={"header": "Upload-Metadata"})
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = pair.partition(" ")
        try:
            found[name] = base64.b64decode(value.strip(), validate=True).decode("utf-8")
        except (binascii.Error, ValueError) as error:
            raise errors.Invalid(
                f"Upload-Metadata: {name[:40]} is not base64 of UTF-8", details={"header": "Upload-Metadata"}
            ) from error
    return found


def _state(upload: Upload) -> dict[str, str]:
    headers = {"Tus-Resumable": TUS, "Upload-Offset": str(upload.received)}
    if not upload.finished and upload.received < upload.length:
        headers["Upload-Expires"] = formatdate(upload.expires_at, usegmt=True)
    return headers

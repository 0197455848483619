"""A bucket on loopback: a server that follows the public API of S3 for the requests that Interlock makes, and checks
their signatures. https://docs.aws.amazon.com/AmazonS3/latest/API/,
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import asyncio
import hmac
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5, sha256
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

LIMIT_S = 60.0
KEYS = {"AWS_ACCESS_KEY_ID": "interlock", "AWS_SECRET_ACCESS_KEY": "very secret"}


@dataclass
class S3:
    """One bucket in one region. `refusals` are answers that come first: status, and the code of the error. `changed`
    falsifies what is read. Each answer takes `slow_s`, and none comes while it `hangs`."""

    bucket: str = "blobs"
    region: str = "us-east-1"
    readers: frozenset[str] = frozenset()  # keys that may not write
    objects: dict[str, bytes] = field(default_factory=dict)
    refusals: list[tuple[int, str]] = field(default_factory=list)
    changed: Callable[[bytes], bytes] = lambda content: content
    slow_s: float = 0.0
    hangs: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)
    _parts: dict[str, dict[int, bytes]] = field(default_factory=dict)

    def app(self) -> Starlette:
        methods = ["GET", "HEAD", "PUT", "POST", "DELETE"]
        return Starlette(routes=[Route("/{bucket}/{key:path}", self._answer, methods=methods)])

    async def _answer(self, request: Request) -> Response:
        body = await request.body()
        self.asked.append((request.method, request.url.path))
        await asyncio.sleep(self.slow_s)
        while self.hangs:
            await asyncio.sleep(0.05)
        if self.refusals:
            return _error(*self.refusals.pop(0))
        if code := self._wrong(request):
            return _error(*code)
        key = request.path_params["key"]
        match request.method:
            case "PUT" if "uploadId" in request.query_params:
                self._parts[request.query_params["uploadId"]][int(request.query_params["partNumber"])] = body
                return _kept(body)
            case "PUT" if request.headers.get("if-none-match") == "*" and key in self.objects:
                return _error(412, "PreconditionFailed")
            case "PUT":
                self.objects[key] = body
                return _kept(body)
            case "POST" if "uploads" in request.query_params:
                upload = f"u{len(self._parts)}"
                self._parts[upload] = {}
                return _xml(
                    f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
                )
            case "POST":
                parts = self._parts.pop(request.query_params["uploadId"])
                self.objects[key] = b"".join(parts[number] for number in sorted(parts))
                return _xml('<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>')
            case "DELETE":
                self.objects.pop(key, None)
                return Response(status_code=204)
            case _ if key not in self.objects:
                return _error(404, "NoSuchKey")
            case _:
                content = self.changed(self.objects[key])
                headers = {"last-modified": "Thu, 01 Jan 2026 00:00:00 GMT", "etag": '"x"'}
                return Response(content, headers=headers)

    def _wrong(self, request: Request) -> tuple[int, str] | None:
        given = request.headers.get("authorization", "")
        if not given:
            return 403, "AccessDenied"
        parts = dict(part.strip().split("=", 1) for part in given.partition(" ")[2].split(","))
        key, day, region, service, _ = parts["Credential"].split("/")
        if key != KEYS["AWS_ACCESS_KEY_ID"] and key not in self.readers:
            return 403, "InvalidAccessKeyId"
        if region != self.region:
            return 400, "AuthorizationHeaderMalformed"
        if parts["Signature"] != _signature(request, parts["SignedHeaders"], (day, region, service)):
            return 403, "SignatureDoesNotMatch"
        if request.path_params["bucket"] != self.bucket:
            return 404, "NoSuchBucket"
        return (403, "AccessDenied") if key in self.readers and request.method in ("PUT", "POST") else None


def _signature(request: Request, names: str, scope: tuple[str, str, str]) -> str:
    """What the request must be signed with, by the secret of `KEYS`."""
    pairs = sorted(request.query_params.multi_items())
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names.split(";"))
    payload = request.headers["x-amz-content-sha256"]
    canonical = "\n".join([request.method, quote(request.url.path), query, headers, names, payload])
    day, region, service = scope
    where = f"{day}/{region}/{service}/aws4_request"
    hashed = sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", request.headers["x-amz-date"], where, hashed])
    key = f"AWS4{KEYS['AWS_SECRET_ACCESS_KEY']}".encode()
    for word in (day, region, service, "aws4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def _kept(body: bytes) -> Response:
    return Response(headers={"etag": f'"{md5(body).hexdigest()}"'})


def _xml(text: str) -> Response:
    return Response(f'<?xml version="1.0" encoding="UTF-8"?>{text}', media_type="application/xml")


def _error(status: int, code: str) -> Response:
    text = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
    return Response(text, status, media_type="application/xml")


@contextmanager
def bucket_served(s3: S3) -> Iterator[str]:
    """The endpoint of that bucket, while in use."""
    config = uvicorn.Config(s3.app(), host="127.0.0.1", port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    limit = time.monotonic() + LIMIT_S
    while not server.started:
        assert time.monotonic() < limit
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(LIMIT_S)

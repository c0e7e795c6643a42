"""A server that keeps what it is sent, byte for byte, and checks signatures as AWS does."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


@dataclass
class Caught:
    """One request as it arrived."""

    url: str
    method: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.url).query))

    def signature_is_right(self, key: str, secret: str) -> bool:
        """Sign what arrived again, at the time that it says, and compare."""
        given = self.headers["authorization"]
        _, _, region, service, _ = given.split("Credential=")[1].split(",")[0].split("/")
        names = given.split("SignedHeaders=")[1].split(",")[0].split(";")
        request = AWSRequest(
            self.method, self.url, data=self.body, headers={each: self.headers[each] for each in names}
        )
        request.context["timestamp"] = self.headers["x-amz-date"]
        auth = SigV4Auth(Credentials(key, secret), service, region)
        return given.endswith(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))


class Catcher(ThreadingHTTPServer):
    """Answers everything the same way, on a free port of the loopback interface."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[Caught] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answer(200, {"id": "x", "status": "InProgress", "ids": []})
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def answer(self, status: int, body: Any) -> None:
        """Answer like this from now on."""
        self.status, self.content = status, (body if isinstance(body, str) else json.dumps(body)).encode()


class _Handler(BaseHTTPRequestHandler):
    server: Catcher

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append(Caught(self.server.url + self.path, self.command, headers, body))
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    do_POST = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

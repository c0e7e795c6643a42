"""Servers that are not what a service should be: they redirect, never end an answer, or show the wrong certificate."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


#: What a server says to a request: a status, headers, and the parts of a body of which nobody knows the end.
Say = Callable[[Seen], tuple[int, Mapping[str, str], Iterable[bytes]]]


class Server(ThreadingHTTPServer):
    """Says what it is told to, on a free port of the loopback interface.

    :param say: makes an answer of a request.
    :param tls: the certificate that it shows; without one it speaks plain HTTP.
    """

    daemon_threads = True

    def __init__(self, say: Say, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.say = say
        self.seen: list[Seen] = []
        self.written = 0
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Keep quiet: clients here hang up."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        seen = Seen(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.server.seen.append(seen)
        status, headers, parts = self.server.say(seen)
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        chunked = headers.get("Transfer-Encoding") == "chunked"
        for part in parts:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
            self.server.written += len(part)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    do_POST = do_DELETE = do_PUT = do_CONNECT = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

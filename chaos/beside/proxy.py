"""What stands between one task instance and its service: keeps what passes, and spoils it when it is told to."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

#: Closing a socket that lingers for no time at all resets the connection.
_RESET = struct.pack("ii", 1, 0)
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}

#: The HTTP status, the headers and the JSON body of each refusal, by its name.
Refusals = Mapping[str, tuple[int, dict[str, str], Any]]

#: Effects on a request; those that begin with "after" let the service do its work first.
RESET, AFTER_RESET, AFTER_CALL, HOLD, PAGE = "reset", "after reset", "after call", "hold", "page"


@dataclass(frozen=True)
class Call:
    """One request.

    :param verb: ``start``, ``describe`` or ``cancel``; anything else a service is asked is ``other``.
    :param job_id: the job that it names, or the one that its answer named.
    """

    verb: str
    job_id: str = ""


@dataclass(frozen=True)
class Passed:
    """A call that was answered by the service.

    :param at: seconds since the epoch.
    """

    at: float
    call: Call
    status: int


@dataclass
class Spoiling:
    """One rule.

    :param effect: one of this module's effects, or the name of a refusal in the service's words.
    :param verbs: which calls it spoils.
    :param times: how many; None for all.
    :param until: seconds since the epoch at which it ends.
    :param call: what `AFTER_CALL` does before the connection is reset.
    :param release: ends what `HOLD` holds.
    """

    effect: str
    verbs: tuple[str, ...]
    times: int | None = None
    until: float | None = None
    call: Callable[[], None] | None = None
    release: threading.Event = field(default_factory=threading.Event)
    struck: int = 0


class Proxy(ThreadingHTTPServer):
    """On a free port of the loopback interface, for one task instance; a context manager.

    :param upstream: the service's address.
    :param read: what a request and its answer (JSON) are, in this module's words.
    :param refusals: in the service's words.
    """

    daemon_threads = True

    def __init__(
        self,
        upstream: str,
        read: Callable[[str, str, Mapping[str, str], Any, Any], Call],
        refusals: Refusals,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = urlsplit(upstream).netloc
        self.read, self.refusals = read, refusals
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.passed: list[Passed] = []
        self._rules: list[Spoiling] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for rule in self._rules:
            rule.release.set()
        self.shutdown()
        self.server_close()
        self._thread.join()

    def spoil(self, effect: str, *verbs: str, **how: Any) -> Spoiling:
        """Put a rule in force; see `Spoiling`."""
        rule = Spoiling(effect, verbs or ("start", "describe", "cancel", "other"), **how)
        with self._lock:
            self._rules.append(rule)
        return rule

    def ids(self, verb: str, since: float = 0.0) -> list[str]:
        """Give the jobs that the accepted calls of a verb were about, in order.

        :param since: seconds since the epoch.
        """
        return [each.call.job_id for each in self.accepted(verb) if each.at >= since]

    def accepted(self, verb: str) -> list[Passed]:
        """Give the calls of a verb that the service accepted, in order."""
        return [each for each in list(self.passed) if each.call.verb == verb and each.status < 300]

    def asked(self, verb: str) -> int:
        """Count the calls of a verb that the service has answered, whatever it said."""
        return sum(each.call.verb == verb for each in list(self.passed))

    def take(self, verb: str) -> Spoiling | None:
        """Use up one time of the first rule that fits."""
        with self._lock:
            for rule in self._rules:
                over = rule.until is not None and time.time() >= rule.until
                used_up = rule.times is not None and rule.struck >= rule.times
                if verb in rule.verbs and not over and not used_up:
                    rule.struck += 1
                    return rule
        return None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients are killed here on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        call = self.server.read(self.command, self.path, dict(self.headers), _json(body), None)
        rule = self.server.take(call.verb)
        effect = rule.effect if rule else ""
        if rule and effect == HOLD:
            rule.release.wait()
        if effect == RESET:
            self._reset()
        elif effect == PAGE:
            self._answer(200, {"content-type": "text/html"}, b"<html><body>Sign in to go on</body></html>")
        elif effect in self.server.refusals:
            status, headers, said = self.server.refusals[effect]
            self._answer(status, {"content-type": "application/json", **headers}, json.dumps(said).encode())
        else:
            answer = self._forward(body)
            if rule and rule.call:
                rule.call()
            if effect in (AFTER_RESET, AFTER_CALL):
                self._reset()
            else:
                self._answer(*answer)

    do_POST = do_DELETE = do_PUT = do_GET  # noqa: N815

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        upstream = http.client.HTTPConnection(self.server.address, timeout=60)
        try:
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            said = answer.read()
        finally:
            upstream.close()
        call = self.server.read(self.command, self.path, dict(self.headers), _json(body), _json(said))
        self.server.passed.append(Passed(time.time(), call, answer.status))
        return answer.status, dict(answer.getheaders()), said

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.connection.close()

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None

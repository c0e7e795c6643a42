"""An HTTP proxy that stands for a bad network: it loses, delays and refuses, by rates and a seed, and can hold a call.

The local service can be told to spoil its next calls (`neptune_airflow.local.faults`); it can neither lose every
fiftieth of them, reset a connection, nor be away. A held call is how a process is caught in the very moment in which
it must be killed, without a hook in the code under test.
"""

from __future__ import annotations

import asyncio
import queue
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import psutil
from aiohttp import ClientConnectionError, ClientSession, ClientTimeout, TCPConnector, web
from yarl import URL

from neptune_airflow.local.refusals import Refusal
from neptune_airflow.local.wire import neptune_error, new_id

HOST = "127.0.0.1"
#: In Neptune's words, with the HTTP status that goes with each code.
REFUSALS: Mapping[str, Refusal] = {
    "500": Refusal("InternalFailureException", "An internal failure has occurred."),
    "429": Refusal("TooManyRequestsException", "Too many requests. Please slow down."),
    "408": Refusal("ClientTimeoutException", "The request took too long."),
    "expired": Refusal("ExpiredTokenException", "The security token included in the request is expired.", 403),
}
#: What may happen to a request: the connection ends before or after its work was done, is reset once it was done,
#: the request is late, or is never answered; or it is refused unread.
EFFECTS = ("drop_before", "drop_after", "reset", "delay", "hang", *REFUSALS)
#: How much longer than the longest delay an answer hangs that never comes.
HANG = 8
# Of one connection, and not the work of a proxy.
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host", "content-length"}
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Seen:
    """A request as it came in.

    :param port: the client's own port, by which its process can be found.
    """

    method: str
    path: str
    body: bytes
    port: int


@dataclass
class Hold:
    """A trap for requests: each that fits waits, before or after its work is done, until it is let go.

    :param fits: which requests.
    :param after: whether the work is done and only the answer waits.
    :param caught: where it is told what is in it.
    """

    fits: Callable[[Seen], bool]
    after: bool
    caught: queue.Queue[Seen]
    gate: asyncio.Event = field(default_factory=asyncio.Event)


class Proxy:
    """One proxy before one server, in a thread; a context manager.

    :param seed: of the dice that say which requests are spoilt. Which request comes when is up to the processes.
    :param target: the server's address; it may be given later.
    :param spoils: which requests may be spoilt at all.
    """

    def __init__(self, seed: int = 0, target: str = "", spoils: Callable[[Seen], bool] = lambda _: True) -> None:
        self.target = target
        self.url = ""
        #: How often each effect there was, and each request by its method and path.
        self.counts: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._spoils = spoils
        self._dice = random.Random(seed)
        self._rates: dict[str, float] = {}
        self._slowness = 2.0
        self._away_until = 0.0
        self._holds: list[Hold] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def faults(self) -> int:
        """How many requests have been spoilt so far."""
        return sum(count for effect, count in self.counts.items() if effect != "passed")

    @contextmanager
    def weather(self, rates: Mapping[str, float], slowness: float = 2.0) -> Iterator[None]:
        """Spoil a share of the requests.

        :param rates: how many of a hundred, by effect; together at most 100.
        :param slowness: the longest delay in seconds; what hangs does so `HANG` times as long.
        :raises ValueError: for an effect that there is not, or more than there are requests.
        """
        if unknown := set(rates) - set(EFFECTS):
            raise ValueError(f"There is no effect {sorted(unknown)[0]!r}; there are {', '.join(EFFECTS)}.")
        if sum(rates.values()) > 100:
            raise ValueError("More than every request can't be spoilt.")
        self._rates, self._slowness = dict(rates), slowness
        try:
            yield
        finally:
            self._rates = {}

    def outage(self, seconds: float) -> None:
        """Be away from now on: every connection is reset at once."""
        self._away_until = time.monotonic() + seconds

    @contextmanager
    def hold(self, fits: Callable[[Seen], bool], caught: queue.Queue[Seen], *, after: bool = False) -> Iterator[None]:
        """Set a trap; when this block ends, what is in it is let go.

        :param fits: which requests it catches.
        :param caught: gets each as soon as it is caught.
        :param after: catch it when its work is done, with its answer, not before.
        """
        hold = Hold(fits, after, caught)
        self._holds.append(hold)
        try:
            yield
        finally:
            self._holds.remove(hold)
            self._loop.call_soon_threadsafe(hold.gate.set)

    async def _open(self) -> None:
        timeout = ClientTimeout(total=None, connect=10)
        self._session = ClientSession(
            auto_decompress=False, timeout=timeout, trust_env=False, connector=TCPConnector(limit=0)
        )
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, 0, backlog=512)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://{HOST}:{self._port}"

    async def _close(self) -> None:
        for hold in self._holds:
            hold.gate.set()
        await self._runner.cleanup()
        await self._session.close()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=1 << 30)
        application.router.add_route("*", "/{path:.*}", self._answer)
        return application

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        address = request.transport.get_extra_info("peername") if request.transport else None
        seen = Seen(request.method, request.raw_path, body, address[1] if address else 0)
        effect = self._effect(seen)
        self.counts[effect] += 1
        self.calls[f"{seen.method} {seen.path}"] += 1
        if effect == "away":
            return _cut(request, reset=True)
        if effect in REFUSALS:
            said = neptune_error(REFUSALS[effect], new_id())
            return web.json_response(said.body, status=said.status)
        if effect == "drop_before":
            return _cut(request)
        if effect == "delay":
            await asyncio.sleep(self._dice.uniform(0, self._slowness))
        await self._wait_in_trap(seen, after=False)
        try:
            answer = await self._forward(request, body)
        except ClientConnectionError:
            return _cut(request, reset=True)
        await self._wait_in_trap(seen, after=True)
        if effect == "hang":
            await asyncio.sleep(HANG * self._slowness)
        return _cut(request, reset=effect == "reset") if effect in ("drop_after", "reset", "hang") else answer

    def _effect(self, seen: Seen) -> str:
        if not self._spoils(seen):
            return "passed"
        if time.monotonic() < self._away_until:
            return "away"
        die = self._dice.uniform(0, 100)
        for effect, rate in self._rates.items():
            die -= rate
            if die < 0:
                return effect
        return "passed"

    def client(self, seen: Seen) -> psutil.Process:
        """Find the process that has made a request which is held still.

        :raises LookupError: when it is gone.
        """
        ends = (HOST, seen.port), (HOST, self._port)
        for connection in psutil.net_connections("tcp"):
            if connection.pid and (connection.laddr, connection.raddr) == ends:
                return psutil.Process(connection.pid)
        raise LookupError(f"nobody has port {seen.port} any more, from which {seen.method} {seen.path} came")

    async def _wait_in_trap(self, seen: Seen, after: bool) -> None:
        for hold in [hold for hold in self._holds if hold.after is after and hold.fits(seen)]:
            hold.caught.put(seen)
            await hold.gate.wait()

    async def _forward(self, request: web.Request, body: bytes) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url = URL(self.target + request.raw_path, encoded=True)
        async with self._session.request(
            request.method, url, data=body, headers=headers, allow_redirects=False
        ) as answer:
            kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP]
            response = web.Response(body=await answer.read(), status=answer.status)
            response.headers.clear()
            response.headers.extend(kept)
            return response


def _cut(request: web.Request, *, reset: bool = False) -> web.Response:
    """End the connection without an answer: in order, or as a machine does that has gone."""
    if request.transport is not None:
        if reset:
            open_socket: socket.socket = request.transport.get_extra_info("socket")
            open_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        request.transport.abort()
    return web.Response()

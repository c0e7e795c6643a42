"""The proxy that stands for a bad network."""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from chaos.cluster.proxy import EFFECTS, REFUSALS, Proxy, Seen
from neptune_airflow.errors import NeptuneMLCredentialsError, NeptuneMLUnavailableError
from neptune_airflow.verdicts import classify


class _Echo(BaseHTTPRequestHandler):
    """Says what it was asked, and remembers it."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(f"{self.command} {self.path}")  # type: ignore[attr-defined]
        said = json.dumps({"path": self.path, "body": body.decode(), "token": self.headers.get("X-Token")}).encode()
        self.send_response(418 if "teapot" in self.path else 200)
        self.send_header("Content-Length", str(len(said)))
        self.send_header("X-Kept", "yes")
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


class _Upstream(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def upstream() -> Iterator[_Upstream]:
    with _Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(upstream: _Upstream) -> Iterator[Proxy]:
    with Proxy(seed=7, target=upstream.url) as running:
        yield running


def get(proxy: Proxy, path: str = "/ml/x", timeout: float = 10.0) -> httpx.Response:
    return httpx.get(proxy.url + path, trust_env=False, timeout=timeout)


def test_it_passes_everything_on_as_it_is(proxy: Proxy, upstream: _Upstream) -> None:
    answer = httpx.post(f"{proxy.url}/a%2Fb/%20?x=%3D&y", content=b"body", headers={"X-Token": "t"}, trust_env=False)

    assert answer.json() == {"path": "/a%2Fb/%20?x=%3D&y", "body": "body", "token": "t"}
    assert answer.headers["X-Kept"] == "yes"
    assert get(proxy, "/teapot").status_code == 418
    assert proxy.calls == Counter({"POST /a%2Fb/%20?x=%3D&y": 1, "GET /teapot": 1})
    assert proxy.counts == Counter(passed=2)
    assert proxy.faults == 0


@pytest.mark.parametrize(("effect", "done"), [("drop_before", 0), ("drop_after", 1), ("reset", 1), ("hang", 1)])
def test_a_lost_answer_is_lost_before_or_after_the_work(
    proxy: Proxy, upstream: _Upstream, effect: str, done: int
) -> None:
    with proxy.weather({effect: 100}, slowness=0.05), pytest.raises(httpx.TransportError):
        get(proxy)

    assert upstream.asked == ["GET /ml/x"] * done
    assert get(proxy).status_code == 200
    assert proxy.faults == 1


@pytest.mark.parametrize("effect", REFUSALS)
def test_a_refusal_is_in_neptunes_words_and_the_work_is_not_done(
    proxy: Proxy, upstream: _Upstream, effect: str
) -> None:
    with proxy.weather({effect: 100}):
        answer = get(proxy)

    said = answer.json()
    error = classify(answer.status_code, said["code"], said["detailedMessage"], "ask")
    assert isinstance(error, NeptuneMLUnavailableError)
    assert isinstance(error, NeptuneMLCredentialsError) is (effect == "expired")
    assert upstream.asked == []


def test_a_late_answer_comes(proxy: Proxy) -> None:
    with proxy.weather({"delay": 100}, slowness=0.1):
        assert get(proxy).status_code == 200

    assert proxy.counts == Counter(delay=1)


def test_the_same_seed_spoils_the_same_requests(upstream: _Upstream) -> None:
    rates = {"drop_before": 20, "500": 20, "429": 20}

    def fates(seed: int) -> list[int]:
        with Proxy(seed, upstream.url) as proxy, proxy.weather(rates):
            return [_status(proxy) for _ in range(40)]

    first = fates(3)

    assert fates(3) == first
    assert fates(4) != first
    assert set(first) == {0, 200, 429, 500}


def _status(proxy: Proxy) -> int:
    try:
        return get(proxy).status_code
    except httpx.TransportError:
        return 0


def test_an_outage_ends_by_itself(proxy: Proxy, upstream: _Upstream) -> None:
    began = time.monotonic()
    proxy.outage(0.4)

    fates = [_status(proxy)]
    while fates[-1] != 200:
        fates.append(_status(proxy))

    assert fates[0] == 0
    assert time.monotonic() - began >= 0.4
    assert upstream.asked == ["GET /ml/x"]
    assert proxy.counts["away"] == len(fates) - 1


def test_it_spoils_only_what_it_may(upstream: _Upstream) -> None:
    with (
        Proxy(target=upstream.url, spoils=lambda seen: seen.path.startswith("/ml/")) as proxy,
        proxy.weather({"500": 100}),
    ):
        assert get(proxy, "/s3/file").status_code == 200
        assert get(proxy, "/ml/x").status_code == 500


def test_a_server_that_is_gone_is_gone_behind_it_too(proxy: Proxy) -> None:
    proxy.target = "http://127.0.0.1:1"

    with pytest.raises(httpx.TransportError):
        get(proxy)


@pytest.mark.parametrize(("after", "done"), [(False, []), (True, ["GET /ml/held"])])
def test_a_held_request_waits_and_tells_whose_it_is(
    proxy: Proxy, upstream: _Upstream, after: bool, done: list[str]
) -> None:
    caught: queue.Queue[Seen] = queue.Queue()
    with ThreadPoolExecutor() as pool:
        with proxy.hold(lambda seen: seen.path == "/ml/held", caught, after=after):
            held: Future[httpx.Response] = pool.submit(get, proxy, "/ml/held")
            seen = caught.get(timeout=10)

            assert (seen.method, seen.path) == ("GET", "/ml/held")
            assert upstream.asked == done
            assert get(proxy, "/ml/free").status_code == 200
            assert not held.done()
            assert proxy.client(seen).pid == os.getpid()

        assert held.result(10).status_code == 200
    with pytest.raises(LookupError):
        proxy.client(Seen("GET", "/ml/held", b"", 1))


def test_weather_that_makes_no_sense_is_refused(proxy: Proxy) -> None:
    with pytest.raises(ValueError, match="snow"), proxy.weather({"snow": 1}):
        pass
    with pytest.raises(ValueError, match="every request"), proxy.weather(dict.fromkeys(EFFECTS, 50)):
        pass

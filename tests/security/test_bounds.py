"""No answer, however long, fills a worker or a triggerer."""

from __future__ import annotations

import gzip
import itertools
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pytest

from neptune_airflow.errors import NeptuneMLMetricsError, NeptuneMLUnavailableError
from neptune_airflow.hooks.answers import ANSWER_LIMIT
from tests.security.servers import Say, Server
from tests.security.ways import CLIENTS, SERVICES, WAYS

GIGABYTE = 2**30
PART = b" " * 2**16
#: What an answer may cost at its peak: copies of the bytes that were read, and botocore's model of the service.
PEAK = 8 * ANSWER_LIMIT
#: What a server can get rid of at the most: as many bytes as are read, and what fits into the sockets' buffers.
GONE = 8 * ANSWER_LIMIT


def _gigabyte() -> Iterable[bytes]:
    return itertools.repeat(PART, GIGABYTE // len(PART))


def _answer(status: int, **headers: str) -> Say:
    return lambda seen: (status, _named(headers), _gigabyte())


def _whole(body: bytes, status: int = 200, **headers: str) -> Say:
    return lambda seen: (status, {**_named(headers), "Content-Length": str(len(body))}, [body])


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


ANSWERS: dict[str, Say] = {
    "until-the-end": _answer(200),
    "with-its-length": _answer(200, Content_Length=str(GIGABYTE)),
    "chunked": _answer(200, Transfer_Encoding="chunked"),
    "refusal": _answer(400, Content_Length=str(GIGABYTE)),
    "breakdown": _answer(500, Transfer_Encoding="chunked"),
}


@contextmanager
def _measured() -> Iterator[Callable[[], int]]:
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _refused(way: str) -> Exception:
    with pytest.raises(Exception, match=f"has more than {ANSWER_LIMIT} bytes") as error:
        WAYS[way]()
    return error.value


@pytest.mark.parametrize(
    ("way", "answer"),
    [*((way, "chunked") for way in CLIENTS), *(("describe", each) for each in ANSWERS), ("export-describe", "refusal")],
)
def test_a_gigabyte_is_not_read(connect: Callable[..., None], way: str, answer: str) -> None:
    with Server(ANSWERS[answer]) as server:
        connect(server.url)
        _refused(way)  # it imports what it needs, which is no part of an answer
        with _measured() as peak:
            error = _refused(way)
            assert peak() < PEAK
        assert server.written < GONE * len(server.seen)
    if way in SERVICES:
        assert type(error) is NeptuneMLUnavailableError
        assert error.maybe_done


UNREADABLE: dict[str, Say] = {
    "bomb": _whole(gzip.compress(bytes(2**27), 9), Content_Encoding="gzip"),
    "nested": _whole(b"[" * 200_000),
    "latin": _whole('{"status": "Müde"}'.encode("latin-1")),
}


@pytest.mark.parametrize(
    ("way", "answer"),
    [*((way, "bomb") for way in SERVICES if way in CLIENTS), ("describe", "nested"), ("export-describe", "latin")],
)
def test_what_cannot_be_read_is_asked_for_again(connect: Callable[..., None], way: str, answer: str) -> None:
    with Server(UNREADABLE[answer]) as server, _measured() as peak:
        connect(server.url)
        with pytest.raises(NeptuneMLUnavailableError, match="the answer cannot be read") as error:
            SERVICES[way]()
        assert peak() < PEAK
    assert len(str(error.value)) < 2_000


@pytest.mark.parametrize("answer", ["bomb", "nested"])
def test_metrics_that_cannot_be_read_are_none(connect: Callable[..., None], answer: str) -> None:
    with Server(UNREADABLE[answer]) as server, _measured() as peak:
        connect(server.url)
        with pytest.raises(NeptuneMLMetricsError):
            WAYS["metrics"]()
        assert peak() < PEAK


@pytest.mark.parametrize("way", ["describe", "export-describe", "describe-in-triggerer"])
def test_the_largest_answer_that_is_read(connect: Callable[..., None], way: str) -> None:
    said = b'{"status": "InProgress", "what": "%s"}'
    body = said % (b"x" * (ANSWER_LIMIT - len(said) + 2))
    assert len(body) == ANSWER_LIMIT
    with Server(_whole(body)) as server:
        connect(server.url)
        assert SERVICES[way]().status == "InProgress"


def test_a_long_reason_is_told_in_part(connect: Callable[..., None]) -> None:
    body = b'{"message": "%s"}' % (b"x" * 2**20)
    with Server(_whole(body, 400)) as server:
        connect(server.url)
        for way in (SERVICES["describe"], SERVICES["export-describe"], SERVICES["describe-in-triggerer"]):
            with pytest.raises(Exception, match="characters more") as error:
                way()
            assert len(str(error.value)) < 70_000

"""A cluster whose jobs have logs, and CloudWatches: moto's, and one that refuses."""

from __future__ import annotations

import asyncio
import json
import selectors
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from neptune_airflow.local.cloud import client
from tests.provider.peers import Peer, http

GROUP = "/aws/sagemaker/ProcessingJobs"
#: Of the jobs here: another than their connection's, and than that of the local service, which shares moto's memory.
REGION = "eu-north-1"
Said = dict[str, Any]


class Jobs(Peer):
    """A cluster all of whose jobs have the same status; the resource of the job x is called x-on-sagemaker.

    :ivar status: of them all.
    :ivar more: what else is answered.
    """

    def __init__(self) -> None:
        super().__init__(self._say)
        self.status = "InProgress"
        self.more: Said = {}

    def _say(self, head: str) -> bytes:
        job_id = head.split(" ")[1].partition("?")[0].rpartition("/")[2]
        name = f"{job_id}-on-sagemaker"
        arn = f"arn:aws:sagemaker:{REGION}:123456789012:processing-job/{name}"
        part = {"name": name, "arn": arn, "status": self.status}
        return http(json.dumps({"id": job_id, "status": self.status, "processingJob": part, **self.more}).encode())


class Logs:
    """moto's CloudWatch, empty at first, in which a test says what jobs would."""

    def __init__(self, url: str) -> None:
        self._client = client("logs", url, REGION)
        self._there: set[tuple[str, ...]] = set()
        for group in self._client.describe_log_groups()["logGroups"]:
            self._client.delete_log_group(logGroupName=group["logGroupName"])

    def say(self, job_id: str, *lines: str, stream: str = "algo-1-1763900000", ago: float = 0.0) -> None:
        """Let a job print lines, so many seconds ago."""
        self.print_to(GROUP, f"{job_id}-on-sagemaker/{stream}", *lines, ago=ago)

    def print_to(self, group: str, stream: str, *lines: str, ago: float = 0.0) -> None:
        if (group,) not in self._there:
            self._client.create_log_group(logGroupName=group)
        if (group, stream) not in self._there:
            self._client.create_log_stream(logGroupName=group, logStreamName=stream)
        self._there |= {(group,), (group, stream)}
        when = int((time.time() - ago) * 1000)
        events = [{"timestamp": when, "message": line} for line in lines]
        self._client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


class CloudWatch(ThreadingHTTPServer):
    """A CloudWatch that says what a test lets it say.

    :param say: gives the status and the body of an answer to an operation and its parameters.
    :ivar asked: the operations and parameters that were asked for, and when, in monotonic seconds.
    """

    def __init__(self, say: Callable[[str, Said], tuple[int, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.say = say
        self.asked: list[tuple[str, Said, float]] = []
        self.headers: list[dict[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def count(self, operation: str) -> int:
        return sum(each == operation for each, _, _ in self.asked)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: CloudWatch

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        operation = self.headers["x-amz-target"].partition(".")[2]
        self.server.asked.append((operation, asked, time.monotonic()))
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        status, body = self.server.say(operation, asked)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def streams(asked: Said) -> Said:
    """Give the answer of a CloudWatch with one stream for whoever asks."""
    return {"logStreams": [{"logStreamName": f"{asked['logStreamNamePrefix']}algo-1-1763900000"}]}


def events(*lines: str, token: str = "f/1") -> Said:
    now = int(time.time() * 1000)
    return {"events": [{"timestamp": now, "message": line} for line in lines], "nextForwardToken": token}


def refusal(code: str) -> Said:
    return {"__type": code, "message": f"because of {code}"}


class Lines:
    """A task's log: keeps what is printed."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def info(self, text: str, *values: Any, **_: Any) -> None:
        self.all.append(text % values if values else text)

    debug = warning = error = exception = info

    def __contains__(self, words: str) -> bool:
        return any(words in line for line in self.all)

    def count(self, words: str) -> int:
        return sum(words in line for line in self.all)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop in which an hour passes at once."""

    def __init__(self) -> None:
        super().__init__(_Selector(self))
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


class _Selector(selectors.SelectSelector):
    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "nobody waits for anything"
        self._loop.now += timeout
        return []

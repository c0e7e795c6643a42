"""A service as quick as Python makes it: it starts and describes data processing jobs, and gives a role's credentials.

``python service.py FIGURES`` prints its address, and ends when its input does.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from pathlib import Path
from typing import ClassVar

from figures import CONNECTIONS, DONE, MUST_START, ROLES, STARTED, Figures

JOB = re.compile(rb"GET /ml/dataprocessing/job-(\d+)")
START = re.compile(rb'"id": *"(job-\d+)"')
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
DESCRIBED = (
    '{"status": "%s", "processingJob": {"name": "n", "status": "%s", '
    '"arn": "arn:aws:sagemaker:us-east-1:123456789012:processing-job/n", "outputLocation": "s3://bucket/processed"}}'
)
ASSUMED = (
    "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>AKIA</AccessKeyId><SecretAccessKey>s"
    "</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
    "</AssumeRoleResult></AssumeRoleResponse>"
)


def answer(body: str, kind: str = "application/json", status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


RUNNING, COMPLETED = (answer(DESCRIBED % (word, word)) for word in ("InProgress", "Completed"))
UNKNOWN = answer('{"code": "MLResourceNotFoundException", "detailedMessage": "no such job"}', status="404 Not Found")
CREDENTIALS = answer(ASSUMED, "text/xml")


class Connection(asyncio.Protocol):
    """One connection; requests come one after another."""

    def __init__(self, figures: Figures) -> None:
        self.figures = figures
        self.data = b""

    started: ClassVar[set[bytes]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.figures[CONNECTIONS] += 1

    def data_received(self, data: bytes) -> None:
        self.data += data
        while b"\r\n\r\n" in self.data:
            head, _, rest = self.data.partition(b"\r\n\r\n")
            length = int(found[1]) if (found := LENGTH.search(head)) else 0
            if len(rest) < length:
                return
            body, self.data = rest[:length], rest[length:]
            self.transport.write(self.say(head, body))  # type: ignore[attr-defined]

    def say(self, head: bytes, body: bytes) -> bytes:
        if start := START.search(body):
            self.started.add(start[1])
            self.figures[STARTED] += 1
            return answer(f'{{"id": "{start[1].decode()}"}}')
        if b"Action=AssumeRole" in body:
            self.figures[ROLES] += 1
            return CREDENTIALS
        job = JOB.match(head)
        if not job or (self.figures[MUST_START] and b"job-" + job[1] not in self.started):
            return UNKNOWN
        self.figures.answer(int(job[1]), time.monotonic())
        return COMPLETED if self.figures[DONE] else RUNNING


async def serve(figures: Figures) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(figures), "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(Figures(Path(sys.argv[1]))))

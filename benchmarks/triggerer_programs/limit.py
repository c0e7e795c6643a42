"""What waiting can't cost less than: one session of aiohttp, a signature by botocore a poll, and nothing else."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import aiohttp
from airflow.triggers.base import BaseTrigger
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

CREDENTIALS = ReadOnlyCredentials("any", "any", None)


@cache
def session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=10, keepalive_timeout=60))


class Limit(BaseTrigger):
    """Wait for a job, trusting that all goes well."""

    def __init__(self, url: str, delay: float) -> None:
        super().__init__()
        self.url, self.delay = url, delay

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "limit.Limit", {"url": self.url, "delay": self.delay}

    async def run(self) -> AsyncIterator[str]:
        await asyncio.sleep(random.random() * self.delay)
        while True:
            request = AWSRequest("GET", self.url)
            SigV4Auth(CREDENTIALS, "neptune-db", "us-east-1").add_auth(request)
            async with session().get(self.url, headers=dict(request.headers.items())) as answer:
                status = json.loads(await answer.read())["status"]
            if status == "Completed":
                break
            await asyncio.sleep(self.delay)
        yield status

"""Files by S3 URI or by local folder, read as one streamed get each.

moto serves a streamed ``get_object`` fourteen times faster than boto3's ranged ``download_file``, so nothing here uses
the transfer manager.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

CHUNK = 1 << 20
#: Requests that may be on their way at once.
CONNECTIONS = 16
#: The status of a range that begins behind the end of the file, as every range of an empty file does.
NOTHING_THERE = 416


def split_uri(uri: str) -> tuple[str, str]:
    """Give the bucket and the key of ``s3://bucket/key``.

    :raises ValueError: when it is no S3 URI.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ValueError(f"{uri!r} is not an S3 URI (s3://bucket/prefix)")
    return bucket, key


def join(base: str, *parts: str) -> str:
    """Put a location together with single slashes."""
    return "/".join([base.rstrip("/"), *(part.strip("/") for part in parts)])


@dataclass(frozen=True)
class Store:
    """S3 at ``endpoint_url`` (AWS's own when None); anything that is not an S3 URI is a local path.

    :param client: a boto3 client to use instead of one from the environment's credentials.
    """

    endpoint_url: str | None = None
    region: str = "us-east-1"
    client: Any = None

    @cached_property
    def _s3(self) -> Any:
        if self.client is not None:
            return self.client
        import boto3
        from botocore.config import Config

        # A checksum of its own for each upload costs a quarter of the time of a large one, and moto looks at none.
        config = Config(request_checksum_calculation="when_required", max_pool_connections=CONNECTIONS)
        if self.endpoint_url:
            config = config.merge(Config(s3={"addressing_style": "path"}))
        return boto3.client("s3", endpoint_url=self.endpoint_url, region_name=self.region, config=config)

    def list(self, location: str) -> list[str]:
        """Give the names of all files below a location, relative to it and sorted."""
        return sorted(self.sizes(location))

    def sizes(self, location: str) -> dict[str, int]:
        """Give the size in bytes of each file below a location, by its name relative to it."""
        if "://" not in location:
            base = Path(location)
            files = (path for path in base.rglob("*") if path.is_file())
            return {str(path.relative_to(base)): path.stat().st_size for path in files}
        bucket, key = split_uri(location)
        prefix = key.rstrip("/") + "/" if key else ""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {item["Key"][len(prefix) :]: item["Size"] for page in pages for item in page.get("Contents", [])}

    def part(self, location: str, start: int, size: int) -> bytes:
        """Give some bytes of one file, and no more of it is read; fewer at its end.

        :param start: the first one, counted from 0.
        :param size: how many, at least 1.
        :raises FileNotFoundError: when there is no such file.
        """
        if "://" not in location:
            with Path(location).open("rb") as source:
                source.seek(start)
                return source.read(size)
        bucket, key = split_uri(location)
        try:
            answer = self._s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{start + size - 1}")
        except self._s3.exceptions.NoSuchKey:
            raise FileNotFoundError(location) from None
        except self._s3.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == NOTHING_THERE:
                return b""
            raise
        with answer["Body"] as body:
            found: bytes = body.read()
        return found

    def open(self, location: str) -> IO[bytes]:
        """Open one file for reading, as a stream.

        :raises FileNotFoundError: when there is none.
        """
        if "://" not in location:
            return Path(location).open("rb")
        bucket, key = split_uri(location)
        try:
            body: IO[bytes] = self._s3.get_object(Bucket=bucket, Key=key)["Body"]
        except self._s3.exceptions.NoSuchKey:
            raise FileNotFoundError(location) from None
        return body

    def read(self, location: str) -> bytes:
        """Give one file's content."""
        with self.open(location) as source:
            return source.read()

    def fetch(self, location: str, target: Path) -> Path:
        """Copy one file to a local path and give that path back; a local location is given back as it is."""
        if "://" not in location:
            return Path(location)
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.open(location) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, CHUNK)
        return target

    def write(self, location: str, content: bytes) -> None:
        """Write one small file."""
        if "://" not in location:
            Path(location).parent.mkdir(parents=True, exist_ok=True)
            Path(location).write_bytes(content)
            return
        bucket, key = split_uri(location)
        self._s3.put_object(Bucket=bucket, Key=key, Body=content)

    def upload(self, source: Path, location: str) -> None:
        """Copy one local file to a location, streamed."""
        if "://" not in location:
            Path(location).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, location)
            return
        bucket, key = split_uri(location)
        with source.open("rb") as body:
            self._s3.put_object(Bucket=bucket, Key=key, Body=body)

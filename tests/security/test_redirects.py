"""A signed request goes to the address that it was signed for, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from neptune_airflow.errors import NeptuneMLRequestError
from tests.security.servers import Server
from tests.security.ways import SERVICES, WAYS


@pytest.mark.parametrize("way", WAYS)
def test_no_redirect_is_followed(connect: Callable[..., None], way: str) -> None:
    with Server(lambda seen: (200, {}, [b'{"id": "x", "jobId": "x"}'])) as elsewhere:
        for status in (301, 307):
            # S3's client follows its own kind of redirect, to another region of S3's, which is said by a header.
            to = {"Location": f"{elsewhere.url}/stolen", "x-amz-bucket-region": "eu-west-1", "Content-Length": "0"}
            with Server(lambda seen, status=status, to=to: (status, to, [])) as server:  # type: ignore[misc]
                connect(server.url)
                with pytest.raises(Exception, match=r"30\d") as error:
                    WAYS[way]()
                assert server.seen
                if way in SERVICES:
                    assert isinstance(error.value, NeptuneMLRequestError)
                    assert "Set endpoint_url to the address of the service itself" in str(error.value)
        assert elsewhere.seen == []

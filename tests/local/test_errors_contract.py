"""Every error reaches a real boto3 client as the right exception, with its text where boto3 leaves it."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from service_clients import IN, OUT

from neptune_airflow.local.server import LocalNeptune

START = {"inputDataS3Location": IN, "processedDataS3Location": OUT}
MODEL = botocore.session.get_session().get_service_model("neptunedata").operation_model("StartMLDataProcessingJob")
MODELLED = {shape.error_code: shape.metadata["error"]["httpStatusCode"] for shape in MODEL.error_shapes}


def test_the_operation_has_its_eleven_errors() -> None:
    assert len(MODELLED) == 11


@pytest.mark.parametrize("code", sorted(MODELLED))
def test_a_modelled_error(play: LocalNeptune, ml: Any, code: str) -> None:
    play.fault("StartMLDataProcessingJob", error={"code": code, "detailedMessage": f"what {code} says"})
    with pytest.raises(getattr(ml.exceptions, code)) as caught:
        ml.start_ml_data_processing_job(**START)
    response = caught.value.response
    assert response["Error"]["Code"] == code
    assert response["detailedMessage"] == f"what {code} says"
    assert response["requestId"] == response["ResponseMetadata"]["RequestId"]
    assert response["ResponseMetadata"]["HTTPStatusCode"] == MODELLED[code]


def test_an_error_that_boto3_does_not_know(play: LocalNeptune, ml: Any) -> None:
    bodies: list[bytes] = []

    def keep(http_response: Any, **_: Any) -> None:
        bodies.append(http_response.content)

    event = "after-call.neptunedata.StartMLDataProcessingJob"
    play.fault("StartMLDataProcessingJob", error={"code": "NewException", "detailedMessage": "unheard of", "http": 418})
    ml.meta.events.register(event, keep)
    try:
        with pytest.raises(ClientError) as caught:
            ml.start_ml_data_processing_job(**START)
    finally:
        ml.meta.events.unregister(event, keep)
    assert caught.value.response["Error"]["Code"] == "NewException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 418
    assert b"unheard of" in bodies[0]

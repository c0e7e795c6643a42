"""The export job between S3 and S3, over HTTP: the percent signs of a file's name are part of its key."""

from __future__ import annotations

from functools import partial
from typing import Any

import boto3
import pytest

from neptune_airflow.local.export.job import run
from neptune_airflow.local.step import Step, StepFailed
from neptune_airflow.store import Store

REQUEST = {"command": "export-pg", "params": {"profile": "neptune_ml"}}


def test_from_s3_to_s3(aws: str) -> None:
    s3: Any = boto3.client("s3", endpoint_url=aws, region_name="us-east-1")
    s3.create_bucket(Bucket="shop")
    s3.put_object(Bucket="shop", Key="graph/n.csv", Body=b"~id,~label,p:Int\na,A,1\nb,B,2\n")
    s3.put_object(Bucket="shop", Key="graph/e.csv", Body=b"~id,~from,~to,~label\ne,a,b,to\n")
    step = partial(Step, "id", "name", REQUEST, "s3://shop/out/1", Store(aws), log=lambda line: None)
    result = run(step(inputs={"graph": "s3://shop/graph/"}))
    keys = {item["Key"] for item in s3.list_objects_v2(Bucket="shop", Prefix="out/1/")["Contents"]}
    assert keys == {f"out/1/{file}" for file in result["files"]}
    edges = s3.get_object(Bucket="shop", Key="out/1/edges/%28A%29-to-%28B%29.consolidated.csv")["Body"].read()
    assert edges == b'~id,~label,~from,~to,~fromLabels,~toLabels\n"e","to","a","b","A","B"\n'
    with pytest.raises(StepFailed, match=r"no graph to export: .* s3://shop/none"):
        run(step(inputs={"graph": "s3://shop/none"}))

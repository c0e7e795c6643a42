"""What a service says is no place to send a user to, unless it is a page."""

from __future__ import annotations

from neptune_airflow.jobs import Job
from neptune_airflow.links import CloudWatchLogLink, S3OutputLink, urls


def test_a_log_link_is_a_page() -> None:
    job = Job("data_processing", "x", name="n", log_url="javascript:alert(1)")
    assert urls(job, "us-east-1")[CloudWatchLogLink.name].startswith("https://console.aws.amazon.com/cloudwatch/")


def test_a_bucket_is_a_bucket() -> None:
    job = Job("data_processing", "x", output_location="s3://bucket?redirect=x#/key")
    assert (
        "/s3/buckets/bucket%3Fredirect%3Dx%23?region=us-east-1&prefix=key/" in urls(job, "us-east-1")[S3OutputLink.name]
    )

"""Pages for people: what AWS's consoles would show of a job, named in every answer about it, safe to look at."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest
from service_clients import IN

from neptune_airflow.jobs import CONSOLE_HEADER
from neptune_airflow.local.pages import MOST_FILES
from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.local.settings import STEPS, Settings

Start = Callable[..., dict[str, Any]]
EVIL = "<script>alert('x')<script>\"&"


def get(url: str, method: str = "GET") -> tuple[int, str, dict[str, str]]:
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode(), dict(refused.headers)


def page_of(ml: Any, job_id: str) -> str:
    headers = ml.get_ml_data_processing_job(id=job_id)["ResponseMetadata"]["HTTPHeaders"]
    return str(headers[CONSOLE_HEADER])


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


def test_a_job_shows_what_was_asked_for_and_what_became_of_it(play: LocalNeptune, ml: Any, start: Start) -> None:
    started = start("fail", processingInstanceType="ml.r5.large")
    page = started["ResponseMetadata"]["HTTPHeaders"][CONSOLE_HEADER]
    assert page == f"{play.endpoint_url}/local/jobs/dataprocessing/{started['id']}" == page_of(ml, started["id"])
    play.wait_for("dataprocessing", started["id"])
    status, html, headers = get(page)
    text = text_of(html)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "Failed" in text
    assert "no value for 'age' and no imputer" in text
    assert "ml.r5.large" in text
    assert re.search(r"InProgress .*Failed Parameters", text)
    assert 'http-equiv="refresh"' not in html


def test_a_job_that_runs_is_looked_at_again(play: LocalNeptune, ml: Any, start: Start) -> None:
    job_id = start("wait")["id"]
    html = get(page_of(ml, job_id))[1]
    assert 'http-equiv="refresh"' in html
    ml.cancel_ml_data_processing_job(id=job_id)
    play.wait_for("dataprocessing", job_id)


def test_its_log(play: LocalNeptune, ml: Any, start: Start) -> None:
    job_id = start("write")["id"]
    job = play.wait_for("dataprocessing", job_id)
    html = get(f"{page_of(ml, job_id)}/log")[1]
    assert f"writing to {job.output_location}" in text_of(html)


def test_its_files_and_no_others(play: LocalNeptune, ml: Any, start: Start) -> None:
    job_id = start("write")["id"]
    job = play.wait_for("dataprocessing", job_id)
    bucket, _, prefix = job.output_location.removeprefix("s3://").partition("/")
    s3 = play.client("s3")
    s3.put_object(Bucket=bucket, Key=f"{prefix}/sub folder/{EVIL}", Body=b"123")
    s3.put_object(Bucket=bucket, Key=f"{prefix}-other/secret.txt", Body=b"")
    page = f"{page_of(ml, job_id)}/output"
    html = get(page)[1]
    assert "written.txt" in text_of(html)
    assert "secret.txt" not in html
    folder = re.search(r'href="([^"]+below=[^"]+)"', html)
    assert folder
    inside = get(play.endpoint_url + unescape(folder[1]))[1]
    assert EVIL in unescape(inside)
    assert "<script" not in inside
    for crafted in ("../", "..%2F..%2F", "%2E%2E/", "//", "%00"):
        assert "secret.txt" not in get(f"{page}?below={crafted}")[1]


def test_many_files_come_page_by_page(play: LocalNeptune, ml: Any, start: Start) -> None:
    job_id = start("write")["id"]
    job = play.wait_for("dataprocessing", job_id)
    bucket, _, prefix = job.output_location.removeprefix("s3://").partition("/")
    names = [f"many-{number:03}" for number in range(MOST_FILES + 5)]
    for name in names:
        play.client("s3").put_object(Bucket=bucket, Key=f"{prefix}/{name}", Body=b"")
    html = get(f"{page_of(ml, job_id)}/output")[1]
    more = re.search(r'href="([^"]+after=[^"]+)"', html)
    assert more
    rest = get(play.endpoint_url + unescape(more[1]))[1]
    assert set(names) == set(re.findall(r"many-\d{3}(?=<)", html + rest))
    assert "written.txt" in rest


def test_its_input(play: LocalNeptune, ml: Any, start: Start) -> None:
    bucket, _, prefix = IN.removeprefix("s3://").partition("/")
    play.client("s3").put_object(Bucket=bucket, Key=f"{prefix}/nodes/a.csv", Body=b"~id")
    job_id = start("write")["id"]
    play.wait_for("dataprocessing", job_id)
    assert "nodes/" in text_of(get(f"{page_of(ml, job_id)}/input")[1])


def test_any_place_in_s3(play: LocalNeptune) -> None:
    s3 = play.client("s3")
    s3.put_object(Bucket="neptune-ml", Key="any/place/file.txt", Body=b"1")
    headers = s3.list_objects_v2(Bucket="neptune-ml", Prefix="any/")["ResponseMetadata"]["HTTPHeaders"]
    page = headers[CONSOLE_HEADER]
    assert page == f"{play.endpoint_url}/local/s3"
    for location in ("s3://neptune-ml/any/place", "s3://neptune-ml/any/place/"):
        assert "file.txt" in get(f"{page}?location={quote(location, safe='')}")[1]
    root = get(f"{page}?location=s3://neptune-ml")[1]
    assert "any/" in text_of(root)
    folder = re.search(r'href="([^"]+below=any/)"', root)
    assert folder
    assert "place/" in text_of(get(play.endpoint_url + unescape(folder[1]))[1])
    for wrong in ("", "s3://", "file:///etc", "s3://no-such-bucket-here", EVIL):
        status, html, _ = get(f"{page}?location={quote(wrong)}")
        assert status in (200, 400, 404)
        assert "<script" not in html
        assert "root:" not in html


def test_nothing_is_taken_for_html(play: LocalNeptune, ml: Any, start: Start) -> None:
    job_id = start("write", subnets=[EVIL])["id"]
    play.wait_for("dataprocessing", job_id)
    html = get(page_of(ml, job_id))[1]
    assert "<script" not in html
    assert "alert('x')" in unescape(html)
    policy = get(page_of(ml, job_id))[2]["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


@pytest.mark.parametrize(
    "path",
    ["/dataprocessing/none", "/nothing/x", "/dataprocessing", f"/dataprocessing/{EVIL.replace(' ', '')}", "/a/b/c/d"],
)
def test_what_is_not_there(play: LocalNeptune, path: str) -> None:
    status, html, _ = get(f"{play.endpoint_url}/local/jobs{quote(path)}")
    assert status in (400, 404)
    assert "<script" not in html
    assert "All jobs" in html


def test_pages_are_only_looked_at(play: LocalNeptune) -> None:
    assert get(f"{play.endpoint_url}/local/jobs", "POST")[0] in (400, 405)
    assert get(f"{play.endpoint_url}/local/jobs", "HEAD")[:2] == (200, "")


def test_all_jobs_and_the_style(play: LocalNeptune, ml: Any, start: Start) -> None:
    job_id = start("write")["id"]
    play.wait_for("dataprocessing", job_id)
    html = get(f"{play.endpoint_url}/local/jobs")[1]
    assert f"/local/jobs/dataprocessing/{job_id}" in html
    style = re.search(r'href="([^"]+\.css)"', html)
    assert style
    assert "color-scheme" in get(play.endpoint_url + style[1])[1]


def test_an_export_and_an_endpoint_have_pages_too(play: LocalNeptune, ml: Any) -> None:
    body = json.dumps({"command": "export-pg", "outputS3Path": "s3://neptune-ml/e"}).encode()
    request = urllib.request.Request(f"{play.endpoint_url}/v1/neptune-export", data=body, method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        page, job_id = answer.headers[CONSOLE_HEADER], json.load(answer)["jobId"]
    play.wait_for("export", job_id)
    assert "succeeded" in text_of(get(page)[1])
    ml.start_ml_data_processing_job(inputDataS3Location=IN, processedDataS3Location="s3://neptune-ml/o", id="for-pages")
    play.wait_for("dataprocessing", "for-pages")
    ml.start_ml_model_training_job(
        id="for-pages", dataProcessingJobId="for-pages", trainModelS3Location="s3://neptune-ml/m"
    )
    play.wait_for("modeltraining", "for-pages")
    ml.create_ml_endpoint(id="for-pages", mlModelTrainingJobId="for-pages")
    play.wait_for("endpoints", "for-pages")
    page = ml.get_ml_endpoint(id="for-pages")["ResponseMetadata"]["HTTPHeaders"][CONSOLE_HEADER]
    assert "InService" in text_of(get(page)[1])
    ml.delete_ml_endpoint(id="for-pages")
    play.wait_for("endpoints", "for-pages")
    assert "Deleting" in text_of(get(page)[1])


def test_the_address_for_a_browser_may_be_another() -> None:
    steps = dict.fromkeys(STEPS, "play_step")
    with LocalNeptune(Settings(public_url="http://neptune.test:99/", steps=steps)) as neptune:
        ml = neptune.client("neptunedata")
        answer = ml.start_ml_data_processing_job(
            id="x", inputDataS3Location="s3://neptune-ml/i", processedDataS3Location="s3://neptune-ml/o"
        )
        page = answer["ResponseMetadata"]["HTTPHeaders"][CONSOLE_HEADER]
    assert page == "http://neptune.test:99/local/jobs/dataprocessing/x"

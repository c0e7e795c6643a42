"""What is kept of a job's own report: the local service's, and what an export tells where a job of AWS's wrote none."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from neptune_airflow import reports
from neptune_airflow.hooks.answers import ANSWER_LIMIT
from neptune_airflow.hooks.neptune_ml import NeptuneMLHook
from neptune_airflow.jobs import KINDS, Job
from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.records import Record
from tests.provider.conftest import connection

LOG = logging.getLogger("reports")
OUT = "s3://neptune-ml/reports"
CONFIGURATION = {
    "version": "v2.0",
    "graph": {
        "nodes": [
            {
                "node": ["~id", "person"],
                "features": [{"feature": ["age", "age", "numerical"]}, {"feature": ["bio", "auto"]}],
                "labels": [{"label": ["kind", "classification"], "split_rate": [0.8, 0.1, 0.1]}],
            }
        ],
        "edges": [
            {
                "source": ["~from", "person"],
                "relation": ["", "knows"],
                "dest": ["~to", "person"],
                "labels": [{"label": ["", "link_prediction"]}],
            }
        ],
    },
    "warnings": ["one of the exporter's"],
}
STATS = {"stats": {"nodes": 7, "edges": 9, "details": {}}}


@pytest.fixture
def hook() -> NeptuneMLHook:
    return NeptuneMLHook()


@pytest.fixture
def put(play: LocalNeptune, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Put JSON files into a folder of the test's own, and give its S3 URI."""
    folder = request.node.name.replace("[", "-").replace("]", "")

    def make(**files: Any) -> str:
        for name, content in files.items():
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            key = f"{folder}/{name.replace('__', '-')}.json"
            play.client("s3").put_object(Bucket="neptune-ml", Key=key, Body=body)
        return f"s3://neptune-ml/{folder}"

    return make


def read(hook: NeptuneMLHook, kind: str, output: str | None, source: str | None = None, **request: Any) -> reports.Told:
    return reports.read(hook, Job(kind, "x", output_location=output), request, source, LOG)


@pytest.mark.parametrize("wrapped", [False, True])
def test_of_aws_an_export_tells_what_was_asked_for(hook: NeptuneMLHook, put: Any, wrapped: bool) -> None:
    """The user guide shows the graph in a list; the exporter writes it without one."""
    configuration = {**CONFIGURATION, "graph": [CONFIGURATION["graph"]]} if wrapped else CONFIGURATION
    source = put(stats=STATS, training__data__configuration=configuration)
    figures, report = read(hook, "data_processing", f"{OUT}/nothing", source)
    assert figures == {"nodes": 7, "edges": 9, "features": 2}
    assert report["features"][0] == {
        "type": "person",
        "property": "age",
        "given": "numerical",
        "encoding": "numerical",
    }
    assert report["features"][1]["encoding"] == "auto"
    assert report["labels"] == [
        {"target": "person.kind", "task": "classification", "split_rate": [0.8, 0.1, 0.1]},
        {"target": "(person)-knows-(person)", "task": "link_prediction", "split_rate": None},
    ]
    assert report["warnings"] == ["one of the exporter's"]
    assert read(hook, "export", source) == (figures, report)


def test_another_configuration_is_read_by_its_name(hook: NeptuneMLHook, put: Any) -> None:
    source = put(mine=CONFIGURATION)
    figures, _ = read(hook, "data_processing", f"{OUT}/nothing", source, configFileName="mine.json")
    assert figures == {"features": 2}


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"1", b'{"nodes": 1}', b'{"nodes": {"a": {}}, "edges": {}, "warnings": []}', b"[" * 200_000],
)
def test_a_file_of_another_form_is_passed_over(
    hook: NeptuneMLHook, put: Any, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    output = put(processing_report=content)
    with caplog.at_level(logging.INFO):
        assert read(hook, "data_processing", output) == ({}, {})
    assert "No report is kept of the job 'x'" in caplog.text


def test_a_file_that_is_too_large_is_passed_over(
    hook: NeptuneMLHook, put: Any, caplog: pytest.LogCaptureFixture
) -> None:
    output = put(training_report=b" " * (ANSWER_LIMIT + 1))
    with caplog.at_level(logging.INFO):
        assert read(hook, "model_training", output) == ({}, {})
    assert str(ANSWER_LIMIT) in caplog.text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("location", [None, "", "s3://no-such-bucket/x", "https://elsewhere/x", "s3://"])
def test_what_is_not_there_is_nothing(hook: NeptuneMLHook, kind: str, location: str | None) -> None:
    assert read(hook, kind, location, location) == ({}, {})


def test_metrics_alone_give_a_figure() -> None:
    both = {"eval": {"acc": 0.8}, "test": {"acc": 0.7, "F1": 0.6}}
    assert reports.of_metrics(both) == {"metric_name": "acc", "value": 0.7, "split": "test"}
    assert reports.of_metrics({"eval": {"mse": 3}, "test": "?"}) == {"metric_name": "mse", "value": 3, "split": "valid"}
    assert reports.of_metrics({"eval": {"acc": True}}) == reports.of_metrics(None) == {}


@pytest.mark.parametrize(("metric", "baseline"), [("acc", "b"), ("rmse", "c"), ("mr", "c")])
def test_the_best_baseline_is_the_one_beside_the_metric(
    hook: NeptuneMLHook, put: Any, metric: str, baseline: str
) -> None:
    comparison = {name: {metric: value} for name, value in (("rgcn", 0.5), ("b", 0.9), ("c", 0.1))}
    output = put(
        transform_report={
            "metric": metric,
            "model": "rgcn",
            "target": "t",
            "compared_on": "valid",
            "comparison": {"valid": comparison},
            "split": {"train": 8, "valid": 2},
        }
    )
    figures, report = read(hook, "model_transform", output)
    assert figures["value"] == 0.5
    assert figures["baseline_name"] == baseline
    assert (figures["metric_name"], figures["split"], figures["train"]) == (metric, "valid", 8)
    assert report["comparison"] == {"rgcn": 0.5, "b": 0.9, "c": 0.1}


def test_of_the_local_service_everything_is_told(
    service: LocalNeptune, monkeypatch: pytest.MonkeyPatch, hook: NeptuneMLHook
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection(service.endpoint_url))
    ml, hook = service.client("neptunedata"), NeptuneMLHook()
    target = {"node": "customer", "property": "segment", "type": "classification", "split_rate": [0.7, 0.1, 0.2]}
    from neptune_airflow.hooks.neptune_export import NeptuneExportHook

    exporter = NeptuneExportHook()
    request = {
        "command": "export-pg",
        "outputS3Path": "s3://neptune-ml/whole",
        "additionalParams": {"neptune_ml": {"targets": [target]}},
    }
    started = exporter.start_job(KINDS["export"], request)
    service.wait_for("export", started.id, timeout=120)
    exported = exporter.describe_job(KINDS["export"], started.id)
    figures, report = reports.read(exporter, exported, request, None, LOG)
    assert (figures["nodes"], bool(report["features"])) == (5000, True)

    ml.start_ml_data_processing_job(
        id="told", inputDataS3Location=exported.output_location, processedDataS3Location="s3://neptune-ml/whole/p"
    )
    service.wait_for("dataprocessing", "told", timeout=120)
    processed = hook.describe_job(KINDS["data_processing"], "told")
    figures, report = reports.read(hook, processed, {}, exported.output_location, LOG)
    assert figures == figures | {"nodes": 5000, "edges": 51257, "train": 2240, "valid": 320, "test": 640}
    material = next(each for each in report["features"] if each["property"] == "material")
    assert (material["type"], material["given"], material["encoding"]) == ("product", "auto", "category")
    (label,) = report["labels"]
    assert (label["target"], sum(label["classes"].values())) == ("customer.segment", 3200)
    assert label["split"] == {"train": 2240, "valid": 320, "test": 640}

    ml.start_ml_model_training_job(
        id="told",
        dataProcessingJobId="told",
        trainModelS3Location="s3://neptune-ml/whole/m",
        maxHPONumberOfTrainingJobs=1,
    )
    service.wait_for("modeltraining", "told", timeout=240)
    trained = hook.describe_job(KINDS["model_training"], "told")
    figures, report = reports.read(hook, trained, {}, None, LOG)
    assert figures["value"] > figures["baseline"] > 0
    assert (figures["metric_name"], figures["split"], figures["trials"]) == ("acc", "test", 1)
    (trial,) = report["trials"]
    assert trial["metrics"][0][0] == 1
    assert max(value for _, value in trial["metrics"]) == pytest.approx(trial["value"])

    record = Record("model_training", "submits", 1)
    record.tell(figures=figures, report=report)
    assert "cut" not in record.as_dict()["report"]

"""What a finished job tells: its metrics, its assets' events, its lineage; and what it builds on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from chaos.versions import IS_AIRFLOW_2, alias_events
from neptune_airflow.compat import Asset, AssetAlias
from neptune_airflow.errors import NeptuneMLMetricsError
from neptune_airflow.jobs import Job
from neptune_airflow.lineage import asset_uri
from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.metrics import metric
from neptune_airflow.operators.neptune_ml import NeptuneMLCreateEndpointOperator, NeptuneMLModelTrainingOperator
from tests.provider.worker import Run

Make = Callable[..., Run]


@pytest.fixture
def train(request: pytest.FixtureRequest, trained: str) -> Make:
    """Make a training task."""

    def make(**kwargs: Any) -> Run:
        given = {
            "data_processing_job_id": trained,
            "train_model_s3_location": "s3://neptune-ml/models",
            "waiter_delay": 0.05,
            **kwargs,
        }
        return Run(NeptuneMLModelTrainingOperator(task_id=request.node.name.partition("[")[0], **given))

    return make


def write_metrics(play: LocalNeptune, **files: Any) -> str:
    """Let a submitted training have written its metrics; give where."""
    client = play.client("neptunedata")
    job_id = client.list_ml_model_training_jobs(maxItems=1)["ids"][0]
    location: str = play.wait_for("modeltraining", job_id).output_location
    for name, content in files.items():
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        key = f"{location.removeprefix('s3://neptune-ml/')}/{name}_metrics_info.json"
        play.client("s3").put_object(Bucket="neptune-ml", Key=key, Body=body)
    return location


@pytest.mark.parametrize("deferrable", [False, True])
def test_training_returns_its_metrics(play: LocalNeptune, train: Make, deferrable: bool) -> None:
    run = train(wait_for_completion=False)
    run.execute()
    location = write_metrics(play, eval={"acc": 0.9, "F1": 0.8}, test={"acc": 0.85})
    run.task.wait_for_completion = True  # type: ignore[attr-defined]
    run.task.deferrable = deferrable  # type: ignore[attr-defined]
    result = run.to_end()
    assert result["output_location"] == location
    assert result["metrics"] == {"eval": {"acc": 0.9, "F1": 0.8}, "test": {"acc": 0.85}}
    assert metric(result, "acc") == 0.85
    assert metric(result, "F1") == 0.8
    with pytest.raises(NeptuneMLMetricsError, match=r"no metric 'mse'.*F1, acc"):
        metric(result, "mse")
    json.dumps(result)


@pytest.mark.parametrize("content", [None, b"no json"])
def test_training_without_metrics_is_a_success_that_says_so(
    play: LocalNeptune, train: Make, content: bytes | None, capfd: pytest.CaptureFixture[str]
) -> None:
    run = train(wait_for_completion=False)
    run.execute()
    if content:
        write_metrics(play, eval=content)
    run.task.wait_for_completion = True  # type: ignore[attr-defined]
    result = run.to_end()
    assert result["status"] == "Completed"
    assert "metrics" not in result
    assert "The result has no metrics" in capfd.readouterr().out
    with pytest.raises(NeptuneMLMetricsError, match=r"gave no metrics\. What to do: its task's log"):
        metric(result, "acc")


def test_assets_get_the_job(process: Make) -> None:
    named = {} if IS_AIRFLOW_2 else {"name": "mine"}
    asset, alias, other = Asset("processed"), AssetAlias("places"), Asset(**named, uri="x://y", extra={"a": 1})
    run = process(outlets=[asset, alias, other])
    result = run.to_end()
    assert run.events[asset].extra == result
    assert run.events[other].extra == result
    assert alias_events(run.events[alias]) == [(result["output_location"], result)]


def test_endpoint_is_an_asset_too(endpoint: Make) -> None:
    alias = AssetAlias("endpoints")
    run = endpoint(outlets=[alias])
    result = run.to_end()
    ((uri, _),) = alias_events(run.events[alias])
    assert uri == f"sagemaker://us-east-1/123456789012/endpoint/{result['name']}"
    assert asset_uri(Job("endpoint", "x")) is None


def names(datasets: list[Any]) -> list[str]:
    return [f"{each.namespace}/{each.name}" for each in datasets]


def test_lineage_runs_from_the_export_to_the_endpoint(process: Make, train: Make, endpoint: Make) -> None:
    processing = process()
    assert names(processing.task.get_openlineage_facets_on_start().inputs) == ["s3://neptune-ml/in"]  # type: ignore[attr-defined]
    processed = processing.to_end()
    told = processing.task.get_openlineage_facets_on_complete(None)  # type: ignore[attr-defined]
    assert names(told.inputs) == ["s3://neptune-ml/in"]
    assert names(told.outputs) == [processed["output_location"]]
    assert told.run_facets["externalQuery"].externalQueryId == processed["arn"]
    training = train(data_processing_job_id=processed["id"])
    model = training.to_end()
    told = training.task.get_openlineage_facets_on_complete(None)  # type: ignore[attr-defined]
    assert (names(told.inputs), names(told.outputs)) == ([processed["output_location"]], [model["output_location"]])
    serving = endpoint(ml_model_training_job_id=model["id"])
    served = serving.to_end()
    told = serving.task.get_openlineage_facets_on_complete(None)  # type: ignore[attr-defined]
    assert names(told.inputs) == [model["output_location"]]
    assert names(told.outputs) == [f"sagemaker://us-east-1/123456789012/endpoint/{served['name']}"]


def test_lineage_of_an_incremental_run_names_what_it_builds_on(play: LocalNeptune, process: Make, trained: str) -> None:
    run = process(previous_data_processing_job_id="auto")
    run.ti.earlier = {"id": trained}
    run.to_end()
    told = run.task.get_openlineage_facets_on_complete(run.ti)  # type: ignore[attr-defined]
    assert names(told.inputs) == ["s3://neptune-ml/in", play.wait_for("dataprocessing", trained).output_location]


def test_lineage_of_a_failure_has_inputs_and_no_output(process: Make) -> None:
    run = process("fail")
    with pytest.raises(Exception, match="no value for 'age'"):
        run.to_end()
    told = run.task.get_openlineage_facets_on_failure(None)  # type: ignore[attr-defined]
    assert (names(told.inputs), told.outputs) == (["s3://neptune-ml/in"], [])


def test_lineage_survives_a_job_that_is_not_known(trained: str) -> None:
    operator = NeptuneMLCreateEndpointOperator(task_id="t", ml_model_training_job_id="nobody-knows")
    assert operator.get_openlineage_facets_on_complete(None).inputs == []


def test_operators_need_no_openlineage() -> None:
    code = """
import sys
for name in ("airflow.providers.openlineage.extractors", "airflow.providers.common.compat.openlineage.facet"):
    sys.modules[name] = None
import neptune_airflow.operators.neptune_export, neptune_airflow.operators.neptune_ml
neptune_airflow.operators.neptune_ml.NeptuneMLDeleteEndpointOperator(task_id="t", endpoint_id="e")
print("fine")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "fine"


def built_on(play: LocalNeptune, run: Run) -> tuple[str | None, str]:
    """Run a task; give the earlier job in its request, and the one that it told the tasks that come."""
    result = run.to_end()
    request = play.wait_for("dataprocessing", result["id"]).request
    return request.get("previousDataProcessingJobId"), run.ti.xcoms["previous_data_processing_job_id"]


def test_auto_takes_the_earlier_job_and_says_so(
    play: LocalNeptune, process: Make, trained: str, capfd: pytest.CaptureFixture[str]
) -> None:
    run = process(previous_data_processing_job_id="auto")
    run.ti.earlier = {"id": trained}
    assert built_on(play, run) == (trained, trained)
    assert f"builds on the job '{trained}'" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("earlier", "words"),
    [
        (None, "no earlier run of this DAG has one, so this is a full run"),
        ({"id": "long-gone"}, "'long-gone' is not known to the cluster any more, so this is a full run"),
        ({"id": "broke"}, "'broke' is Failed, so this is a full run"),
    ],
)
def test_auto_without_an_earlier_job_is_a_full_run(
    play: LocalNeptune, process: Make, earlier: Any, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    client = play.client("neptunedata")
    if "broke" not in client.list_ml_data_processing_jobs(maxItems=1024)["ids"]:
        places = {"inputDataS3Location": "s3://neptune-ml/in", "processedDataS3Location": "s3://neptune-ml/out"}
        client.start_ml_data_processing_job(id="broke", configFileName="fail", **places)
        play.wait_for("dataprocessing", "broke")
    run = process(previous_data_processing_job_id="{{ 'auto' }}")
    run.task.render_template_fields({})  # type: ignore[attr-defined]
    run.ti.earlier = earlier
    assert built_on(play, run) == (None, "")
    assert words in capfd.readouterr().out


def test_a_given_earlier_job_is_taken_as_it_is(play: LocalNeptune, process: Make, trained: str) -> None:
    assert built_on(play, process(previous_data_processing_job_id=trained)) == (trained, trained)


def test_no_earlier_job_is_a_full_run(play: LocalNeptune, process: Make) -> None:
    assert built_on(play, process(previous_data_processing_job_id="")) == (None, "")

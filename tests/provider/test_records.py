"""The record of a job: complete, bounded, without secrets, and JSON that every database takes."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neptune_airflow.errors import NeptuneMLJobFailedError
from neptune_airflow.jobs import PARTS, SUBMITS, Job
from neptune_airflow.records import FIELDS, KEY, MOST_BYTES, MOST_MOMENTS, Record, moment
from neptune_airflow.verdicts import with_remedies

ARN = "arn:aws:sagemaker:us-east-1:123456789012:processing-job/abc"


def record(**known: Any) -> Record:
    return Record("data_processing", SUBMITS, 2, known or None)


def test_a_new_record_has_every_field() -> None:
    made = record().as_dict()
    assert set(made) == set(FIELDS)
    assert (made["version"], made["kind"], made["part"], made["try_number"]) == (1, "data_processing", "submits", 2)
    assert (made["timeline"], made["failure"], made["links"]) == ([], None, {})


def test_what_the_service_says_is_kept_with_its_time() -> None:
    made = record()
    made.saw(Job("data_processing", "x", "InProgress", ARN, "abc", "s3://bucket/out"), 0.0)
    made.saw(Job("data_processing", "x", "InProgress"), 60.0)
    made.saw(Job("data_processing", "x", "Completed", ARN, "abc"), 90.5)
    values = made.as_dict()
    assert values["timeline"] == [[moment(0), "InProgress"], ["1970-01-01T00:01:30.500+00:00", "Completed"]]
    assert (values["status"], values["phase"], values["ended"]) == ("Completed", "succeeded", moment(90.5))
    assert (values["arn"], values["name"], values["output_location"]) == (ARN, "abc", "s3://bucket/out")


def test_a_triggers_timeline_is_put_after_the_workers() -> None:
    made = record()
    made.saw(Job("data_processing", "x", "InProgress"), 0.0)
    made.passed([[moment(5), "InProgress"], [moment(9), "Failed"]])
    made.saw(Job("data_processing", "x", "Failed"), 12.0)
    values = made.as_dict()
    assert values["timeline"] == [[moment(0), "InProgress"], [moment(9), "Failed"]]
    assert (values["phase"], values["ended"]) == ("failed", moment(9))


def test_the_first_change_and_the_newest_stay() -> None:
    made = record()
    made.passed([[str(number), "ab"[number % 2]] for number in range(1000)])
    timeline = made.as_dict()["timeline"]
    assert len(timeline) == MOST_MOMENTS
    assert (timeline[0][0], timeline[1][0], timeline[-1][0]) == ("0", "951", "999")


def test_a_try_goes_on_with_its_own_record_only() -> None:
    first = record()
    first.saw(Job("data_processing", "x", "InProgress"), 0.0)
    first.tell(links={"a": "https://a"}, figures={"nodes": 3})
    first.failed(ValueError("gone by now"))
    second = record(**first.as_dict())
    second.tell(links={"b": "https://b"}, deadline=None)
    values = second.as_dict()
    assert values["links"] == {"a": "https://a", "b": "https://b"}
    assert (values["id"], values["figures"], values["failure"]) == ("x", {"nodes": 3}, None)
    assert Record("data_processing", SUBMITS, 3, first.as_dict()).as_dict()["id"] is None
    assert record(**{**first.as_dict(), "version": 0}).as_dict()["id"] is None


def test_a_failure_says_what_to_do() -> None:
    made = record()
    made.failed(NeptuneMLJobFailedError(with_remedies("AlgorithmError: see the log")), "AlgorithmError", ["a", "b"])
    made.failed(KeyError("what the sensor made of it"))
    failure = made.as_dict()["failure"]
    assert (failure["error_type"], failure["reason"], failure["log"]) == ("KeyError", "AlgorithmError", ["a", "b"])
    assert failure["remedy"].startswith("The reason is in the job's log")
    assert made.as_dict()["phase"] == "failed"
    alone = record()
    alone.failed(NeptuneMLJobFailedError("AccessDenied: no\nWhat to do: this\nWhat to do: that"))
    assert alone.as_dict()["failure"] == {
        "error_type": "NeptuneMLJobFailedError",
        "reason": "AccessDenied: no",
        "remedy": "this\nthat",
        "log": [],
    }


def test_secrets_and_what_no_database_takes_are_left_out() -> None:
    made = record()
    made.tell(
        parameters={"url": "https://user:secret@host", "bad": math.nan, "more": [math.inf, "\0a\ud800", b"x"]},
        report={"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": 1}}}}}}}},
    )
    values = made.as_dict()
    assert "secret" not in json.dumps(values)
    assert values["parameters"]["bad"] is None
    assert values["parameters"]["more"] == [None, "a?", "b'x'"]
    json.dumps(values, allow_nan=False).encode("ascii")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6000),
    lambda inner: st.lists(inner, max_size=40) | st.dictionaries(st.text(max_size=3000), inner, max_size=30),
    max_leaves=80,
)
LARGE = 'ü\\"' * 3000


@settings(max_examples=60, deadline=None)
@given(
    parameters=st.dictionaries(st.text(), JSON, max_size=20),
    report=st.dictionaries(st.text(), JSON, max_size=20),
    figures=st.dictionaries(st.text(max_size=5000), st.floats(), max_size=60),
    lines=st.lists(st.text(max_size=3000), max_size=80),
    swell=st.integers(1, 40),
)
def test_no_record_is_too_large(
    parameters: dict[str, Any], report: dict[str, Any], figures: dict[str, float], lines: list[str], swell: int
) -> None:
    made = record()
    large = LARGE * swell
    made.tell(parameters=parameters | {"x": [large] * swell}, figures=figures, links={"a": large, "b": large})
    made.tell(report=report | {"features": [{"property": "p", "type": "t"}] * 99 * swell}, input_location=large)
    made.saw(Job("export", large, large, large, large, large), 1.0)
    made.passed([[large, f"{number}{large}"] for number in range(swell)])
    made.failed(ValueError(large), large, lines * swell)
    values = made.as_dict()
    assert len(json.dumps(values)) <= MOST_BYTES
    assert set(values) == set(FIELDS)
    assert (values["kind"], values["try_number"]) == ("data_processing", 2)
    assert values["report"]["cut"] is True


def test_a_report_is_cut_first_and_says_so() -> None:
    made = record()
    feature = {"type": "person", "property": "a name of a usual length", "encoding": "numerical", "tensor": [1, 20]}
    curve = [[epoch, 0.5] for epoch in range(2000)]
    made.tell(parameters={"a": "b" * 900}, report={"features": [feature] * 900, "trials": [{"metrics": curve}]})
    values = made.as_dict()
    assert values["parameters"] == {"a": "b" * 900}
    assert values["report"]["cut"] is True
    assert values["report"]["features"][0] == feature
    kept = values["report"]["trials"][0]["metrics"]
    assert kept[0] == [0, 0.5]
    assert kept[-1][0] > 1900
    small = record()
    small.tell(report={"warnings": ["one"]})
    assert small.as_dict()["report"] == {"warnings": ["one"]}


def test_it_is_stored_only_when_it_says_something_new() -> None:
    pushed: list[tuple[str, dict[str, Any]]] = []
    made = record()
    made.saw(Job("data_processing", "x", "InProgress"), 0.0)
    made.store(lambda key, value: pushed.append((key, value)))
    made.saw(Job("data_processing", "x", "InProgress"), 1.0)
    made.store(lambda key, value: pushed.append((key, value)))
    made.saw(Job("data_processing", "x", "Completed"), 2.0)
    made.store(lambda key, value: pushed.append((key, value)))
    assert [(key, value["status"]) for key, value in pushed] == [(KEY, "InProgress"), (KEY, "Completed")]


@pytest.mark.parametrize("part", PARTS)
def test_parts_are_the_contracts(part: str) -> None:
    assert part in ("submits", "waits", "removes", "checks")


def test_beside_an_operator_it_loads_only_small_modules_of_this_package() -> None:
    program = """
import json, sys, neptune_airflow.operators.base
before = set(sys.modules)
import neptune_airflow.records
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    added = json.loads(done.stdout.strip().splitlines()[-1])
    assert added == [f"neptune_airflow.{name}" for name in ("records", "redaction", "verdicts")]

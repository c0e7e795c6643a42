"""Whatever the parameters are, they are refused in words or written as a configuration that can be read."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from neptune_airflow.dataset import ConfigurationError, parse
from neptune_airflow.local.export.parameters import FEATURE_TYPES
from neptune_airflow.local.export.training_config import TrainingConfigError, training_configurations
from tests.export.configurations import KNOWS, schema

GRAPH = {
    kind: schema(kind[:-1], ("p", "Integer", False), ("q", "String", True), ("r", "Date", False))[kind]
    for kind in ("nodes", "edges")
}
ODD = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(max_size=3))
TYPES = [*FEATURE_TYPES, "word2vec"]
VALUES: dict[str, list[Any]] = {
    "node": ["Person", ["Person"], "Admin;Person"],
    "edge": [KNOWS, [["Person"], "knows", ["Person"]], ["A", "knows"]],
    "property": ["p", "q", "r", "gone", ""],
    "properties": [["p", "q"], [], ["gone"]],
    "norm": ["none", "standard"],
    "imputer": ["mean", "none", "most-frequent"],
    "separator": ["|", ""],
    "range": [[0, 1], [1.5, 0], [2**63, 0]],
    "ngram_range": [[1, 2]],
    "bucket_cnt": [3],
    "min_df": [1],
    "max_features": [10],
    "slide_window_size": [0, 2**31],
    "language": ["en", ["en_core_web_lg"]],
    "datetime_parts": [["hour"], []],
    "split_rate": [[0.8, 0.1, 0.1], [1, 0, 0]],
}


def mostly(values: list[Any]) -> st.SearchStrategy[Any]:
    """Choose among values that may well stand there, and now and then anything else."""
    return st.integers(0, 11).flatmap(lambda chance: st.sampled_from(values) if chance else ODD)


def objects(names: list[str], **always: list[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Make objects that have some fields always, and others now and then."""
    return st.fixed_dictionaries(
        {name: mostly(values) for name, values in always.items()},
        optional={name: mostly(VALUES[name]) for name in names},
    )


TARGET_TYPES = ["classification", "regression", "link_prediction"]
TARGETS = st.one_of(
    objects(["separator", "split_rate"], node=VALUES["node"], property=VALUES["property"], type=TARGET_TYPES[:2]),
    objects(["property", "separator", "split_rate"], edge=VALUES["edge"], type=TARGET_TYPES),
)
OPTIONS = [name for name in VALUES if name not in ("node", "edge", "property", "properties", "split_rate")]
FEATURES = st.one_of(
    objects(OPTIONS, node=VALUES["node"], property=VALUES["property"], type=TYPES),
    objects(OPTIONS, edge=VALUES["edge"], properties=VALUES["properties"], type=TYPES),
    objects([*VALUES], type=TYPES),
)
JOBS = st.fixed_dictionaries(
    {},
    optional={
        "name": mostly(["mine"]),
        "targets": st.one_of(TARGETS, st.lists(TARGETS, max_size=2), ODD),
        "features": st.one_of(FEATURES, st.lists(FEATURES, max_size=2)),
        "feature_encoding": mostly(["none"]),
        "disableEdgeFeatures": ODD,
    },
)


def unread(configuration: dict[str, Any]) -> str | None:
    """Give the field that data processing's reader objects to, if any."""
    try:
        parse(json.dumps(configuration))
    except ConfigurationError as error:
        return error.path.split(".")[-1].split("[")[0]
    return None


@settings(max_examples=300, deadline=None)
@given(neptune_ml=st.one_of(JOBS, st.lists(JOBS, max_size=2), st.fixed_dictionaries({"jobs": st.lists(JOBS)}), ODD))
@example(neptune_ml={"features": [{"node": [], "property": "p", "type": "none"}]})
@example(neptune_ml={"targets": [{"edge": [{}, "knows", None], "type": "link_prediction"}]})
def test_parameters_are_refused_in_words_or_written_to_be_read(neptune_ml: Any) -> None:
    with suppress(TrainingConfigError):
        for configuration in training_configurations(GRAPH, neptune_ml).values():
            # Neptune-export writes what it is told: a property may become two features, and buckets may be empty.
            allowed = (None, "feature", "labels", "range", "ngram_range", "max_length")
            assert unread(configuration) in allowed

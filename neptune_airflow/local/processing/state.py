"""The encoder state beside the outputs, by which a later job encodes and numbers as this one did."""

from __future__ import annotations

import json
import pickle
from typing import Any

import polars as pl

from neptune_airflow.local.processing import infopickle
from neptune_airflow.local.processing.work import Previous
from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.store import Store, join

STATE = "encoder_state.json"
INFO = "info.pkl"
VERSION = 1


def save(encodings: dict[str, dict[str, Any]], classes: dict[str, list[str]]) -> bytes:
    """Give the state's file: the features' encodings and the labels' classes, both by type."""
    return json.dumps({"version": VERSION, "encodings": encodings, "classes": classes}, allow_nan=False).encode()


def load(store: Store, location: str) -> Previous:
    """Read what an earlier job left at its output location; the nodes' numbers come from its info.pkl.

    :raises StepFailed: when the files are not there or not of this version.
    """
    try:
        state = json.loads(store.read(join(location, STATE)))
        node_id_map = infopickle.read(store.read(join(location, INFO)))["node_id_map"]
    except FileNotFoundError as error:
        raise StepFailed(f"the earlier job at {location} left no {str(error).rpartition('/')[2]}") from None
    except (ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise StepFailed(f"what the earlier job left at {location} can't be read: {error}") from None
    if state.get("version") != VERSION:
        raise StepFailed(f"{join(location, STATE)}: version {state.get('version')!r} is not {VERSION}")
    node_ids = {node_type: _in_order(node_id_map.pop(node_type)) for node_type in list(node_id_map)}
    return Previous(state["encodings"], state["classes"], node_ids)


def _in_order(numbers: dict[str, int]) -> pl.Series:
    table = pl.DataFrame(
        {"id": pl.Series(list(numbers), dtype=pl.String), "index": pl.Series(list(numbers.values()), dtype=pl.Int64)}
    )
    return table.sort("index")["id"]

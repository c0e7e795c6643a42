"""The encoder state beside the outputs, by which a later job encodes and numbers as this one did.

Since version 2 it also says of the files how they began, and the ids stand a second time, in a form that is read in a
twentieth of the time that info.pkl takes: some bytes an id, where graph.bin has hundreds a node.
"""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from neptune_airflow.local import graphbin
from neptune_airflow.local.processing import infopickle
from neptune_airflow.local.processing.csvfile import Known
from neptune_airflow.local.processing.growth import Prefix
from neptune_airflow.local.processing.work import Previous, Seen
from neptune_airflow.local.step import StepFailed
from neptune_airflow.store import Store, join

GRAPH = "graph.bin"
IDS = "node_ids.parquet"
INFO = "info.pkl"
STATE = "encoder_state.json"
#: Version 1 had neither the files nor the ids.
VERSION, VERSIONS = 2, (1, 2)


def save(
    encodings: dict[str, dict[str, Any]],
    classes: dict[str, list[str]],
    node_ids: Mapping[str, pl.Series],
    files: Sequence[Seen],
) -> dict[str, bytes]:
    """Give the state's files by name.

    :param encodings: the features' encodings, by type.
    :param classes: the labels' classes, by type.
    :param node_ids: each type's ids, in the order of their indices.
    :param files: what a later job need not read again.
    """
    content = {
        "version": VERSION,
        "encodings": encodings,
        "classes": classes,
        "nodes": {node_type: len(ids) for node_type, ids in node_ids.items()},
        "files": [asdict(seen) for seen in files],
    }
    ids = io.BytesIO()
    pl.DataFrame({"id": pl.concat(list(node_ids.values()))}).write_parquet(ids, compression="zstd")
    return {STATE: json.dumps(content, allow_nan=False).encode(), IDS: ids.getvalue()}


def load(store: Store, location: str, folder: Path) -> Previous:
    """Read what an earlier job left at its output location.

    :param folder: takes the graph, if it is not in a local folder; what is loaded needs it as long.
    :raises StepFailed: when the files are not there, damaged or not of a known version.
    """
    try:
        state = json.loads(store.read(join(location, STATE)))
        if state.get("version") not in VERSIONS:
            known = " or ".join(map(str, VERSIONS))
            raise StepFailed(f"{join(location, STATE)}: version {state.get('version')!r} is not {known}")
        node_ids = _ids(store, location, state.get("nodes"))
        graph = graphbin.view(store.fetch(join(location, GRAPH), folder / f"previous-{GRAPH}"))
        files = [_seen(**seen) for seen in state.get("files", [])]
    except FileNotFoundError as error:
        name = str(error.filename or error).rpartition("/")[2]
        raise StepFailed(f"the earlier job at {location} left no {name}") from None
    except (ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError, pl.exceptions.PolarsError) as error:
        raise StepFailed(f"what the earlier job left at {location} can't be read: {error}") from None
    if {name: len(ids) for name, ids in node_ids.items()} != graph.nodes:
        raise StepFailed(f"what the earlier job left at {location} does not fit together: {GRAPH} has other nodes")
    return Previous(state["encodings"], state["classes"], node_ids, graph, files)


def _seen(entry: dict[str, Any], known: dict[str, Any], missing: dict[str, int], left_out: list[Any]) -> Seen:
    prefix = Prefix(known["prefix"]["size"], tuple(known["prefix"]["blocks"]))
    return Seen(entry, Known(prefix, known["rows"]), missing, (left_out[0], left_out[1]))


def _ids(store: Store, location: str, counts: dict[str, int] | None) -> dict[str, pl.Series]:
    if counts is None:
        node_id_map = infopickle.read(store.read(join(location, INFO)))["node_id_map"]
        return {node_type: _in_order(node_id_map.pop(node_type)) for node_type in list(node_id_map)}
    ids, begin, found = pl.read_parquet(io.BytesIO(store.read(join(location, IDS))))["id"], 0, {}
    for node_type, count in counts.items():
        found[node_type] = ids.slice(begin, count)
        begin += count
    return found


def _in_order(numbers: dict[str, int]) -> pl.Series:
    table = pl.DataFrame(
        {"id": pl.Series(list(numbers), dtype=pl.String), "index": pl.Series(list(numbers.values()), dtype=pl.Int64)}
    )
    return table.sort("index")["id"]

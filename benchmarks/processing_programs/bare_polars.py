"""The job's work for the benchmark's export alone, with polars and nothing around it: ``bare_polars.py EXPORT TARGET``.

Files are read whole, values are what polars infers, an end is found by a join. `graph.bin` and `info.pkl` come out the
same; there is no streaming, no place in an error, no report, and no state for an incremental run.
"""

from __future__ import annotations

import pickle
import sys
import zlib
from pathlib import Path

import numpy as np
import polars as pl

from neptune_airflow.local import graphbin

USER, FOLLOWS, REVERSE = "user", "follows", "rev-follows"
NODES, EDGES = "nodes/user.consolidated.csv", "edges/%28user%29-follows-%28user%29.consolidated.csv"
SPLIT_ENDS = (0.7, 0.8)


def scaled(values: pl.Series, *, by_sum: bool = False) -> np.ndarray:
    """Fill with the median, and scale to 0…1 or by the sum: one column of float32."""
    filled = values.cast(pl.Float64).fill_null(values.median())
    low = 0.0 if by_sum else filled.min()
    found = (filled - low) / (filled.sum() if by_sum else filled.max() - low)
    return found.cast(pl.Float32).to_numpy().reshape(-1, 1)


def nodes(source: Path) -> tuple[pl.Series, dict[str, np.ndarray], list[str]]:
    """Give the ids, the tensors, labels and masks, and the classes."""
    table = pl.read_csv(source / NODES, columns=["~id", "country", "age", "score", "plan"])
    ids = table["~id"]
    if ids.is_null().any() or ids.is_duplicated().any():
        raise ValueError("an id is missing or there twice")
    one_hot = table["country"].to_dummies()
    classes = sorted(table["plan"].unique().to_list())
    data = {
        "country": one_hot.select(sorted(one_hot.columns)).cast(pl.Float32).to_numpy(),
        "age": scaled(table["age"]),
        "score": scaled(table["score"], by_sum=True),
        "labels": table["plan"].cast(pl.Enum(classes)).to_physical().cast(pl.Int64).to_numpy(),
    }
    order = np.random.default_rng(zlib.crc32(USER.encode())).permutation(len(ids))
    ends = [round(share * len(ids)) for share in SPLIT_ENDS]
    for name, members in zip(("train", "valid", "test"), np.split(order, ends), strict=True):
        data[f"{name}_mask"] = np.zeros(len(ids), np.uint8)
        data[f"{name}_mask"][members] = 1
    return ids, data, classes


def edges(source: Path, ids: pl.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the edges' ends as numbers of nodes, and their one tensor."""
    table = pl.read_csv(source / EDGES, columns=["~from", "~to", "weight"])
    numbers = pl.DataFrame({"id": ids}).with_row_index("number")
    ends = []
    for column in ("~from", "~to"):
        found = table.select(column).join(numbers, left_on=column, right_on="id", how="left", maintain_order="left")[
            "number"
        ]
        if found.null_count():
            raise ValueError(f"{column} names an unknown node")
        ends.append(found.cast(pl.Int64).to_numpy())
    return ends[0], ends[1], scaled(table["weight"])


def main(source: str, target: str) -> None:
    """Do the work."""
    folder = Path(target)
    folder.mkdir(parents=True)
    ids, data, classes = nodes(Path(source))
    rows, cols, weight = edges(Path(source), ids)
    relations = [
        graphbin.Relation(USER, FOLLOWS, USER, rows, cols, {"weight": weight}),
        graphbin.Relation(USER, REVERSE, USER, cols, rows),
    ]
    with (folder / "graph.bin").open("wb") as sink:
        graphbin.write(graphbin.Graph({USER: len(ids)}, {USER: data}, relations), sink)
    kinds = {"country": "category", "age": "numerical", "score": "numerical"}
    info = {
        "node_id_map": {USER: dict(zip(ids, range(len(ids)), strict=True))},
        "label_map": {USER: dict(enumerate(classes))},
        "label_properties": {USER: "plan"},
        "is_multilabel": False,
        "node_feat_meta": {USER: {name: {"type": kind} for name, kind in kinds.items()}},
        "edge_feat_meta": {(USER, FOLLOWS, USER): {"weight": {"type": "numerical"}}},
    }
    with (folder / "info.pkl").open("wb") as sink:
        pickle.dump(info, sink, 4)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The job's work for this one export as most would write it with pandas: ``plain_pandas.py EXPORT TARGET``.

Arrays go to the file in numpy's own format, and the split is another one, equally large; all else is the same.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd


def main(source: str, target: str) -> None:
    """Do the work."""
    export, folder = Path(source), Path(target)
    folder.mkdir(parents=True)
    nodes = pd.read_csv(export / "nodes/user.consolidated.csv", dtype={"~id": str, "country": str, "plan": str})
    assert not nodes["~id"].duplicated().any()
    count = len(nodes)
    one_hot = pd.get_dummies(nodes["country"], dtype="float32").to_numpy()
    age = nodes["age"].fillna(nodes["age"].median())
    score = nodes["score"].fillna(nodes["score"].median())
    arrays = {
        "country": one_hot,
        "age": ((age - age.min()) / (age.max() - age.min())).to_numpy("float32").reshape(-1, 1),
        "score": (score / score.sum()).to_numpy("float32").reshape(-1, 1),
        "labels": nodes["plan"].astype("category").cat.codes.to_numpy("int64"),
    }
    order = np.random.default_rng(0).permutation(count)
    splits = np.split(order, [int(count * 0.7), int(count * 0.8)])
    for name, members in zip(("train", "valid", "test"), splits, strict=True):
        arrays[name] = np.zeros(count, "uint8")
        arrays[name][members] = 1
    index = pd.Series(np.arange(count), index=nodes["~id"])
    edges = pd.read_csv(
        export / "edges/%28user%29-follows-%28user%29.consolidated.csv",
        usecols=["~from", "~to", "weight"],
        dtype={"~from": str, "~to": str},
    )
    rows = edges["~from"].map(index)
    cols = edges["~to"].map(index)
    assert not rows.isna().any()
    assert not cols.isna().any()
    rows, cols = rows.to_numpy("int64"), cols.to_numpy("int64")
    weight = edges["weight"].fillna(edges["weight"].median())
    arrays["weight"] = ((weight - weight.min()) / (weight.max() - weight.min())).to_numpy("float32").reshape(-1, 1)
    arrays |= {"rows": rows, "cols": cols, "rev_rows": cols, "rev_cols": rows}
    with (folder / "graph.bin").open("wb") as sink:
        for array in arrays.values():
            np.save(sink, array)
    with (folder / "info.pkl").open("wb") as sink:
        pickle.dump({"node_id_map": {"user": dict(zip(nodes["~id"], range(count), strict=True))}}, sink, 4)


if __name__ == "__main__":
    main(*sys.argv[1:])

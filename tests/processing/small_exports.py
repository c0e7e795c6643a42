"""Small exports in a folder, and the job run over them."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.local import graphbin
from neptune_airflow.local.processing.job import run
from neptune_airflow.local.step import Step
from neptune_airflow.store import Store

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"


class OnlyPlainThings(pickle.Unpickler):
    """As strict as the unpickler of AWS's notebooks: harmless builtins, collections and numpy."""

    allowed = {
        "builtins": {"dict", "list", "tuple", "set", "int", "float", "str", "bool"},
        "collections": {"OrderedDict"},
    }

    def find_class(self, module_name: str, global_name: str) -> Any:
        if global_name in self.allowed.get(module_name, ()) or module_name.split(".")[0] == "numpy":
            return super().find_class(module_name, global_name)
        raise pickle.UnpicklingError(f"{module_name}.{global_name} is not allowed")


@dataclass
class Output:
    """What a job left, read back."""

    folder: Path
    result: dict[str, Any]
    lines: list[str]

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_bytes())

    @property
    def graph(self) -> graphbin.Graph:
        with (self.folder / "graph.bin").open("rb") as source:
            return graphbin.read(source)

    @property
    def info(self) -> dict[str, Any]:
        with (self.folder / "info.pkl").open("rb") as source:
            found: dict[str, Any] = OnlyPlainThings(source).load()
        return found

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = self.json("processing_report.json")
        return found

    def relation(self, name: str = "knows") -> graphbin.Relation:
        return next(relation for relation in self.graph.relations if relation.name == name)

    def feature(self, name: str = "x", node_type: str = "a") -> NDArray[Any]:
        return self.graph.node_data[node_type][name]


def node(*features: Any, file: str = "nodes/a.csv", kind: str = "a", **more: Any) -> dict[str, Any]:
    """Configure a node file; a feature is ``(name, type, options)``."""
    items = [{"feature": [name, name, encoding], **options} for name, encoding, options in features]
    return {"file_name": file, "separator": ",", "node": ["~id", kind], "features": items} | more


def edge(
    *features: Any, file: str = "edges/e.csv", relation: tuple[str, str] = ("", "knows"), **more: Any
) -> dict[str, Any]:
    """Configure an edge file from `a` to `a`."""
    items = [{"feature": [name, name, encoding], **options} for name, encoding, options in features]
    ends = {"source": ["~from", "a"], "relation": list(relation), "dest": ["~to", "a"]}
    return {"file_name": file, "separator": ",", "features": items} | ends | more


def export(folder: Path, files: dict[str, str], nodes: list[Any], edges: list[Any] | None = None) -> Path:
    """Write an export."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    document = {"version": "v2.0", "graph": {"nodes": nodes, "edges": edges or []}, "warnings": []}
    (folder / "training-data-configuration.json").write_text(json.dumps(document))
    return folder


def process(source: Path, target: Path, previous: Path | None = None, **request: Any) -> Output:
    """Run the job over an export."""
    lines: list[str] = []
    inputs = {} if previous is None else {"previous": str(previous)}
    body = {"inputDataS3Location": f"{source}/", **request}
    result = run(Step("id", "name", body, str(target), Store(), inputs, lines.append))
    json.dumps(result)
    return Output(target, result, lines)


def encode(folder: Path, values: list[str], kind: str, **options: Any) -> Output:
    """Encode one column of node values as feature ``x``; the values stand in the CSV as they are."""
    rows = [f"n{number},{value}" for number, value in enumerate(values)]
    text = "\n".join(["~id,x", *rows, ""])
    loops = "~id,~from,~to\ne,n0,n0\n"
    files = {"nodes/a.csv": text, "edges/e.csv": loops}
    return process(export(folder / "in", files, [node(("x", kind, options))], [edge()]), folder / "out")


def vectors(folder: Path, values: list[str], kind: str, **options: Any) -> list[list[float]]:
    """Give the encoding of each value."""
    tensor = encode(folder, values, kind, **options).feature()
    assert tensor.dtype == np.float32
    assert tensor.ndim == 2
    found: list[list[float]] = tensor.tolist()
    return found


ROWS = "~id,x,k\nn1,1,good\nn2,2,bad\nn3,3,good\nn4,4,bad\n"
LINKS = "~from,~to\nn1,n2\nn2,n3\n"


def small(folder: Path, nodes: str = ROWS, edges: str = LINKS, previous: Path | None = None, **more: Any) -> Output:
    """Process nodes with a feature and a label, and edges; ``nodes_of`` and ``edges_of`` configure them otherwise."""
    labels = [{"label": ["k", "classification"]}]
    configured = more.pop("nodes_of", [node(("x", "numerical", {}), labels=labels)])
    relations = more.pop("edges_of", [edge()])
    files = {"nodes/a.csv": nodes, "edges/e.csv": edges}
    return process(export(folder / "in", files, configured, relations), folder / "out", previous)

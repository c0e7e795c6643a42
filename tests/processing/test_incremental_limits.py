"""What an incremental run refuses: deleted nodes, another schema, what does not fit together; and RDF, as any run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from small_exports import ROWS, edge, node, process, small

from neptune_airflow.local.step import StepFailed


def refused(folder: Path, *arguments: Any, **more: Any) -> str:
    with pytest.raises(StepFailed) as caught:
        small(folder, *arguments, **more)
    assert not (folder / "out").exists()
    return str(caught.value)


def test_deleted_nodes_are_refused_and_deleted_edges_are_not(tmp_path: Path) -> None:
    first = small(tmp_path / "1")
    gone = "gone since the earlier job: {} of 4 nodes of type 'a'; node deletions need a full run"
    header, *rows = ROWS.splitlines(keepends=True)
    text = refused(tmp_path / "2", header + "".join(rows[1:]), "~from,~to\nn2,n3\n", first.folder)
    assert text.startswith(f"nodes/a.csv: {gone.format(1)}")
    assert text.endswith("(gone: 'n1')")
    text = refused(tmp_path / "3", header + "n5,1,good\n", "~from,~to\n", first.folder)
    assert gone.format(4) in text
    assert text.endswith("(gone: 'n1', 'n2', 'n3', …)")
    assert small(tmp_path / "4", ROWS, "~from,~to\nn2,n3\n", first.folder).result["edges"] == 1


def test_another_schema_is_refused(tmp_path: Path) -> None:
    both = [node(("x", "numerical", {})), node(file="nodes/a.csv", kind="b")]
    one = both[:1]
    knows, likes = edge(), edge(relation=("", "likes"))
    first = small(tmp_path / "1", nodes_of=both, edges_of=[knows, likes])
    need = "an incremental run needs the schema of the earlier one; run without previousDataProcessingJobId"

    def reason(nodes_of: list[Any], edges_of: list[Any]) -> str:
        return refused(tmp_path / "2", previous=first.folder, nodes_of=nodes_of, edges_of=edges_of)

    assert reason(one, [knows, likes]) == f"type b is gone since the earlier job: {need}"
    three = [*both, node(file="nodes/a.csv", kind="c")]
    assert reason(three, [knows]) == f"type c is new since the earlier job: {need}"
    hates = edge(relation=("", "hates"))
    assert reason(both, [knows, hates]) == f"type (a)-hates-(a) is new since the earlier job: {need}"
    assert reason([node(), both[1]], [knows]) == f"feature 'x' of a is gone since the earlier job: {need}"
    where = "graph.nodes[0].features[0]: category feature"
    k = node(("k", "category", {}))
    assert reason([k, both[1]], [knows]) == f"{where} 'k' of a: the earlier job did not have it; {need}"
    x = node(("x", "category", {}))
    assert reason([x, both[1]], [knows]) == f"{where} 'x' of a: the earlier job encoded it as numerical; {need}"
    without = small(tmp_path / "3", previous=first.folder, nodes_of=both, edges_of=[knows])
    assert "(a)-likes-(a) is gone: the earlier job had 2 such edges" in without.result["warnings"]


def test_a_graph_of_other_nodes_is_not_taken_over(tmp_path: Path) -> None:
    first, other = small(tmp_path / "1"), small(tmp_path / "2", ROWS + "n5,1,good\n")
    shutil.copy(other.folder / "graph.bin", first.folder / "graph.bin")
    assert "does not fit together: graph.bin has other nodes" in refused(tmp_path / "3", previous=first.folder)
    (first.folder / "graph.bin").write_bytes(b"")
    assert "can't be read: graph.bin, byte 0" in refused(tmp_path / "3", previous=first.folder)
    (first.folder / "graph.bin").unlink()
    assert refused(tmp_path / "3", previous=first.folder).endswith("left no graph.bin")


def test_rdf_is_refused_by_name(tmp_path: Path) -> None:
    targets = [{"node": "http://a/Movie", "predicate": "http://a/genre", "split_rate": [0.9, 0.1, 0]}]
    rdf = {"file_name": "statements/a.nq", "label": {"task_type": "classification", "targets": targets}}
    document = {"version": "v2.0", "query_engine": "sparql", "graph": {"rdfs": [rdf]}, "warnings": []}
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "training-data-configuration.json").write_text(json.dumps(document))
    with pytest.raises(StepFailed, match=r"RDF configuration .* export the graph with export-pg"):
        process(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()

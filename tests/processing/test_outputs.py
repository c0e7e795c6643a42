"""What a job leaves behind, how another takes over from it, and exports of other shapes."""

from __future__ import annotations

import io
import pickle
import pickletools
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_exports import SAMPLES, OnlyPlainThings, Output, edge, export, node, process

from neptune_airflow.local import graphbin
from neptune_airflow.local.processing import infopickle
from neptune_airflow.local.processing.job import run
from neptune_airflow.local.step import Step, StepFailed
from neptune_airflow.store import Store

AIR_ROUTES = SAMPLES / "air-routes-export"
FILES = {
    "graph.bin",
    "info.pkl",
    "model-hpo-configuration.json",
    "train_instance_recommendation.json",
    "processing_report.json",
    "encoder_state.json",
    "node_ids.parquet",
}


@pytest.fixture(scope="module")
def air_routes(tmp_path_factory: pytest.TempPathFactory) -> Output:
    if not AIR_ROUTES.is_dir():
        pytest.skip("the samples are not here")
    return process(AIR_ROUTES, tmp_path_factory.mktemp("air-routes"))


def test_air_routes(air_routes: Output) -> None:
    assert {path.name for path in air_routes.folder.iterdir()} == FILES
    graph = air_routes.graph
    assert graph.nodes == {"airport": 46, "version": 1}
    routes = air_routes.relation("route")
    assert len(routes.rows) == 1326
    assert [len(np.flatnonzero(routes.data[f"{name}_mask"])) for name in ("train", "valid", "test")] == [1193, 133, 0]
    for tensors in graph.node_data.values():
        assert all(tensor.dtype == np.float32 and tensor.ndim == 2 for tensor in tensors.values())
    # The first line of the edges: 1 to 41, 556 miles; the file's own bounds are 67 and 5107.
    numbers = air_routes.info["node_id_map"]["airport"]
    assert (routes.rows[0], routes.cols[0]) == (numbers["1"], numbers["41"])
    lengths = [
        int(line.rsplit(",", 1)[1]) for line in next((AIR_ROUTES / "edges").iterdir()).read_text().splitlines()[1:]
    ]
    wanted = (np.array(lengths) - min(lengths)) / (max(lengths) - min(lengths))
    assert routes.data["dist"][:, 0] == pytest.approx(wanted, abs=1e-6)


def test_info_is_plain_and_whole(air_routes: Output) -> None:
    content = (air_routes.folder / "info.pkl").read_bytes()
    info = OnlyPlainThings(io.BytesIO(content)).load()
    assert set(info) == {
        "node_id_map",
        "label_map",
        "label_properties",
        "is_multilabel",
        "node_feat_meta",
        "edge_feat_meta",
    }
    assert content[:2] == b"\x80\x04"
    assert not {"GLOBAL", "STACK_GLOBAL", "REDUCE"} & {code.name for code, _, _ in pickletools.genops(content)}
    assert sorted(info["node_id_map"]["airport"].values()) == list(range(46))
    meta = info["node_feat_meta"]
    tensors = {kind: set(frame) for kind, frame in air_routes.graph.node_data.items()}
    assert {kind: set(features) for kind, features in meta.items()} == tensors
    assert info["edge_feat_meta"] == {("airport", "route", "airport"): {"dist": {"type": "numerical"}}}


def test_the_report_is_for_people(air_routes: Output) -> None:
    report = air_routes.report
    assert report["totals"] == {"nodes": 47, "edges": 1326}
    assert report["job"]["input"] == str(AIR_ROUTES)
    airport = report["nodes"]["airport"]
    assert airport["count"] == 46
    assert airport["files"] == ["nodes/airport.consolidated.csv"]
    assert {name: entry["encoding"] for name, entry in airport["features"].items()} == {
        "country": "category",
        "code": "dropped",
        "longest": "numerical",
        "city": "category",
        "elev": "numerical",
        "icao": "dropped",
        "lon": "numerical",
        "type": "category",
        "region": "category",
        "runways": "numerical",
        "lat": "numerical",
        "desc": "text_tfidf",
    }
    longest = airport["features"]["longest"]
    assert (longest["min"], longest["max"], longest["imputed"], longest["missing"]) == ([5701], [16000], [11001], 0)
    assert report["edges"]["(airport)-route-(airport)"]["label"]["split"] == {"train": 1193, "valid": 133, "test": 0}
    assert list(report["seconds"]) == ["configuration", "nodes", "edges", "labels", "write"]
    assert any("'desc' of airport" in warning for warning in report["warnings"])
    assert air_routes.result["warnings"] == report["warnings"]
    assert any("46 nodes" in line for line in air_routes.lines)


def test_recommendations(air_routes: Output) -> None:
    (model,) = air_routes.json("model-hpo-configuration.json")["models"]
    assert (model["model"], model["task_type"], model["eval_metric"]) == ("rgcn", "link_prediction", {"metric": "mrr"})
    for tier in ("1-tier-param", "2-tier-param", "3-tier-param", "fixed-param"):
        assert all({"param", "type"} <= set(parameter) for parameter in model[tier])
    machines = air_routes.json("train_instance_recommendation.json")
    size = (air_routes.folder / "graph.bin").stat().st_size
    assert machines == {
        "instance": "ml.g5.xlarge",
        "cpu_instance": "ml.r5.large",
        "disk_size": 2 * size,
        "mem_size": 10 * size,
    }


def test_the_same_again_is_the_same(air_routes: Output, tmp_path: Path) -> None:
    for output in (process(AIR_ROUTES, tmp_path / "1"), process(AIR_ROUTES, tmp_path / "2", air_routes.folder)):
        for name in ("graph.bin", "info.pkl", "encoder_state.json"):
            assert (output.folder / name).read_bytes() == (air_routes.folder / name).read_bytes()


def test_knowledge_graph_embeddings_have_templates(tmp_path: Path) -> None:
    files = {"nodes/a.csv": "~id\nx\n", "edges/e.csv": "~from,~to\nx,x\n"}
    output = process(export(tmp_path / "in", files, [node()], [edge()]), tmp_path / "out", modelType="kge")
    assert output.result["task"]["model"] == "transe"
    for model in ("distmult", "rotate"):
        (entry,) = output.json(f"hpo-configuration-templates/{model}.json")["models"]
        assert entry["model"] == model


def incremental(folder: Path, nodes: str, edges: str, previous: Path | None) -> Output:
    features = [
        ("x", "numerical", {"imputer": "mean"}),
        ("c", "category", {}),
        ("d", "datetime", {}),
        ("t", "text_tfidf", {"min_df": 1}),
        ("g", "auto", {}),
    ]
    labels = [{"label": ["k", "classification"]}]
    files = {"nodes/a.csv": nodes, "edges/e.csv": edges}
    source = export(folder / "in", files, [node(*features, labels=labels)], [edge(("w", "numerical", {}))])
    return process(source, folder / "out", previous)


OLD = [
    "n1,10,red,2020-01-01,old house,5,good",
    "n2,20,blue,2021-06-30,new house,7,bad",
    "n3,,red,2020-05-05,old mill,9,good",
]
NEW = ["n0,40,green,2029-01-01,glass tower,3,ugly", *reversed(OLD), "n4,,blue,2021-01-01,old house,8,bad"]
HEADER = "~id,x,c,d,t,g,k\n"


def test_a_later_job_takes_over_encodings_and_numbers(tmp_path: Path) -> None:
    first = incremental(tmp_path / "1", HEADER + "\n".join(OLD), "~from,~to,w\nn1,n2,1\nn2,n3,3\n", None)
    edges = "~from,~to,w\nn4,n0,5\nn1,n2,1\n"
    second = incremental(tmp_path / "2", HEADER + "\n".join(NEW), edges, first.folder)
    assert first.info["node_id_map"]["a"] == {"n1": 0, "n2": 1, "n3": 2}
    assert second.info["node_id_map"]["a"] == {"n1": 0, "n2": 1, "n3": 2, "n0": 3, "n4": 4}
    for part in ("encodings", "classes"):
        assert second.json("encoder_state.json")[part] == first.json("encoder_state.json")[part]
    before, after = first.graph.node_data["a"], second.graph.node_data["a"]
    for name in ("x", "c", "d", "t", "g", "labels"):
        assert (after[name][:3] == before[name]).all(), name
    assert before["x"][:, 0].tolist() == [0, 1, 0.5]
    assert after["x"][3:, 0].tolist() == [3, 0.5]
    assert after["c"].tolist()[3:] == [[0, 0], [1, 0]]
    assert after["d"][3, :2].tolist() == [0, 0]
    assert after["t"][3].tolist() == [0] * after["t"].shape[1]
    assert after["labels"].tolist() == [1, 0, 1, -1, 0]
    assert second.relation().data["w"].tolist() == [[2], [0]]
    assert second.relation().rows.tolist() == [4, 0]
    assert any("'ugly'" in text for text in second.result["warnings"])
    third = incremental(
        tmp_path / "3", HEADER + "\n".join([*NEW, "n5,1,red,2020-01-01,x y,1,bad"]), edges, second.folder
    )
    assert third.info["node_id_map"]["a"] == second.info["node_id_map"]["a"] | {"n5": 5}


def test_what_a_later_job_can_not_take_over(tmp_path: Path) -> None:
    edges = "~from,~to,w\nn1,n2,1\n"
    first = incremental(tmp_path / "1", HEADER + "\n".join(OLD), edges, None)
    gone = r"nodes/a.csv: gone since the earlier job: 1 of 3 nodes of type 'a'; .* full run: .*\(gone: 'n3'\)"
    with pytest.raises(StepFailed, match=gone):
        incremental(tmp_path / "2", HEADER + "\n".join(OLD[:2]), edges, first.folder)
    source = export(tmp_path / "in", {"nodes/a.csv": HEADER + "\n".join(OLD)}, [node(("k", "category", {}))])
    with pytest.raises(StepFailed, match="category feature 'k' of a: the earlier job did not have it"):
        process(source, tmp_path / "3", first.folder)
    export(tmp_path / "in", {}, [node(("x", "category", {}))])
    with pytest.raises(StepFailed, match="category feature 'x' of a: the earlier job encoded it as numerical"):
        process(source, tmp_path / "4", first.folder)
    with pytest.raises(StepFailed, match=r"left no encoder_state\.json"):
        process(source, tmp_path / "5", tmp_path)
    (first.folder / "encoder_state.json").write_text('{"version": 99}')
    with pytest.raises(StepFailed, match="version 99 is not 1 or 2"):
        process(source, tmp_path / "6", first.folder)


def test_one_type_in_several_files(tmp_path: Path) -> None:
    files = {
        "nodes/1.csv": "~id,x\nn1,1\nn2,2\n",
        "nodes/2.csv": "x,~id\n5,n3\n",
        "nodes/3.csv": "~id,y\nn3,yes\nn1,no\n",
        "edges/1.csv": "~from,~to,w\nn1,n2,1\n",
        "edges/2.csv": "~to,~from\nn3,n2\n",
    }
    x: Any = ("x", "numerical", {})
    y: Any = ("y", "category", {})
    nodes = [node(x, file="nodes/1.csv"), node(x, file="nodes/2.csv"), node(y, file="nodes/3.csv")]
    edges = [edge(("w", "numerical", {"imputer": "mean"}), file="edges/1.csv"), edge(file="edges/2.csv")]
    export(tmp_path / "in", files, nodes, edges)
    with pytest.raises(StepFailed, match="a: 1 of 4 have no row in a file with 'x': the value is missing"):
        process(export(tmp_path / "in", {"nodes/3.csv": "~id,y\nn4,no\n"}, nodes, edges), tmp_path / "out")
    output = process(export(tmp_path / "in", {"nodes/3.csv": files["nodes/3.csv"]}, nodes, edges), tmp_path / "out")
    assert output.info["node_id_map"] == {"a": {"n1": 0, "n2": 1, "n3": 2}}
    assert output.feature("x").tolist() == [[0], [0.25], [1]]
    assert output.feature("y").tolist() == [[1, 0], [0, 0], [0, 1]]
    relation = output.relation()
    assert list(zip(relation.rows.tolist(), relation.cols.tolist(), strict=True)) == [(0, 1), (1, 2)]
    assert relation.data["w"].tolist() == [[0], [0]]
    assert output.report["nodes"]["a"]["features"]["y"]["missing"] == 1


def test_relations_by_a_column(tmp_path: Path) -> None:
    rows = "~from,~to,~label,w\nx,y,likes,1\ny,x,hates,5\nx,x,likes,3\n"
    files = {"nodes/a.csv": "~id\nx\ny\n", "edges/e.csv": rows}
    for place, (prefix, names) in enumerate({"": ["likes", "hates"], "r": ["r-likes", "r-hates"]}.items()):
        edges = edge(("w", "numerical", {"norm": "none"}), relation=("~label", prefix))
        output = process(export(tmp_path / f"in{place}", files, [node()], [edges]), tmp_path / f"out{place}")
        assert output.relation(names[0]).rows.tolist() == [0, 0]
        assert output.relation(names[0]).data["w"].tolist() == [[1], [3]]
        assert output.relation(names[1]).data["w"].tolist() == [[5]]
        assert output.relation(f"rev-{names[1]}").rows.tolist() == [0]
    bad = rows.replace("5\n", "lots\n")
    source = export(tmp_path / "bad", files | {"edges/e.csv": bad}, [node()], [edges])
    with pytest.raises(StepFailed, match=r"edges/e.csv, line 3, column 'w': 'lots' is not a number"):
        process(source, tmp_path / "out")
    source = export(tmp_path / "bad", {"edges/e.csv": rows.replace("hates", "")}, [node()], [edges])
    with pytest.raises(StepFailed, match=r"edges/e.csv, line 3, column '~label': the edge has no relation"):
        process(source, tmp_path / "out")


@settings(max_examples=60, deadline=None)
@given(
    ids=st.lists(st.text(min_size=1, max_size=9), unique=True, max_size=50),
    batch=st.integers(1, 7),
)
def test_maps_of_ids_are_written_as_pickle_would(ids: list[str], batch: int) -> None:
    sink = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(infopickle, "BATCH", batch)
        infopickle.write(
            sink, {"a": pl.Series(ids, dtype=pl.String), "é": pl.Series(["x" * 300])}, {"rest": [1, ("a",)]}
        )
    wanted = {"node_id_map": {"a": {name: number for number, name in enumerate(ids)}, "é": {"x" * 300: 0}}}
    assert pickle.loads(sink.getvalue()) == infopickle.read(sink.getvalue()) == wanted | {"rest": [1, ("a",)]}


def test_a_pickle_that_names_anything_is_not_read() -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"builtins\.print"):
        infopickle.read(pickle.dumps(print))


def test_from_s3_to_s3(aws: str, tmp_path: Path) -> None:
    files = {"nodes/a.csv": "~id,x\nn1,1\nn2,3\n", "edges/%28a%29-knows-%28a%29.csv": "~from,~to\nn1,n2\n"}
    edges = [edge(file="edges/%28a%29-knows-%28a%29.csv")]
    source = export(tmp_path / "in", files, [node(("x", "numerical", {}))], edges)
    s3: Any = boto3.client("s3", endpoint_url=aws, region_name="us-east-1")
    s3.create_bucket(Bucket="graphs")
    for path in source.rglob("*.*"):
        s3.upload_file(str(path), "graphs", f"export/{path.relative_to(source)}")
    request = {"inputDataS3Location": "s3://graphs/export/", "configFileName": ""}
    outputs = ["s3://graphs/out/1", "s3://graphs/out/2"]
    for output, inputs in zip(outputs, ({}, {"previous": outputs[0]}), strict=True):
        run(Step("id", "name", request, output, Store(aws), inputs, lambda line: None))
        found = s3.list_objects_v2(Bucket="graphs", Prefix=output.removeprefix("s3://graphs/"))["Contents"]
        assert {f"s3://graphs/{item['Key']}" for item in found} == {f"{output}/{name}" for name in FILES}
    with pytest.raises(StepFailed, match=r"no such configuration in s3://graphs/nowhere"):
        run(Step("id", "name", request | {"inputDataS3Location": "s3://graphs/nowhere"}, outputs[0], Store(aws)))
    content = s3.get_object(Bucket="graphs", Key="out/2/graph.bin")["Body"].read()
    assert graphbin.read(io.BytesIO(content)).node_data["a"]["x"].tolist() == [[0], [1]]

"""Every fault that is looked for: how an export is broken, and the check that is to find it."""

from __future__ import annotations

import copy
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from broken_exports import HEALTHY, A, B, E, Export

Break = Callable[[Export], Any]


@dataclass(frozen=True)
class Fault:
    """One way to break an export.

    :param code: the check that finds it.
    :param quick: whether the first rows of so small a file show it.
    """

    code: str
    do: Break
    quick: bool = True


def _raw(content: bytes) -> Break:
    return lambda export: setattr(export, "raw", content)


def _graph(**changes: Any) -> Break:
    return lambda export: export.document["graph"].update(changes)


def _splits(files: dict[str, bytes], **names: str) -> Break:
    def do(export: Export) -> None:
        export.files |= files
        export.label.pop("split_rate")
        export.label["custom_split_filenames"] = names or {"train": "train.csv", "valid": "valid.csv"}

    return do


def _edge_splits(train: bytes, valid: bytes) -> Break:
    def do(export: Export) -> None:
        export.a.pop("labels")
        export.files |= {"train.csv": train, "valid.csv": valid}
        names = {"train": "train.csv", "valid": "valid.csv"}
        export.e["labels"] = [{"label": ["", "link_prediction"], "custom_split_filenames": names}]

    return do


def _all(*steps: Break) -> Break:
    def do(export: Export) -> None:
        for step in steps:
            step(export)

    return do


def _file(name: str, content: bytes) -> Break:
    return lambda export: export.files.update({name: content})


def _swap(name: str, old: bytes, new: bytes) -> Break:
    return lambda export: export.swap(name, old, new)


def _feature(number: int, *kind: str, **options: Any) -> Break:
    return lambda export: export.feature(number, *kind, **options)


def _v1(export: Export) -> None:
    export.document = {"graph": [{"file_name": E, "separator": ",", "edges": []}], "warnings": []}


def _second_file(**changes: Any) -> Break:
    """Let the nodes of `a` stand in two files."""

    def do(export: Export) -> None:
        export.files["nodes/a2.csv"] = export.files[A].replace(b'"a', b'"more')
        export.document["graph"]["nodes"].append({**copy.deepcopy(export.a), "file_name": "nodes/a2.csv", **changes})

    return do


def _second_edge_file(export: Export) -> None:
    """Let the edges stand in two files, of which one lacks a feature without an imputer."""
    export.files["edges/e2.csv"] = export.files[E]
    export.document["graph"]["edges"].append({**export.e, "file_name": "edges/e2.csv", "features": []})
    export.e["features"][0] = {"feature": ["w", "w", "numerical"]}


ERRORS: dict[str, Fault] = {
    # the document
    "no configuration": Fault("config-missing", lambda export: export.files.update({"other.json": b"{}"})),
    "configuration of nothing": Fault("config-json", _raw(b"")),
    "cut configuration": Fault("config-json", _raw(b'{"version": "v2.0", "graph": {"nodes": [')),
    "comma too many": Fault("config-json", _raw(b'{"graph": {},}')),
    "nested too deep": Fault("config-json", _raw(b'{"graph":' + b"[" * 100_000)),
    "endless number": Fault("config-json", _raw(b'{"graph":' + b"9" * 5000 + b"}")),
    "configuration in Latin-1": Fault("config-utf8", _raw('{"graph": "é"}'.encode("latin-1"))),
    "array for a document": Fault("config-object", _raw(b"[]")),
    "config.json for a configuration": Fault("graph-missing", _raw(b'{"nodes": [], "edges": []}')),
    "two graphs": Fault("graph-count", lambda export: export.document.update(graph=[{}, {}])),
    "graph of text": Fault("field-kind", lambda export: export.document.update(graph="a")),
    "nodes of text": Fault("field-kind", _graph(nodes="a")),
    "node file of text": Fault("field-kind", _graph(nodes=["a"])),
    "version 1": Fault("config-v1", _v1),
    "version 1 by its name": Fault("config-v1", lambda export: export.document.update(version="v1.0")),
    "sparql without rdfs": Fault("rdfs-missing", lambda export: export.document.update(query_engine="sparql")),
    "no nodes": Fault("no-nodes", _graph(nodes=[], edges=[])),
    "no file name": Fault("field-missing", lambda export: export.a.pop("file_name")),
    "node of three words": Fault("field-words", lambda export: export.a.update(node=["~id", "a", "b"])),
    "edge without destination": Fault("field-missing", lambda export: export.e.pop("dest")),
    # names, types, relations
    "name outside": Fault("file-name", lambda export: export.a.update(file_name="../a.csv")),
    "absolute name": Fault("file-name", lambda export: export.a.update(file_name="/etc/passwd")),
    "name with half a character": Fault("file-name", lambda export: export.a.update(file_name="nodes/\ud800.csv")),
    "two separators": Fault("file-separator", lambda export: export.a.update(separator="||")),
    "quote for a separator": Fault("file-separator", lambda export: export.a.update(separator='"')),
    "relation without a name": Fault("relation-nameless", lambda export: export.e.update(relation=["", ""])),
    "edge to an unknown type": Fault("unknown-type", lambda export: export.e.update(dest=["~to", "c"])),
    "reverse name": Fault(
        "reverse-name",
        lambda export: export.document["graph"]["edges"].append(
            {**export.e, "source": ["~to", "b"], "dest": ["~from", "a"], "relation": ["", "rev-likes"]}
        ),
    ),
    "nothing to predict": Fault(
        "nothing-to-predict", _all(lambda export: export.a.pop("labels"), _file(E, b"~id,~label,~from,~to,w\n"))
    ),
    # features and labels
    "unknown feature type": Fault("feature-type", _feature(0, "number")),
    "feature twice": Fault("feature-twice", lambda export: export.a["features"].append(export.a["features"][0])),
    "feature called labels": Fault(
        "feature-reserved", lambda export: export.a["features"][0].update(feature=["x", "labels", "numerical"])
    ),
    "unknown norm": Fault("feature-option", _feature(0, norm="l2")),
    "unknown imputer": Fault("feature-option", _feature(0, imputer="zero")),
    "range upside down": Fault("feature-option", _feature(0, "bucket_numerical", range=[9, 1], bucket_cnt=3)),
    "range without end": Fault("feature-option", _feature(0, "bucket_numerical", range=[0, 10**400], bucket_cnt=3)),
    "no buckets": Fault("feature-needs", _feature(0, "bucket_numerical", range=[0, 9])),
    "text without a language": Fault("feature-needs", _feature(2, "text_fasttext")),
    "unknown part of dates": Fault("feature-option", _feature(1, datetime_parts=["minute"])),
    "features that disagree": Fault(
        "feature-otherwise",
        _second_file(features=[{"feature": ["x", "x", "category"]}]),
    ),
    "labels that disagree": Fault("label-otherwise", _second_file(labels=[{"label": ["c", "classification"]}])),
    "two tasks": Fault(
        "label-task", lambda export: export.b.update(labels=[{"label": ["t", "regression"]}])
    ),
    "two labels": Fault("label-second", lambda export: export.a["labels"].append(export.label)),
    "unknown label type": Fault("label-type", lambda export: export.label.update(label=["k", "ranking"])),
    "label without a column": Fault("label-column", lambda export: export.label.update(label=["", "classification"])),
    "split that does not add up": Fault("split-rate", lambda export: export.label.update(split_rate=[0.8, 0.3, 0.1])),
    "split of two": Fault("split-rate", lambda export: export.label.update(split_rate=[0.8, 0.2])),
    "nothing to train on": Fault("split-rate", lambda export: export.label.update(split_rate=[0, 0.5, 0.5])),
    "rates beside files": Fault(
        "split-both", lambda export: export.label.update(custom_split_filenames={"train": "train.csv"})
    ),
    "no training file": Fault("split-names", _splits({"valid.csv": b""}, valid="valid.csv")),
    "unknown split": Fault("split-names", _splits({}, train="t.csv", dev="v.csv")),
    # files
    "missing node file": Fault("file-missing", lambda export: export.files.pop(B)),
    "missing edge file": Fault("file-missing", lambda export: export.files.pop(E)),
    "decoded name": Fault("file-missing", _all(
        lambda export: export.a.update(file_name="nodes/%28a%29.csv"), _file("nodes/(a).csv", HEALTHY[A]))),
    "other case": Fault("file-missing", lambda export: export.a.update(file_name="nodes/A.csv")),
    "folder for a file": Fault("file-missing", lambda export: export.a.update(file_name="nodes")),
    "empty file": Fault("file-empty", _file(A, b"")),
    "blank file": Fault("file-empty", _file(E, b"\n\n")),
    "gzip": Fault("file-gzip", _file(A, gzip.compress(HEALTHY[A]))),
    "UTF-16": Fault("file-utf16", _file(A, HEALTHY[A].decode().encode("utf-16"))),
    "Latin-1": Fault("not-utf8", _swap(A, b'"a3"', '"é3"'.encode("latin-1"))),
    "Latin-1 header": Fault("not-utf8", _swap(A, b"~label", "état".encode("latin-1"))),
    "semicolons": Fault("wrong-separator", _file(A, HEALTHY[A].replace(b",", b";"))),
    "tabs": Fault("wrong-separator", _file(E, HEALTHY[E].replace(b",", b"\t"))),
    "header without ~id": Fault("column-missing", _swap(A, b"~id,", b"id,")),
    "no header": Fault("column-missing", lambda export: export.files.update({A: HEALTHY[A].partition(b"\n")[2]})),
    "edges without ~to": Fault("column-missing", _swap(E, b"~to", b"to")),
    "property gone": Fault("column-missing", _swap(A, b",x,", b",y,")),
    "column twice": Fault("column-twice", _swap(A, b",d,", b",x,")),
    "typed column twice": Fault("column-twice", _swap(A, b",x,d,", b",x:Int,x:String,")),
    "field too many": Fault("row-fields", _swap(A, b'"a3","a",3,', b'"a3","a",3,3,')),
    "field too few": Fault("row-fields", _swap(A, b'"a3","a",3,', b'"a3","a",')),
    "field too few in the first row": Fault("row-fields", _swap(A, b'"a0","a",0,', b'"a0","a",')),
    "decimal comma": Fault("row-fields", _swap(E, b"3.5", b"3,5")),
    "blank line between rows": Fault("row-fields", _swap(A, b'\n"a3"', b'\n\n"a3"')),
    "quote not closed": Fault("row-quotes", _swap(A, b'"a3"', b'"a3')),
    "quote not closed at the end": Fault("row-quotes", _file(B, HEALTHY[B].rstrip()[:-1])),
    "quote not doubled": Fault("row-quotes", _swap(B, b'"a ""word"", or 3', b'"a "word, or 3')),
    # nodes and edges
    "node without id": Fault("node-no-id", _swap(A, b'"a17",', b",")),
    "empty quotes for an id": Fault("node-no-id", _swap(A, b'"a17",', b'"",')),
    "node twice": Fault("node-twice", _swap(A, b'"a17",', b'"a2",')),
    "dangling edge": Fault("unknown-node", _swap(E, b'"b3"', b'"b99"')),
    "edge from the other type": Fault("unknown-node", _swap(E, b'"a3"', b'"b3"')),
    "id with a blank": Fault("unknown-node", _swap(E, b'"b3"', b'"b3 "')),
    "id in another normal form": Fault("unknown-node", _all(
        _swap(A, b'"a3"', '"\u00e9"'.encode()), _swap(E, b'"a3"', '"e\u0301"'.encode()))),
    "edge without source": Fault("edge-no-end", _swap(E, b'"a3"', b"")),
    "edge without relation": Fault("edge-no-relation", _all(
        lambda export: export.e.update(relation=["~label", "rel"]), _swap(E, b'"e3","likes"', b'"e3",'))),
    # values
    "text for a number": Fault("not-a-number", _swap(A, b'"a3","a",3,', b'"a3","a",three,')),
    "NaN": Fault("not-a-number", _swap(A, b'"a3","a",3,', b'"a3","a",NaN,')),
    "infinity": Fault("not-a-number", _swap(A, b'"a3","a",3,', b'"a3","a",-Infinity,')),
    "number too large": Fault("not-a-number", _swap(A, b'"a3","a",3,', b'"a3","a",1e999,')),
    "thousands apart": Fault("not-a-number", _swap(A, b'"a3","a",3,', b'"a3","a","3,000",')),
    "number for a bucket": Fault("not-a-number", _all(
        _feature(0, "bucket_numerical", range=[0, 20], bucket_cnt=4), _swap(A, b'"a3","a",3,', b'"a3","a",x,'))),
    "regression of words": Fault("not-a-number", lambda export: export.label.update(label=["c", "regression"])),
    "value missing": Fault("value-missing", _swap(A, b'"a3","a",3,', b'"a3","a",,')),
    "date missing": Fault("value-missing", _swap(A, b",2024-04-01T10:00:00Z,", b",,")),
    "nothing to impute from": Fault("value-missing", _all(
        _feature(0, imputer="median"), lambda export: export.column(A, 2, lambda number: b""))),
    "auto number missing": Fault("value-missing", _all(
        _feature(0, "auto"), _swap(A, b'"a3","a",3,', b'"a3","a",,'))),
    "feature in one of two files": Fault("value-missing", _all(
        _second_file(features=[]), lambda export: export.a["features"].pop(1))),
    "feature in one of two files of edges": Fault("value-missing", _second_edge_file),
    "lists of different lengths": Fault("number-count", _all(
        _feature(0, separator=";"), _swap(A, b'"a3","a",3,', b'"a3","a",3;4,'))),
    "gap in a list": Fault("value-missing", _all(
        _feature(0, separator=";"), lambda export: export.column(A, 2, lambda n: b"1;2" if n != 3 else b"1;"))),
    "no such date": Fault("not-a-date", _swap(A, b"2024-04-01T", b"2024-13-01T")),
    "day first": Fault("not-a-date", _swap(A, b"2024-04-01T10:00:00Z", b"01/04/2024")),
    "seconds since 1970": Fault("not-a-date", _swap(A, b"2024-04-01T10:00:00Z", b"1711965600")),
    # splits
    "missing split file": Fault("file-missing", _splits({"train.csv": b"~id\na1\n"})),
    "split of absent nodes": Fault("unknown-node", _splits(
        {"train.csv": b"~id\na1\na99\n", "valid.csv": b"~id\na2\n"})),
    "split without ids": Fault("column-missing", _splits({"train.csv": b"id\na1\n", "valid.csv": b"~id\na2\n"})),
    "splits that overlap": Fault("split-overlap", _splits(
        {"train.csv": b"~id\na1\na2\n", "valid.csv": b"~id\na2\na3\n"})),
    "split of absent edges": Fault("split-no-edge", _edge_splits(b"~from,~to\na1,b1\na1,b2\n", b"~from,~to\na2,b2\n")),
    "edges in two splits": Fault("split-overlap", _edge_splits(
        b"~from,~to\na1,b6\n", b"~from,~to\na11,b1\na12,b2\na1,b6\n")),
    "split of edges to nowhere": Fault("unknown-node", _edge_splits(
        b"~from,~to\na1,b1\n", b"~from,~to\na2,b2\na3,c\n")),
}  # fmt: skip


def _rows(count: int, line: Callable[[int], str]) -> bytes:
    return ("~id,~label,x,d,c,k\n" + "".join(f"a{number},a,{line(number)}\n" for number in range(count))).encode()


WARNINGS: dict[str, Fault] = {
    "what neptune-export warned of": Fault(
        "exporter-warning", lambda export: export.document.update(warnings=["Unrecognized target property"])
    ),
    "option without a meaning": Fault("field-unknown", _feature(2, norm="min-max")),
    "byte order mark": Fault("bom", _file(A, b"\xef\xbb\xbf" + HEALTHY[A])),
    "header alone": Fault("no-rows", _file(E, b"~id,~label,~from,~to,w\n")),
    "file that is not named": Fault("file-unused", _file("nodes/c.csv", b"~id,~label\n")),
    "label among the features": Fault(
        "label-feature", lambda export: export.a["features"].append({"feature": ["k", "k2", "category"]})
    ),
    "id in two types": Fault("id-in-types", _all(
        _swap(B, b'"b9"', b'"a9"'), _file(E, HEALTHY[E].replace(b'"b9"', b'"a9"')))),
    "huge field": Fault("value-long", _swap(B, b"or 3", b"or " + b"3" * 200_000), quick=False),
    "number beyond a float": Fault("beyond-float32", _swap(A, b'"a3","a",3,', b'"a3","a",1e300,')),
    "all values equal": Fault("constant", lambda export: export.column(A, 2, lambda number: b"7")),
    "no category": Fault("all-missing", lambda export: export.column(A, 4, lambda number: b"")),
    "mostly missing": Fault("mostly-missing", _all(
        _feature(0, imputer="median"),
        _file(A, _rows(100, lambda n: f"{n if n < 20 else ''},2024-01-01,c{n % 3},k{n % 2}")))),
    "an id for a category": Fault("all-different", _file(
        A, _rows(100, lambda n: f"{n},2024-01-01,c{n},k{n % 2}"))),
    "many categories": Fault("many-categories", _file(
        A, _rows(300, lambda n: f"{n},2024-01-01,c{n % 150},k{n % 2}"))),
    "value outside the range": Fault("outside-range", _feature(0, "bucket_numerical", range=[0, 10], bucket_cnt=5)),
    "column that tells the label": Fault("leak", _file(
        A, _rows(100, lambda n: f"{n},2024-01-01,c{n % 4},k{n % 2}"))),
    "no labels": Fault("label-empty", lambda export: export.column(A, 5, lambda number: b"")),
    "one class": Fault("label-one-class", lambda export: export.column(A, 5, lambda number: b"yes")),
    "imbalanced classes": Fault("label-imbalanced", _file(
        A, _rows(200, lambda n: f"{n},2024-01-01,c{n % 3},k{int(n < 12)}"))),
    "rare class": Fault("label-rare", _file(
        A, _rows(100, lambda n: f"{n},2024-01-01,c{n % 3},k{n % 4 if n < 12 else 0}"))),
    "nothing to validate on": Fault("split-empty", lambda export: export.label.update(split_rate=[0.9, 0.0, 0.1])),
}  # fmt: skip

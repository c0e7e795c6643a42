"""info.pkl: a dict in pickle protocol 4, builtins only, with maps of millions of ids that never become Python objects.

AWS's own readers take a pickle; building its dict first would cost some 200 MB a million ids. The ids' part of the
stream is laid out with numpy instead: strings of one length are one matrix of records.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator, Mapping
from pickle import BININT, BINUNICODE, EMPTY_DICT, MARK, PROTO, SETITEMS, STOP
from typing import Any, BinaryIO

import numpy as np
import polars as pl

#: Entries between two SETITEMS: the reader holds so many on its stack.
BATCH = 1 << 14


def write(sink: BinaryIO, node_ids: Mapping[str, pl.Series], rest: Mapping[str, Any]) -> None:
    """Write ``{"node_id_map": {type: {id: index}}, **rest}``.

    :param node_ids: each type's ids, in the order of their indices.
    :param rest: anything made of builtins.
    """
    sink.write(PROTO + bytes([4]) + EMPTY_DICT)
    sink.write(MARK + _fragment("node_id_map") + EMPTY_DICT)
    for node_type, ids in node_ids.items():
        sink.write(MARK + _fragment(node_type) + EMPTY_DICT)
        for batch in _id_batches(ids):
            sink.write(MARK + batch + SETITEMS)
        sink.write(SETITEMS)
    sink.write(SETITEMS)
    for key, value in rest.items():
        sink.write(MARK + _fragment(key) + _fragment(value) + SETITEMS)
    sink.write(STOP)


def read(content: bytes) -> dict[str, Any]:
    """Read an info.pkl, which may name no class or function.

    :raises pickle.UnpicklingError: when it does, or is damaged.
    """
    info: dict[str, Any] = _Builtins(io.BytesIO(content)).load()
    return info


class _Builtins(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(f"info.pkl names {module_name}.{global_name}")


def _fragment(value: Any) -> bytes:
    """Pickle a value so that it can stand within another stream: without a memo, a frame, a header or an end."""
    sink = io.BytesIO()
    pickler = pickle.Pickler(sink, protocol=3)
    pickler.fast = True
    pickler.dump(value)
    return sink.getvalue()[2:-1]


def _id_batches(ids: pl.Series) -> Iterator[bytes]:
    """Give the pickled keys and values, batch by batch; within a batch ordered by the ids' lengths."""
    table = pl.DataFrame({"id": ids, "size": ids.str.len_bytes()}).with_row_index("index")
    for start in range(0, len(table), BATCH):
        batch = table.slice(start, BATCH)
        yield b"".join(_records(same["id"], same["index"], int(same["size"][0])) for same in batch.partition_by("size"))


def _records(ids: pl.Series, indices: pl.Series, size: int) -> bytes:
    """Pickle ids of the same number of bytes: ``BINUNICODE size id BININT index`` each."""
    layout = [("text", "S1"), ("size", "<u4"), ("id", "u1", (size,)), ("int", "S1"), ("index", "<i4")]
    records = np.empty(len(ids), np.dtype(layout))
    records["text"], records["size"], records["int"] = BINUNICODE, size, BININT
    joined = ids.str.join("").item().encode()
    records["id"] = np.frombuffer(joined, np.uint8).reshape(len(ids), size)
    records["index"] = indices.to_numpy()
    return records.tobytes()

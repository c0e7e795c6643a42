"""A second reader of graph.bin, from the description of the layout, with ``struct`` alone.

It shares nothing with the package, keeps every number that the file holds, and insists on having read all of it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

FORMATS = {(0, 8): "b", (0, 16): "h", (0, 32): "i", (0, 64): "q", (1, 8): "B", (1, 16): "H", (1, 32): "I", (1, 64): "Q"}
FORMATS |= {(2, 16): "e", (2, 32): "f", (2, 64): "d"}


@dataclass
class Array:
    """An array as it lies: its shape, its type's code and bits, and its values in one row."""

    shape: tuple[int, ...]
    kind: tuple[int, int]
    values: tuple[Any, ...]


class Layout:
    """Reads one file into dictionaries."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def words(self, form: str) -> tuple[Any, ...]:
        form = "<" + form
        found = struct.unpack_from(form, self.content, self.at)
        self.at += struct.calcsize(form)
        return found

    def magic(self, wanted: int) -> None:
        assert self.words("Q") == (wanted,), hex(self.at)

    def vector(self, item: Any) -> list[Any]:
        (length,) = self.words("Q")
        return [item() for _ in range(length)]

    def text(self) -> str:
        (length,) = self.words("Q")
        return self.words(f"{length}s")[0].decode()

    def array(self) -> Array:
        self.magic(0xDD5E40F096B4A13F)
        reserved, device, device_id, dimensions, code, bits, lanes = self.words("QiiiBBH")
        assert (reserved, device, device_id, lanes) == (0, 1, 0, 1)
        shape = self.words(f"{dimensions}q")
        (size,) = self.words("q")
        form = FORMATS[code, bits]
        count = 1
        for length in shape:
            count *= length
        assert size == count * bits // 8
        return Array(shape, (code, bits), self.words(f"{count}{form}"))

    def metagraph(self) -> dict[str, Any]:
        self.magic(0xDD3C5FFE20046ABF)
        self.magic(0xDD6CD31205DFF127)
        sizes = self.words("QQ")
        made = {"sizes": sizes, **{name: self.array().values for name in ("indptr", "indices", "ids")}}
        assert self.words("B") == (0,)
        return made

    def unit_graph(self) -> dict[str, Any]:
        self.magic(0xDD2E60F0F6B4A127)
        assert self.words("4i") == (1, 1, 7, 1)
        meta = self.metagraph()
        self.magic(0xDD61FFD305DFF127)
        destinations, sources = self.words("qq")
        rows, cols, order = self.array(), self.array(), self.array()
        assert order.values == ()
        assert self.words("BB") == (0, 0)
        return {"meta": meta, "dest": destinations, "source": sources, "rows": rows, "cols": cols}

    def frame(self) -> list[tuple[str, Array]]:
        return self.vector(lambda: (self.text(), self.array()))

    def file(self) -> dict[str, Any]:
        assert self.words("4Q") == (0xDD2E4FF046B4A13F, 2, 2, 1)
        self.at = 4096
        start, labels = self.words("QQ")
        assert (start, labels, self.at) == (0x1010, 0, 0x1010)
        self.magic(0xDD589FBE35224ABF)
        made = {
            "meta": self.metagraph(),
            "relations": self.vector(self.unit_graph),
            "counts": self.vector(lambda: self.words("q")[0]),
            "node_frames": self.vector(self.frame),
            "edge_frames": self.vector(self.frame),
            "types": self.vector(self.text),
            "names": self.vector(self.text),
        }
        # The index of graphs as a text: its length, one entry, where that graph begins; then its length again.
        assert self.words("4Q") == (16, 1, start, 16)
        assert self.at == len(self.content)
        return made

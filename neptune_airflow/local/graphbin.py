"""graph.bin: DGL's file of one heterogeneous graph, written and read with numpy alone.

DGL and torch are a gigabyte and pin an old Python; the file itself is plain little-endian structs around raw arrays, so
both directions stream: an array goes to the sink from where it lies, and is read once into its place.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

HEADER_SIZE = 4096
CHUNK = 1 << 24
MAX_DIMENSIONS = 32
VERSION, HETEROGRAPH_FILE, CPU = 2, 2, 1
# Edges are stored as pairs (COO), and all three sparse formats may be derived; bit 32 marks codes of DGL 0.5 and later.
COO, ALL_FORMATS, NEW_CODE = 1, 7, 1 << 32

FILE_MAGIC = 0xDD2E4FF046B4A13F
HETEROGRAPH_MAGIC = 0xDD589FBE35224ABF
METAGRAPH_MAGIC = 0xDD3C5FFE20046ABF
CSR_MAGIC = 0xDD6CD31205DFF127
UNIT_GRAPH_MAGIC = 0xDD2E60F0F6B4A127
COO_MAGIC = 0xDD61FFD305DFF127
ARRAY_MAGIC = 0xDD5E40F096B4A13F

KINDS = {0: "i", 1: "u", 2: "f"}
CODES = {kind: code for code, kind in KINDS.items()}

Frame = dict[str, NDArray[Any]]


@dataclass
class Relation:
    """The edges of one canonical type: edge ``i`` goes from node ``rows[i]`` of ``source`` to ``cols[i]`` of ``dest``.

    ``data`` holds one array an edge property, its first axis the edges.
    """

    source: str
    name: str
    dest: str
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    data: Frame = field(default_factory=dict)

    @property
    def canonical(self) -> tuple[str, str, str]:
        """The name that is unique in a graph."""
        return self.source, self.name, self.dest


@dataclass
class Graph:
    """How many nodes each type has, their arrays by type and name, and the relations between them."""

    nodes: dict[str, int]
    node_data: dict[str, Frame]
    relations: list[Relation]

    def check(self, *, ends: bool = True) -> None:
        """See that every array fits the nodes and edges that it describes.

        :param ends: whether to look at the ends of every edge, too.
        :raises ValueError: naming the type and the array that does not.
        """
        for ntype, frame in self.node_data.items():
            if ntype not in self.nodes:
                raise ValueError(f"node data for the unknown node type {ntype!r}")
            _check_frame(f"node type {ntype!r}", frame, self.nodes[ntype])
        seen: set[tuple[str, str, str]] = set()
        for relation in self.relations:
            place = f"relation {relation.canonical}"
            if relation.canonical in seen:
                raise ValueError(f"{place} is there twice")
            seen.add(relation.canonical)
            if ends:
                _check_ends(f"{place}, rows", relation.rows, self.nodes.get(relation.source))
                _check_ends(f"{place}, cols", relation.cols, self.nodes.get(relation.dest))
            if len(relation.rows) != len(relation.cols):
                raise ValueError(f"{place} has {len(relation.rows)} rows and {len(relation.cols)} cols")
            _check_frame(place, relation.data, len(relation.rows))


def _check_frame(place: str, frame: Frame, length: int) -> None:
    for name, array in frame.items():
        if array.ndim == 0 or len(array) != length:
            raise ValueError(f"{place}, {name!r}: shape {array.shape}, expected {length} first")


def _check_ends(place: str, ends: NDArray[np.int64], count: int | None) -> None:
    if count is None:
        raise ValueError(f"{place}: the node type is unknown")
    if ends.ndim != 1:
        raise ValueError(f"{place}: {ends.ndim} dimensions, expected 1")
    if len(ends) and (ends.min() < 0 or ends.max() >= count):
        raise ValueError(f"{place}: node {ends.min()}..{ends.max()} outside 0..{count - 1}")


def write(graph: Graph, sink: BinaryIO) -> None:
    """Write a graph as ``dgl.save_graphs`` does; types in DGL's order, booleans as 0/1 in eight bits.

    :param sink: takes the bytes in order; it need not be seekable.
    :raises ValueError: when an array fits neither its type nor DGL (strings, dates, complex numbers).
    """
    graph.check()
    types = sorted(graph.nodes)
    number = {ntype: index for index, ntype in enumerate(types)}
    relations = sorted(graph.relations, key=lambda relation: relation.canonical)
    header = struct.pack("<4Q", FILE_MAGIC, VERSION, HETEROGRAPH_FILE, 1)
    start = HEADER_SIZE + 16
    sink.write(header.ljust(HEADER_SIZE, b"\0"))
    sink.write(struct.pack("<QQ", start, 0))
    sink.write(struct.pack("<Q", HETEROGRAPH_MAGIC))
    ends = [(number[relation.source], number[relation.dest]) for relation in relations]
    _write_metagraph(sink, len(types), ends)
    sink.write(struct.pack("<Q", len(relations)))
    for relation in relations:
        _write_unit_graph(sink, relation, graph.nodes)
    sink.write(struct.pack(f"<{len(types) + 1}Q", len(types), *(graph.nodes[ntype] for ntype in types)))
    _write_frames(sink, [graph.node_data.get(ntype, {}) for ntype in types])
    _write_frames(sink, [relation.data for relation in relations])
    _write_strings(sink, types)
    _write_strings(sink, [relation.name for relation in relations])
    sink.write(struct.pack("<4Q", 16, 1, start, 16))


def _write_metagraph(sink: BinaryIO, count: int, ends: list[tuple[int, int]]) -> None:
    """Write the graph of types; its edges come sorted by source, so that their ids are simply their places."""
    sources = np.array([source for source, _ in ends], dtype=np.int64)
    indptr = np.concatenate([[0], np.bincount(sources, minlength=count).cumsum()])
    sink.write(struct.pack("<4Q", METAGRAPH_MAGIC, CSR_MAGIC, count, count))
    _write_array(sink, "metagraph", indptr)
    _write_array(sink, "metagraph", np.array([dest for _, dest in ends], dtype=np.int64))
    _write_array(sink, "metagraph", np.arange(len(ends), dtype=np.int64))
    sink.write(b"\0")


def _write_unit_graph(sink: BinaryIO, relation: Relation, nodes: dict[str, int]) -> None:
    sink.write(struct.pack("<3Q", UNIT_GRAPH_MAGIC, COO | NEW_CODE, ALL_FORMATS | NEW_CODE))
    if relation.source == relation.dest:
        _write_metagraph(sink, 1, [(0, 0)])
    else:
        _write_metagraph(sink, 2, [(0, 1)])
    sink.write(struct.pack("<3Q", COO_MAGIC, nodes[relation.dest], nodes[relation.source]))
    for ends in (relation.rows, relation.cols, np.empty(0, dtype=np.int64)):
        _write_array(sink, f"relation {relation.canonical}", ends.astype(np.int64, copy=False))
    sink.write(b"\0\0")


def _write_frames(sink: BinaryIO, frames: list[Frame]) -> None:
    sink.write(struct.pack("<Q", len(frames)))
    for frame in frames:
        sink.write(struct.pack("<Q", len(frame)))
        for name in sorted(frame):
            _write_string(sink, name)
            _write_array(sink, repr(name), frame[name])


def _write_strings(sink: BinaryIO, texts: Iterable[str]) -> None:
    texts = list(texts)
    sink.write(struct.pack("<Q", len(texts)))
    for text in texts:
        _write_string(sink, text)


def _write_string(sink: BinaryIO, text: str) -> None:
    encoded = text.encode()
    sink.write(struct.pack("<Q", len(encoded)) + encoded)


def _write_array(sink: BinaryIO, place: str, array: NDArray[Any]) -> None:
    array = array.view(np.uint8) if array.dtype == np.bool_ else array
    if array.dtype.kind not in CODES or array.dtype.itemsize > 8:
        raise ValueError(f"{place}: DGL has no type for {array.dtype}")
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    sink.write(struct.pack("<QQiii", ARRAY_MAGIC, 0, CPU, 0, array.ndim))
    sink.write(struct.pack("<BBH", CODES[array.dtype.kind], array.dtype.itemsize * 8, 1))
    sink.write(struct.pack(f"<{array.ndim}qq", *array.shape, array.nbytes))
    if array.nbytes:
        sink.write(array.reshape(-1).view(np.uint8).data)


def read(source: BinaryIO) -> Graph:
    """Read the first graph of a file that this module or ``dgl.save_graphs`` wrote.

    :param source: gives the bytes in order; it need not be seekable.
    :raises ValueError: when the bytes are no such file, with the byte at which that shows.
    """
    return _Reader(source).graph()


def view(path: Path) -> Graph:
    """Read as `read` does, but leave the arrays in the file: they are read-only and loaded as they are used.

    That the edges end at nodes that there are is not checked here, since that would load them all.
    """
    if not path.stat().st_size:
        return read(io.BytesIO())
    with path.open("rb") as file:
        return _MappedReader(mmap(file.fileno(), 0, access=ACCESS_READ)).graph()


class _Reader:
    """One pass over the file. ``position`` is the byte that comes next, for the errors."""

    check_ends = True

    def __init__(self, source: BinaryIO | mmap) -> None:
        self.source = source
        self.position = 0

    def graph(self) -> Graph:
        self.expect(FILE_MAGIC, "a DGL file")
        self.expect(VERSION, "version 2 of the format")
        self.expect(HETEROGRAPH_FILE, "a file of heterographs")
        if self.word() == 0:
            raise self.bad("the file holds no graph")
        self.take(HEADER_SIZE - self.position)
        start = self.word()
        if start < self.position:
            raise self.bad(f"the graph is said to start at byte {start}")
        self.skip(start - self.position)
        self.expect(HETEROGRAPH_MAGIC, "a heterograph")
        ends = self.metagraph()
        edges = [self.unit_graph() for _ in self.items("relations", len(ends))]
        counts = [self.word() for _ in self.items("node counts")]
        node_frames = [self.frame() for _ in self.items("node types with data", len(counts))]
        edge_frames = [self.frame() for _ in self.items("relations with data", len(ends))]
        types = [self.string() for _ in self.items("node type names", len(counts))]
        names = [self.string() for _ in self.items("relation names", len(ends))]
        if len(set(types)) != len(types) or any(max(pair) >= len(types) for pair in ends):
            raise self.bad("the node types do not fit the metagraph")
        relations = [
            Relation(types[source], name, types[dest], rows, cols, data)
            for (source, dest), name, (rows, cols), data in zip(ends, names, edges, edge_frames, strict=True)
        ]
        graph = Graph(dict(zip(types, counts, strict=True)), dict(zip(types, node_frames, strict=True)), relations)
        try:
            graph.check(ends=self.check_ends)
        except ValueError as error:
            raise self.bad(str(error)) from None
        return graph

    def metagraph(self) -> list[tuple[int, int]]:
        """Give each relation's source and destination type, by relation number."""
        self.expect(METAGRAPH_MAGIC, "a metagraph")
        self.expect(CSR_MAGIC, "the metagraph's rows")
        count = self.word()
        self.expect(count, "a square metagraph")
        indptr, dests, ids = (self.index_array() for _ in range(3))
        self.take(1)
        if (
            len(indptr) != count + 1
            or indptr[0] != 0
            or indptr[-1] != len(dests)
            or (np.diff(indptr) < 0).any()
            or sorted(ids.tolist()) != list(range(len(dests)))
            or (dests < 0).any()
        ):
            raise self.bad("the metagraph is inconsistent")
        sources = np.repeat(np.arange(count), np.diff(indptr))
        ends = dict(zip(ids.tolist(), zip(sources.tolist(), dests.tolist(), strict=True), strict=True))
        return [ends[number] for number in range(len(dests))]

    def unit_graph(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        self.expect(UNIT_GRAPH_MAGIC, "a relation")
        if self.word() & ~NEW_CODE != COO:
            raise self.bad("a relation that is not stored as pairs (COO)")
        self.word()
        self.metagraph()
        self.expect(COO_MAGIC, "a relation's pairs")
        self.take(16)
        rows, cols, order = (self.index_array() for _ in range(3))
        self.take(2)
        if len(order):
            raise self.bad("a relation with an edge order of its own")
        return rows, cols

    def frame(self) -> Frame:
        return {self.string(): self.array() for _ in self.items("arrays")}

    def items(self, what: str, expected: int | None = None) -> Iterator[int]:
        """Read a vector's length and count its items."""
        length = self.word()
        if expected not in (None, length):
            raise self.bad(f"{length} {what}, expected {expected}")
        yield from range(length)

    def index_array(self) -> NDArray[np.int64]:
        array = self.array()
        if array.dtype.kind != "i" or array.ndim != 1:
            raise self.bad(f"an array of {array.dtype}, shape {array.shape}, where indices belong")
        return array.astype(np.int64, copy=False)

    def array(self) -> NDArray[Any]:
        self.expect(ARRAY_MAGIC, "an array")
        _, _, _, ndim, code, bits, lanes = struct.unpack("<QiiiBBH", self.take(24))
        if code not in KINDS or bits not in (8, 16, 32, 64) or (code, bits) == (2, 8) or lanes != 1:
            raise self.bad(f"an array of unknown type (code {code}, {bits} bits, {lanes} lanes)")
        if not 0 <= ndim <= MAX_DIMENSIONS:
            raise self.bad(f"an array of {ndim} dimensions")
        *shape, size = struct.unpack(f"<{ndim + 1}q", self.take(8 * (ndim + 1)))
        if min(shape, default=0) < 0 or size != math.prod(shape) * bits // 8:
            raise self.bad(f"an array of shape {shape} and {bits} bits in {size} bytes")
        return np.frombuffer(self.take(size), dtype=f"<{KINDS[code]}{bits // 8}").reshape(shape)

    def string(self) -> str:
        try:
            return str(self.take(self.word()), "utf-8")
        except UnicodeDecodeError:
            raise self.bad("a name that is not UTF-8") from None

    def expect(self, value: int, what: str) -> None:
        found = self.word()
        if found != value:
            raise ValueError(f"graph.bin, byte {self.position - 8}: expected {what} (0x{value:X}), found 0x{found:X}")

    def word(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def take(self, size: int) -> bytearray | memoryview:
        """Read exactly so many bytes; in pieces, since a corrupt length may ask for more than memory holds."""
        taken = bytearray()
        while len(taken) < size:
            piece = self.source.read(min(CHUNK, size - len(taken)))
            if not piece:
                raise self.bad(f"the file ends {size - len(taken)} bytes early")
            taken += piece
            self.position += len(piece)
        return taken

    def skip(self, size: int) -> None:
        while size > 0:
            size -= len(self.take(min(CHUNK, size)))

    def bad(self, what: str) -> ValueError:
        return ValueError(f"graph.bin, byte {self.position}: {what}")


class _MappedReader(_Reader):
    """One pass over a file in memory that gives its parts without copying; the arrays keep the map open."""

    check_ends = False

    def __init__(self, content: mmap) -> None:
        super().__init__(content)
        self.content = memoryview(content)

    def take(self, size: int) -> memoryview:
        """Give so many bytes where they lie."""
        taken = self.content[self.position : self.position + size]
        self.position += len(taken)
        if len(taken) < size:
            raise self.bad(f"the file ends {size - len(taken)} bytes early")
        return taken

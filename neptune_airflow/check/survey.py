"""Reads the files that a configuration names, and gathers what is in them, type by type."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from neptune_airflow.check.columns import Hit, Need, Seen, need, together
from neptune_airflow.check.files import Files
from neptune_airflow.check.judgement import faults, may_need_value
from neptune_airflow.dataset import CHECKS, Configuration, EdgeFile, Fault, Feature, Finding, Label, NodeFile, Place

#: A column with more values than this is not said to tell the label.
MOST_TELLING = 100


@dataclass
class Column:
    """What was seen of one feature or label in one file.

    :param tells: which value stands beside which label; None when a value stands beside two.
    :param blank: where the first value is missing, if an ``auto`` feature may turn out to need it.
    """

    file: str
    about: Feature | Label
    seen: Seen = field(default_factory=Seen)
    tells: set[tuple[str, str]] | None = None
    blank: Place | None = None


@dataclass
class Type:
    """What was seen of the nodes or edges of one type.

    :param rows: how many; an estimate unless ``exact``.
    :param ids: the nodes' ids, or the edges' ends where split files name them.
    :param relations: of a file with a relation column, how many edges each value has.
    :param unknown: how many ends of edges are no node.
    :param splits: how many rows each split file has.
    :param holders: for each feature that not all files have, the ids in those that have it, or that many edges.
    """

    name: str
    ids: Any
    rows: int = 0
    exact: bool = True
    files: list[str] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)
    relations: dict[str, int] = field(default_factory=dict)
    unknown: int = 0
    splits: dict[str, int] = field(default_factory=dict)
    holders: dict[str, Any] = field(default_factory=dict)

    def absent(self, feature: str) -> int:
        """Give how many nodes or edges no file with the feature has a row for; 0 where that is not known."""
        return self.rows - len(self.holders[feature]) if self.exact and feature in self.holders else 0

    def features(self) -> dict[str, list[Column]]:
        """Give what was seen of each feature, by its name."""
        found: dict[str, list[Column]] = {}
        for column in self.columns:
            if isinstance(column.about, Feature):
                found.setdefault(column.about.name, []).append(column)
        return found

    def label(self) -> tuple[Label, Seen] | None:
        """Give the label and what was seen of it in all files."""
        columns = [column for column in self.columns if isinstance(column.about, Label)]
        if not columns or not isinstance(label := columns[0].about, Label):
            return None
        return label, together(column.seen for column in columns)


class Survey:
    """One reading of an export.

    :param files: opens them.
    :param engine: looks at values: `plain.Plain` or `fast.Fast`.
    """

    def __init__(self, files: Files, engine: Any) -> None:
        self.files, self.engine = files, engine
        self.nodes: dict[str, Type] = {}
        self.edges: dict[str, Type] = {}
        self.findings: list[Finding] = []

    def read(self, configuration: Configuration) -> None:
        """Read all files."""
        self._expect(configuration)
        for node in configuration.nodes:
            self._node_file(node)
        for found in self.nodes.values():
            if len(found.files) > 1 and found.ids.complete:
                found.rows = len(found.ids)
        if both := self.engine.in_several([found.ids for found in self.nodes.values()]):
            self.findings.append(CHECKS["id-in-types"].at(count=both).times(both))
        for edge in configuration.edges:
            self._edge_file(edge)
        for entry in configuration.files:
            for label in entry.labels:
                if label.custom_split_filenames:
                    self._splits(entry, label.custom_split_filenames)

    def _expect(self, configuration: Configuration) -> None:
        """Make the types that stand in several files, and note which features not all of these have."""
        entries: dict[tuple[Any, str], list[NodeFile | EdgeFile]] = {}
        for node in configuration.nodes:
            entries.setdefault((NodeFile, node.node_type), []).append(node)
        for edge in configuration.edges:
            if not edge.relation_column:
                entries.setdefault((EdgeFile, edge_type(edge)), []).append(edge)
        for (kind, name), files in entries.items():
            have = [{feature.name for feature in entry.features} for entry in files]
            types = self.nodes if kind is NodeFile else self.edges
            types[name] = Type(name, self.engine.ids())
            for feature in have[0].union(*have) - have[0].intersection(*have):
                types[name].holders[feature] = self.engine.ids() if kind is NodeFile else range(0)

    def found(self, code: str, file: Any, hit: Hit, column: str, **about: object) -> None:
        """Note what was found in some rows of a column, with the place and the value of the first."""
        line, fields = file.record(hit.row)
        position = file.header.find(column)
        value = "" if position is None or position >= len(fields) else fields[position]
        values = {"value": value, **about}
        finding = CHECKS[code].at(Place(file.header.file, line=line, column=column), **values)
        self.findings.append(finding.times(hit.count))

    def _node_file(self, entry: NodeFile) -> None:
        found = self.nodes.setdefault(entry.node_type, Type(entry.node_type, self.engine.ids()))
        ids, empty = self.engine.ids(), None
        try:
            file = self._open(entry.file_name, entry.separator, found)
            columns = self._columns(entry)
            for rows in file.tables([entry.id_column, *(column.about.column for column in columns)]):
                ids.add(rows[entry.id_column])
                empty = _merged(empty, self.engine.missing(rows[entry.id_column], rows.start))
                self._look(rows, columns)
            self._counted(found, file)
            if empty:
                self.found("node-no-id", file, empty, entry.id_column)
            if repeated := self.engine.repeated(file, entry.id_column, ids):
                self.found("node-twice", file, repeated, entry.id_column)
            ids.complete = file.complete
            self._judged(found, file, columns)
        except Fault as wrong:
            self._unreadable(found, wrong)
            ids.complete = False
        found.ids.include(ids)
        for name in {feature.name for feature in entry.features} & found.holders.keys():
            found.holders[name].include(ids)

    def _edge_file(self, entry: EdgeFile) -> None:
        found = self.edges.setdefault(name := edge_type(entry), Type(name, self.engine.ids()))
        ends = {entry.source_column: entry.source_type, entry.dest_column: entry.dest_type}
        relation = [entry.relation_column] if entry.relation_column else []
        wants_pairs = any(label.custom_split_filenames for label in entry.labels)
        hits: dict[tuple[str, str], Hit | None] = {}
        try:
            file = self._open(entry.file_name, entry.separator, found)
            columns = self._columns(entry)
            relations = Seen()
            for rows in file.tables([*ends, *relation, *(column.about.column for column in columns)]):
                for end, node_type in ends.items():
                    for code, hit in self._ends(rows[end], rows.start, node_type):
                        hits[code, end] = _merged(hits.get((code, end)), hit)
                for column in relation:
                    relations.merge(self.engine.look(rows[column], rows.start, Need(distinct=True)))
                if wants_pairs:
                    found.ids.add(self.engine.pair(rows[entry.source_column], rows[entry.dest_column]))
                self._look(rows, columns)
            self._counted(found, file)
            found.ids.complete = found.ids.complete and file.complete
            found.relations = dict(relations.counts)
            for name in {feature.name for feature in entry.features} & found.holders.keys():
                found.holders[name] = range(len(found.holders[name]) + file.rows())
            if no_relation := relations.hits.get("value-missing"):
                self.found("edge-no-relation", file, no_relation, entry.relation_column)
            for (code, end), wrong_ends in hits.items():
                if wrong_ends:
                    found.unknown += wrong_ends.count
                    self.found(code, file, wrong_ends, end, type=ends[end])
            self._judged(found, file, columns)
        except Fault as wrong:
            self._unreadable(found, wrong)
            found.ids.complete = False

    def _ends(self, values: Any, start: int, node_type: str) -> Iterable[tuple[str, Hit]]:
        if hit := self.engine.missing(values, start):
            yield "edge-no-end", hit
        if hit := self.nodes[node_type].ids.absent(values, start):
            yield "unknown-node", hit

    def _open(self, name: str, separator: str, found: Type) -> Any:
        if name not in found.files:
            found.files.append(name)
        return self.files.open(name, separator)

    def _counted(self, found: Type, file: Any) -> None:
        count = file.rows()
        if file.header.bom:
            self.findings.append(CHECKS["bom"].at(Place(file.header.file)))
        if not count:
            self.findings.append(CHECKS["no-rows"].at(Place(file.header.file)))
        found.rows += count
        found.exact = found.exact and file.complete

    def _unreadable(self, found: Type, wrong: Fault) -> None:
        found.exact = False
        self.findings.append(wrong.finding)

    def _columns(self, entry: NodeFile | EdgeFile) -> list[Column]:
        labelled = any(label.column for label in entry.labels)
        features = [Column(entry.file_name, feature, tells=set() if labelled else None) for feature in entry.features]
        return features + [Column(entry.file_name, label) for label in entry.labels if label.column]

    def _judged(self, found: Type, file: Any, columns: list[Column]) -> None:
        """Note what is wrong with a file's values, while the file is at hand."""
        for column in columns:
            for code, hit, about in faults(column.about, column.seen, file.complete):
                self.found(code, file, hit, column.about.column, **about)
            if (blank := column.seen.hits.get("value-missing")) and may_need_value(column.about, column.seen):
                column.blank = Place(column.file, line=file.record(blank.row)[0], column=column.about.column)
        found.columns += columns

    def _look(self, rows: Any, columns: list[Column]) -> None:
        labels = next((rows[column.about.column] for column in columns if isinstance(column.about, Label)), None)
        for column in columns:
            values = rows[column.about.column]
            column.seen.merge(self.engine.look(values, rows.start, need(column.about)))
            if column.tells is not None and labels is not None:
                column.tells |= self.engine.tells(values, labels)
                told = {value for value, _ in column.tells}
                if len(told) < len(column.tells) or len(told) > MOST_TELLING:
                    column.tells = None

    # -- splits ------------------------------------------------------------------------------------------------------

    def _splits(self, entry: NodeFile | EdgeFile, names: dict[str, str]) -> None:
        owner = self.nodes[entry.node_type] if isinstance(entry, NodeFile) else self.edges[edge_type(entry)]
        members: dict[str, Any] = {}
        for split, name in names.items():
            members[split] = self.engine.ids()
            try:
                file = self.files.open(name, entry.separator)
                if isinstance(entry, NodeFile):
                    self._node_split(entry, owner, file, members[split])
                else:
                    self._edge_split(entry, owner, file, members[split])
                owner.splits[split] = owner.splits.get(split, 0) + file.rows()
            except Fault as wrong:
                self.findings.append(wrong.finding)
        splits = list(members)
        for number, split in enumerate(splits):
            for other in splits[number + 1 :]:
                if both := members[split].shared(members[other]):
                    about = {"count": both, "other": names[split]}
                    self.findings.append(CHECKS["split-overlap"].at(Place(names[other]), **about))

    def _node_split(self, entry: NodeFile, owner: Type, file: Any, members: Any) -> None:
        absent: Hit | None = None
        for rows in file.tables([entry.id_column]):
            members.add(rows[entry.id_column])
            absent = _merged(absent, owner.ids.absent(rows[entry.id_column], rows.start))
        if absent:
            self.found("unknown-node", file, absent, entry.id_column, type=entry.node_type)

    def _edge_split(self, entry: EdgeFile, owner: Type, file: Any, members: Any) -> None:
        ends = {entry.source_column: entry.source_type, entry.dest_column: entry.dest_type}
        unknown: dict[str, Hit | None] = {}
        absent: Hit | None = None
        for rows in file.tables(list(ends)):
            for end, node_type in ends.items():
                unknown[end] = _merged(unknown.get(end), self.nodes[node_type].ids.absent(rows[end], rows.start))
            pairs = self.engine.pair(rows[entry.source_column], rows[entry.dest_column])
            members.add(pairs)
            absent = _merged(absent, owner.ids.absent(pairs, rows.start))
        for end, hit in unknown.items():
            if hit:
                self.found("unknown-node", file, hit, end, type=ends[end])
        if absent and not any(unknown.values()) and not entry.relation_column:
            self.found("split-no-edge", file, absent, entry.source_column, files=", ".join(owner.files))


def edge_type(entry: EdgeFile) -> str:
    """Give the name of the type of a file's edges, in the exporter's manner; a column stands for its values."""
    parts = [entry.relation, f"<{entry.relation_column}>" if entry.relation_column else ""]
    return f"({entry.source_type})-{'-'.join(part for part in parts if part)}-({entry.dest_type})"


def _merged(first: Hit | None, second: Hit | None) -> Hit | None:
    return first.merge(second) if first and second else first or second

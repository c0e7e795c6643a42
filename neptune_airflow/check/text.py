"""A report as a table for people, in plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from neptune_airflow.dataset import Finding, Severity
from neptune_airflow.dataset.findings import plain

if TYPE_CHECKING:
    from neptune_airflow.check.report import Report

#: Findings, types and features that a table shows; the JSON has them all.
MOST_ROWS = 50
NARROWEST = 40
#: The facts of the export as a whole.
WHOLE = ("format", "task", "files", "statements", "targets", "ids_looked_at")


def table(report: Report, width: int) -> str:
    """Give the report in lines of at most ``width`` characters, as far as words allow it."""
    return "\n".join(_lines(report, max(width, NARROWEST)))


def _lines(report: Report, width: int) -> Iterator[str]:
    read = "everything was read" if report.full else "headers and first rows were read"
    yield from _wrapped(f"{plain(report.location)}, {plain(report.config_file_name)}: {read}", width)
    for title, findings in (("errors", report.errors), ("warnings", report.warnings)):
        yield ""
        yield f"{len(findings) or 'no'} {title if len(findings) != 1 else title[:-1]}"
        for finding in findings[:MOST_ROWS]:
            yield from _finding(finding, width)
        if len(findings) > MOST_ROWS:
            yield f"  … and {len(findings) - MOST_ROWS} more"
    yield from _facts(report.facts, width)
    yield ""
    yield "data processing would fail" if report.errors else "nothing was found that data processing would fail on"


def _finding(finding: Finding, width: int) -> Iterator[str]:
    place = finding.place
    where = str(place)
    if place.path and place.line is not None:
        where = f"{plain(place.file)}, line {place.line}, column {place.column}, {plain(place.path)}"
    times = f" (in {finding.count:,} places)" if finding.count > 1 else ""
    mark = "x" if finding.severity is Severity.ERROR else "!"
    yield from _wrapped(f"{where}: {finding.text}{times}" if where else f"{finding.text}{times}", width, f"  {mark} ")
    yield from _wrapped(f"{finding.fix} [{finding.code}, {finding.source}]", width, "    ")


def _facts(facts: dict[str, Any], width: int) -> Iterator[str]:
    yield ""
    known = [
        (name, facts[name]) for name in ("format", "task", "files", "statements", "ids_looked_at") if name in facts
    ]
    yield from _wrapped("; ".join(f"{name.replace('_', ' ')}: {_said(value)}" for name, value in known), width)
    if "v1" in facts:
        yield from _wrapped(f"v1 names {_v1(facts['v1'])}", width)
    for kind in ("nodes", "edges"):
        types = facts.get(kind, {})
        if types:
            yield ""
            rows = [[name, _count(about), *_counts(about)] for name, about in types.items()]
            yield from _columns([[f"type of {kind}", "count", "features", "label"], *rows], width)
        yield from _features(types, width)
    yield ""
    yield from _wrapped(_cost(facts["cost"]), width)


def _v1(about: dict[str, Any]) -> str:
    types = [f"{number} {plain(name)}" for key in ("features", "labels") for name, number in about[key].items()]
    return "; ".join([f"{len(about['files'])} files", *types[:MOST_ROWS]])


def _count(about: dict[str, Any]) -> str:
    return f"{'' if about['exact'] else 'about '}{about['count']:,}"


def _counts(about: dict[str, Any]) -> list[str]:
    label = about.get("label", {})
    split = ", ".join(f"{name} {size:,}" for name, size in label.get("split", {}).items())
    said = [label.get("task", ""), label.get("column", ""), split]
    return [str(len(about.get("features", {}))), " ".join(part for part in said if part)]


def _features(types: dict[str, Any], width: int) -> Iterator[str]:
    rows = [
        [owner, name, said["type"], said.get("encoding", ""), f"{said['missing']:,}", _range(said)]
        for owner, about in types.items()
        for name, said in about.get("features", {}).items()
    ]
    if rows:
        yield ""
        yield from _columns([["of", "feature", "type", "becomes", "missing", "values"], *rows[:MOST_ROWS]], width)
    if len(rows) > MOST_ROWS:
        yield f"… and {len(rows) - MOST_ROWS} more features"
    for owner, about in types.items():
        classes = about.get("label", {}).get("classes")
        if classes:
            sizes = ", ".join(f"{plain(name)} {size:,}" for name, size in classes.items())
            yield from _wrapped(f"classes of {plain(owner)}: {sizes}", width)


def _range(said: dict[str, Any]) -> str:
    parts = [f"{said['min']:g} to {said['max']:g}"] if "min" in said else []
    parts += [f"{said['distinct']} different"] if "distinct" in said else []
    return ", ".join([*parts, *([f"needs {said['needs']}"] if "needs" in said else [])])


def _cost(cost: dict[str, Any]) -> str:
    size = f"{cost['data_bytes'] / 1e9:.3g} GB of data"
    if not cost["fits"]:
        return f"{size}: no instance is large enough ({cost['memory_gb']:,} GB of memory are needed)"
    chosen = f"{cost['instance']} ({cost['instance_memory_gb']} GB of memory)"
    return f"{size}: Neptune will choose {chosen}; the volume should have {cost['volume_gb']} GB at least"


def _said(value: Any) -> str:
    return ", ".join(plain(str(item)) for item in value[:MOST_ROWS]) if isinstance(value, list) else plain(str(value))


def _columns(rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Give rows in columns as wide as their widest cell; the widest columns are cut where a line has no room."""
    cells = [[plain(cell) for cell in row] for row in rows[: MOST_ROWS + 1]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    while sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > 8:
        widths[widths.index(max(widths))] -= 1
    for row in cells:
        shown = (_cut(cell, room).ljust(room) for cell, room in zip(row, widths, strict=True))
        yield "  ".join(shown).rstrip()
    if len(rows) > len(cells):
        yield f"… and {len(rows) - len(cells)} more types"


def _cut(cell: str, room: int) -> str:
    return cell if len(cell) <= room else f"{cell[: room - 1]}…"


def _wrapped(text: str, width: int, begin: str = "") -> Iterator[str]:
    # Names have hyphens, and are looked for in one piece.
    yield from textwrap.wrap(
        text, width, initial_indent=begin, subsequent_indent=" " * len(begin), break_on_hyphens=False
    ) or [begin]

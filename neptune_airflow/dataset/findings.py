"""What is wrong with an export: which check says so, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

#: Characters of one value that a text repeats.
LONGEST = 160


class Severity(StrEnum):
    """What a finding means for the data processing job."""

    ERROR = "error"
    """The job would fail."""
    WARNING = "warning"
    """The job would run, and its result would not be what was wanted."""


class Source(StrEnum):
    """How it is known what SageMaker does about a fault."""

    DOCUMENTED = "documented"
    """AWS's user guide states the rule."""
    EXPORTER = "exporter"
    """neptune-export never writes it, or says so itself: whoever wrote it changed the export."""
    INFERRED = "inferred"
    """It follows from what the data are for; the local data processing does so, and AWS's may be more lenient."""


@dataclass(frozen=True)
class Place:
    """Where something stands.

    :param file: the file's name below the export, or the configuration's.
    :param path: the place in the JSON document, such as ``graph.nodes[0].features[2].norm``.
    :param line: the line, counted from 1.
    :param column: the CSV column's name, or in a JSON document the number of the character in the line, from 1.
    """

    file: str = ""
    path: str = ""
    line: int | None = None
    column: str | int | None = None

    def __str__(self) -> str:
        """Give the place in words, as the local data processing's failures begin."""
        file = plain(self.file)
        if self.path:
            return f"{file}: {plain(self.path)}"
        line = f", line {self.line}" if self.line is not None and not isinstance(self.column, int) else ""
        column = f", column {_Shown(self.column)!r}" if isinstance(self.column, str) else ""
        return f"{file}{line}{column}"

    def as_dict(self) -> dict[str, Any]:
        """Give the parts that there are."""
        parts = {"file": plain(self.file), "path": plain(self.path), "line": self.line, "column": self.column}
        if isinstance(self.column, str):
            parts["column"] = plain(self.column)
        return {name: part for name, part in parts.items() if part not in ("", None)}


def rowless(owner: str, absent: int, count: int, feature: str) -> Place:
    """Give the place of values that no file has a row for: a type's files do not all have the feature.

    :param absent: how many of the ``count`` nodes or edges of the type lack it.
    """
    return Place(f"{owner}: {absent} of {count} have no row in a file with {feature!r}")


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    :param code: the check's name.
    :param text: what is wrong.
    :param fix: what to do about it.
    :param count: how often it was found in what was read of this file and column; ``place`` is the first.
    """

    code: str
    severity: Severity
    text: str
    fix: str
    source: Source
    place: Place = field(default_factory=Place)
    count: int = 1

    def __str__(self) -> str:
        """Give place and text in one line: the words in which the local data processing fails."""
        return f"{self.place}: {self.text}" if self.place.file else self.text

    def times(self, count: int) -> Finding:
        """Give the finding with the number of times it was found."""
        return replace(self, count=count)

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON can hold it."""
        known = {"code": self.code, "severity": self.severity.value, "place": self.place.as_dict(), "text": self.text}
        return known | {"fix": self.fix, "source": self.source.value, "count": self.count}


@dataclass(frozen=True)
class Check:
    """A row of the table `checks.CHECKS`.

    :param text: what is wrong, a template of `str.format`.
    :param fix: what to do about it, likewise.
    """

    code: str
    severity: Severity
    text: str
    fix: str
    source: Source

    def at(self, place: Place | None = None, **values: Any) -> Finding:
        """Make a finding; long values are shortened, and what can't be printed is escaped."""
        shown = {name: _Shown(value) for name, value in values.items()}
        text, fix = self.text.format_map(shown), self.fix.format_map(shown)
        return Finding(self.code, self.severity, text, fix, self.source, place or Place())


class Fault(ValueError):
    """An export can't be used.

    :param finding: what is wrong with it.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


def plain(text: str) -> str:
    """Give a text of bounded length in which every character can be printed."""
    short = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    if short.isprintable():
        return short
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in short)


class _Shown:
    """A value as texts show it."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __str__(self) -> str:
        return plain(str(self._value))

    def __repr__(self) -> str:
        value = self._value
        if isinstance(value, str):
            return repr(value if len(value) <= LONGEST else f"{value[:LONGEST]}…")
        return plain(repr(value))

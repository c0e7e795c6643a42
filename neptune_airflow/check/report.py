"""What a check has found: findings, facts, and both as a dict that is never large."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from neptune_airflow.dataset import Finding, Severity

#: Bytes of JSON that `Report.as_dict` keeps to: what an XCom takes in every back end.
LARGEST = 48_000
#: A dict with so few more entries than are kept is kept whole: it is a record and no list.
FEW = 14


@dataclass
class Report:
    """The result of a check.

    :param location: the export's S3 URI or folder.
    :param config_file_name: the configuration's name.
    :param full: whether everything was read, or the headers and first rows alone.
    :param findings: what was found, errors first.
    :param facts: what the export has; `docs/check.md` lists the keys.
    """

    location: str
    config_file_name: str
    full: bool = False
    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def errors(self) -> list[Finding]:
        """What would make the data processing job fail."""
        return [finding for finding in self.findings if finding.severity is Severity.ERROR]

    @property
    def warnings(self) -> list[Finding]:
        """What the job would run through, with another result than was wanted."""
        return [finding for finding in self.findings if finding.severity is Severity.WARNING]

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.errors

    def as_dict(self, largest: int | None = LARGEST) -> dict[str, Any]:
        """Give the report as JSON can hold it.

        :param largest: bytes of JSON to keep to; of findings, types, features and classes the first ones are then
            kept, and ``left_out`` says how many are not. None for everything.
        """
        whole = {
            "location": self.location,
            "configuration": self.config_file_name,
            "full": self.full,
            "ok": self.ok,
            "errors": [finding.as_dict() for finding in self.errors],
            "warnings": [finding.as_dict() for finding in self.warnings],
            "facts": self.facts,
        }
        if largest is None or _size(whole) <= largest:
            return whole
        for most in (40, 20, 10, 5, 2, 1):
            short: dict[str, Any] = _first(whole, most)
            if _size(short) <= largest:
                return short
        return {**whole, "errors": [], "warnings": [], "facts": {}, "left_out": len(self.findings)}

    def as_text(self, width: int = 100) -> str:
        """Give the report as a table for people, in lines of at most ``width`` characters where words allow it."""
        from neptune_airflow.check.text import table

        return table(self, width)


def _size(value: Any) -> int:
    return len(json.dumps(value, default=str).encode())


def _first(value: Any, most: int, top: bool = True) -> Any:
    """Give the first entries of every list and dict; the report's own keys all stay."""
    if isinstance(value, list):
        kept = [_first(item, most, top=False) for item in value[:most]]
        return kept + ([{"left_out": len(value) - most}] if len(value) > most else [])
    if isinstance(value, dict):
        room = len(value) if top or len(value) <= most + FEW else most
        kept_items = {key: _first(item, most, top=False) for key, item in list(value.items())[:room]}
        return kept_items | ({"left_out": len(value) - room} if len(value) > room else {})
    return value

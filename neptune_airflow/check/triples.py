"""The check of an RDF export: its files of triples, and what is to be predicted in them."""

from __future__ import annotations

from typing import Any

from neptune_airflow.check.files import Files
from neptune_airflow.dataset import CHECKS, Fault, Finding, Place, RdfConfiguration
from neptune_airflow.dataset.csvtext import MAGIC


def check_triples(configuration: RdfConfiguration, files: Files) -> tuple[dict[str, Any], list[Finding]]:
    """Give the facts of an RDF export, and what is wrong with its files as far as their first bytes show it."""
    findings: list[Finding] = []
    names = list(dict.fromkeys(file.file_name for file in configuration.files))
    with files.ahead(names):
        for name in names:
            try:
                head = files.head(name)
            except Fault as wrong:
                findings.append(wrong.finding)
                continue
            code = next((code for magic, code in MAGIC.items() if head.startswith(magic)), None)
            code = code or (None if head.strip() else "file-empty")
            if code:
                findings.append(CHECKS[code].at(Place(name)))
            elif not _is_utf8(head):
                findings.append(CHECKS["not-utf8"].at(Place(name)))
    targets = sum(len(file.targets) for file in configuration.files)
    facts = {"format": "RDF", "task": ", ".join(configuration.tasks), "statements": names, "targets": targets}
    return facts, findings


def _is_utf8(head: bytes) -> bool:
    """Say whether the first bytes are UTF-8, but for a character that their end cuts."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4 and error.reason == "unexpected end of data"
    return True

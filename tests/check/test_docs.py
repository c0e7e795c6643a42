"""The documentation lists every check, in the words of the code."""

from __future__ import annotations

from pathlib import Path

from neptune_airflow.check import CHECKS

PAGE = Path(__file__).parents[2] / "docs" / "check.md"


def listing() -> str:
    """Give the table of all checks, in the order of the code."""
    rows = ["| check | | says | what to do | known from |", "|---|---|---|---|---|"]
    for check in CHECKS.values():
        cells = (check.text.replace("!r}", "}"), check.fix.replace("!r}", "}"))
        said = " | ".join(cell.replace("{", "*").replace("}", "*") for cell in cells)
        rows.append(f"| `{check.code}` | {check.severity} | {said} | {check.source} |")
    return "\n".join(rows)


def test_the_page_lists_every_check_as_it_is() -> None:
    table = PAGE.read_text().partition("<!-- checks: begin")[2].partition("-->\n")[2].partition("<!-- checks: end")[0]
    assert table.strip() == listing()

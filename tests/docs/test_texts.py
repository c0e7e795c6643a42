"""What the pages quote is what the package says, and where they lead there is something."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from neptune_airflow.verdicts import _REMEDIES
from tests.docs.pages import DOCS, PAGES, PROJECT, name

HEADINGS = re.findall(r"^### `(.+)`$", (DOCS / "troubleshooting.md").read_text(), re.M)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def _texts() -> str:
    """Give every text in the package's source, whole where it is written in parts."""
    texts: list[str] = []
    for file in (PROJECT / "neptune_airflow").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                texts.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
                )
    return "\n".join(texts)


def test_every_heading_of_troubleshooting_is_a_text_of_the_package() -> None:
    texts = _texts()
    assert [heading for heading in HEADINGS if heading not in texts] == []
    assert len(HEADINGS) == len(set(HEADINGS))


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in _REMEDIES])
def test_troubleshooting_has_every_remedy(pattern: str) -> None:
    assert any(heading in pattern or re.search(pattern, heading, re.IGNORECASE) for heading in HEADINGS)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links(page: Path) -> None:
    """Those between pages of the site, and to headings, are checked when it is built; these are the others."""
    for target in _LINK.findall(page.read_text()):
        parts = urlsplit(target)
        if parts.scheme:
            assert (parts.scheme, "." in (parts.hostname or "")) == ("https", True), target
        elif parts.path:
            assert (page.parent / parts.path).exists(), target

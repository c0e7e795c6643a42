"""The documentation as tests read it: its pages, and the blocks of code in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parents[2]
DOCS = PROJECT / "docs"
PAGES = [PROJECT / "README.md", *sorted(DOCS.rglob("*.md"))]

_BLOCK = re.compile(r"^(?:<!-- not run: (?P<idle>.+?) -->\n)?```(?P<language>\S*)\n(?P<text>.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    """One fenced block.

    :param line: where its text begins.
    :param idle: why what it defines is only made, and not run; from a comment right before it.
    """

    page: Path
    line: int
    language: str
    text: str
    idle: str | None

    def __str__(self) -> str:
        return f"{name(self.page)}:{self.line}"


def name(page: Path) -> str:
    return str(page.relative_to(PROJECT))


def blocks(page: Path, language: str) -> list[Block]:
    """Give a page's blocks in a language, in their order."""
    source = page.read_text()
    return [
        Block(page, source[: found.start("text")].count("\n") + 1, found["language"], found["text"], found["idle"])
        for found in _BLOCK.finditer(source)
        if found["language"] == language
    ]


def every(language: str) -> list[Block]:
    """Give the blocks of all pages in a language."""
    return [block for page in PAGES for block in blocks(page, language)]

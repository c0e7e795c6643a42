"""The built documentation: it loads nothing from elsewhere, and every link in it leads somewhere; see `make docs`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import pytest

SITE = Path(__file__).parents[2] / "build" / "docs"
PAGES = sorted(SITE.rglob("*.html"))
#: The attributes by which a document loads something, of all elements; a link does so by some of its relations.
LOADING = {"src", "srcset", "poster", "data", "background"}
LOADING_LINKS = {"stylesheet", "preload", "preconnect", "dns-prefetch", "prefetch", "icon", "modulepreload", "manifest"}


class Reference(NamedTuple):
    """An address in a document, and whether a browser goes there by itself."""

    address: str
    loads: bool


class _Document(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.references: list[Reference] = []
        self.ids: set[str] = set()
        self.styles = ""
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.ids.update(given[key] for key in ("id", "name") if key in given)
        self.styles += given.get("style", "")
        self._in_style = tag == "style"
        for key, value in given.items():
            if key in LOADING and tag != "object":
                self.references += [Reference(each.split()[0], True) for each in value.split(",") if each.strip()]
        if "href" in given:
            loads = tag == "link" and bool(LOADING_LINKS & set(given.get("rel", "").split()))
            self.references.append(Reference(given["href"], loads))

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.styles += data


@cache
def document(page: Path) -> _Document:
    read = _Document()
    read.feed(page.read_text())
    return read


def test_there_is_a_site() -> None:
    assert SITE / "index.html" in PAGES
    assert len(PAGES) > 30


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(SITE)))
def test_a_page_loads_nothing_external(page: Path) -> None:
    read = document(page)
    assert [each.address for each in read.references if each.loads and urlsplit(each.address).netloc] == []
    assert list(_outside(read.styles)) == []


def test_styles_load_nothing_external() -> None:
    assert {
        str(each): list(_outside(each.read_text())) for each in SITE.rglob("*.css") if any(_outside(each.read_text()))
    } == {}


def _outside(css: str) -> Iterator[str]:
    for address in re.findall(r"url\(\s*[\"']?([^\"')]+)|@import\s+[\"']([^\"']+)", css):
        if urlsplit("".join(address)).netloc:
            yield "".join(address)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(SITE)))
def test_every_link_leads_somewhere(page: Path) -> None:
    lost = []
    for each in document(page).references:
        parts = urlsplit(each.address)
        if parts.scheme or parts.netloc or each.address == "":
            continue
        place = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if page.name == "404.html":  # served from anywhere, so its addresses begin with a slash
            place = SITE / unquote(parts.path).lstrip("/")
        place = place / "index.html" if place.is_dir() else place
        if not place.exists() or (
            parts.fragment
            and place.suffix == ".html"
            and unquote(parts.fragment) not in document(place).ids | {"__skip"}
        ):
            lost.append(each.address)
    assert lost == []

"""The page's own files, as they are sent. They are read once and named one by one, so no path leads anywhere else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class File(NamedTuple):
    """A file that is served.

    :param body: its content.
    :param media_type: its type, for the browser.
    :param tag: says which content this is: a browser that has it already is not sent it again.
    """

    body: bytes
    media_type: str
    tag: str


def shipped_files() -> Mapping[str, File]:
    """Read the files that come with this package, by their names."""
    return {path.name: _read(path) for path in sorted(FOLDER.iterdir()) if path.suffix in _TYPES}


def _read(path: Path) -> File:
    body = path.read_bytes()
    return File(body, _TYPES[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:20]}"')

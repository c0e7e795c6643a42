"""The line and column of a place in a JSON document, for errors; found only when there is one."""

from __future__ import annotations

import json
import re

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_SPACE = re.compile(r"[ \t\n\r]*")
_VALUES = json.JSONDecoder()


def locate(text: str, path: str) -> tuple[int, int]:
    """Give line and column, both counted from 1, of the value at a path such as ``graph.nodes[0].node``.

    Where the path leads on to something that is not there, the last part that is there counts.

    :param text: a valid JSON document.
    """
    at = _skip(text, 0)
    for key, number in _STEP.findall(path):
        found = _member(text, at, key) if key else _item(text, at, int(number))
        if found is None:
            break
        at = found
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _member(text: str, at: int, key: str) -> int | None:
    """Give where the value of an object's key begins; of several the last, as JSON readers take it."""
    if text[at] != "{":
        return None
    at, found = _skip(text, at + 1), None
    while text[at] == '"':
        name, at = _VALUES.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        found = at if name == key else found
        at = _next(text, at)
    return found


def _item(text: str, at: int, number: int) -> int | None:
    """Give where an array's item begins."""
    if text[at] != "[":
        return None
    at = _skip(text, at + 1)
    for _ in range(number):
        if text[at] == "]":
            return None
        at = _next(text, at)
    return None if text[at] == "]" else at


def _next(text: str, at: int) -> int:
    """Give where the next member or item, or the closing bracket, begins."""
    at = _skip(text, _VALUES.raw_decode(text, at)[1])
    return _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at

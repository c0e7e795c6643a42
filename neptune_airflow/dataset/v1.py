"""What a configuration of v1 says. It is not processed here; whoever meets one is told what it is about.

v1's ``graph`` is a flat array of files, each with its ``features``, ``labels`` or ``edges``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

#: The word for a feature's or label's type, by the array that it stands in.
_TYPES = {"features": "sub_feat_type", "labels": "sub_label_type"}


def describe_v1(document: Any) -> dict[str, Any]:
    """Give what a v1 document names.

    :param document: the JSON, whatever it is.
    :returns: ``files``, their names, and under ``features`` and ``labels`` how many there are of each type.
    """
    graph = document.get("graph") if isinstance(document, dict) else None
    entries = [entry for entry in graph if isinstance(entry, dict)] if isinstance(graph, list) else []
    files = [str(entry["file_name"]) for entry in entries if "file_name" in entry]
    found: dict[str, Any] = {"files": list(dict.fromkeys(files))}
    for key, word in _TYPES.items():
        counts: dict[str, int] = {}
        for name in _words(entries, key, word):
            counts[name] = counts.get(name, 0) + 1
        found[key] = counts
    return found


def _words(entries: list[dict[str, Any]], key: str, word: str) -> Iterator[str]:
    for entry in entries:
        items = entry.get(key)
        for item in items if isinstance(items, list) else []:
            if isinstance(item, dict):
                yield str(item.get(word, "unknown"))

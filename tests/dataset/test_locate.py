"""The line and column of any place in any document."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neptune_airflow.dataset import ConfigurationError, parse
from neptune_airflow.dataset.locate import locate

KEYS = st.text('ab "\\\u00e9\n', max_size=3).filter(lambda key: key != "")
DOCUMENTS = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def places(value: Any, path: str = "") -> Any:
    """Give every value that is not the whole, with its path."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        here = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}" if path else key
        yield here, inner
        yield from places(inner, here)


@settings(deadline=None)
@given(DOCUMENTS, st.sampled_from([None, 0, 2]), st.booleans())
def test_what_begins_there_is_the_value(document: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    for path, value in places(document):
        line, column = locate(text, path)
        rest = "\n".join([text.split("\n")[line - 1][column - 1 :], *text.split("\n")[line:]])
        assert json.JSONDecoder().raw_decode(rest)[0] == value


def test_of_a_key_that_is_there_twice_the_last_counts() -> None:
    assert locate('{"a": 1, "a": 2}', "a") == (1, 15)


@pytest.mark.parametrize("path", ["graph.nodes[7].features", "graph.nodes[0].none", "graph.nodes.x"])
def test_what_is_not_there_is_where_it_would_be(path: str) -> None:
    text = '{"graph":\n  {"nodes":\n    [{"file_name": 1}]}}'
    assert locate(text, path) == ((3, 6) if "nodes[0]" in path else (3, 5))


def test_errors_have_line_and_column() -> None:
    text = '{"version": "v2.0",\n "graph": {"nodes": [{"file_name": "a.csv", "node": ["~id", "a"],\n  "features": 7}]}}'
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    place = caught.value.finding.place
    assert (place.path, place.line, place.column) == ("graph.nodes[0].features", 3, 15)
    assert str(caught.value) == "training-data-configuration.json: graph.nodes[0].features: 7 is not an array"

"""Between two runs: what is gone is named, with the way out."""

from __future__ import annotations

import pytest

from neptune_airflow.dataset import deletions

REMEDY = "; node deletions need a full run: leave previousDataProcessingJobId out"


@pytest.mark.parametrize(
    ("kept", "examples", "text"),
    [
        ({"a": 3, "b": 5}, {}, None),
        ({"a": 3, "b": 5, "c": 7}, {}, None),
        ({"a": 2, "b": 5}, {}, "gone since the earlier job: 1 of 3 nodes of type 'a'"),
        ({"a": 2, "b": 5}, {"a": "x"}, "gone since the earlier job: 1 of 3 nodes of type 'a', such as 'x'"),
        ({"b": 4}, {}, "gone since the earlier job: 3 of 3 nodes of type 'a'; 1 of 5 nodes of type 'b'"),
    ],
)
def test_deletions_name_types_counts_and_remedy(
    kept: dict[str, int], examples: dict[str, str], text: str | None
) -> None:
    assert deletions({"a": 3, "b": 5, "empty": 0}, kept, examples) == (text and text + REMEDY)

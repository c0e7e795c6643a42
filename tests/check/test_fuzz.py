"""Whatever an export is, the check says something of it, and says of errors what the local data processing says."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from broken_exports import CONFIGURATION, HEALTHY, A, E, Export, failure
from hypothesis import example, given, settings
from hypothesis import strategies as st

from neptune_airflow.check import Report, check_export

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["~id", A, "x", "a"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NOISE = [b"", b'"', b",", b"\n", b"\0", b"\xff", b"\xef\xbb\xbf"]
CELLS = st.sampled_from(
    ["", "1", "-2.5", "1e300", "NaN", "2024-01-01", "x", "a1", "a99", "b1", "true", "1;2", ";", '"a,b"', '"a""b"', '"']
) | st.text(max_size=3)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_document_in_which_anything_stands_anywhere(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    export = Export()
    places = list(_places(export.document))
    for owner, key in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=2)):
        if data.draw(st.booleans()):
            owner[key] = data.draw(VALUES)
        elif isinstance(owner, dict):
            owner.pop(key, None)
    _same_words(export, tmp_path_factory.mktemp("export"))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), times=st.integers(1, 4), place=st.sampled_from([CONFIGURATION, A, E]))
@example(seed=991, times=3, place=A)
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, seed: int, times: int, place: str) -> None:
    dice, export = random.Random(seed), Export()
    content = bytearray(json.dumps(export.document).encode() if place == CONFIGURATION else HEALTHY[place])
    for _ in range(times):
        at, size = dice.randrange(len(content) + 1), dice.choice([0, 1, 1, 2, 50])
        content[at : at + size] = dice.choice(
            [b"", b'"', b",", b"\n", b"\0", b"\xff", dice.randbytes(3), b"\xef\xbb\xbf"]
        )
    if place == CONFIGURATION:
        export.raw = bytes(content)
    else:
        export.files[place] = bytes(content)
    _same_words(export, tmp_path_factory.mktemp("export"))


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=4), max_size=12),
    kind=st.sampled_from(["auto", "category", "numerical", "datetime", "none"]),
    options=st.fixed_dictionaries({}, optional={"separator": st.just(";"), "imputer": st.just("median")}),
)
def test_any_values(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], kind: str, options: dict[str, str]
) -> None:
    export = Export()
    export.a["features"] = [{"feature": ["x", "x", kind], **options}]
    text = "\n".join(
        ["~id,x,k", *(",".join([f"a{n}" if n % 4 else row[0], *row[1:]]) for n, row in enumerate(rows)), ""]
    )
    export.files[A] = text.encode(errors="surrogatepass")
    _same_words(export, tmp_path_factory.mktemp("export"))


def _same_words(export: Export, folder: Path) -> None:
    """Check an export in both ways and process it, and compare what they say."""
    source = export.write(folder / "in")
    words = failure(source, folder / "out")
    quick, full = (check_export(str(source), full=full) for full in (False, True))
    for report in (quick, full):
        json.dumps(report.as_dict())
        assert report.as_text(80)
    said = [str(error) for error in full.errors]
    assert words is None or _alike(words, said), (words, said)
    assert words is not None or not said, said
    quickly, fully = ({error.code for error in report.errors} for report in (quick, full))
    # Where quotes are wrong, two parsers need not see the same rows; that something is wrong, they do.
    assert quickly == fully or ("row-quotes" in quickly and fully)


def _alike(words: str, said: list[str]) -> bool:
    """Say whether words are among others; those of the parsers about quotes need not be the same ones."""
    return words in said or any("quotes" in words and "quotes" in other for other in said)


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from _places(inner)


def test_a_report_is_never_large(tmp_path: Path) -> None:
    export = Export()
    for number in range(3_000):
        export.a["features"].append({"feature": ["x", f"feature {number}", "numerical"], "nonsense": "é" * 500})
    export.document["warnings"] = [f"warning {number} " + "long " * 1000 for number in range(3_000)]
    report: Report = check_export(str(export.write(tmp_path)))
    assert len(report.warnings) > 3_000
    assert len(json.dumps(report.as_dict()).encode()) <= 48_000
    assert len(report.as_text()) < 60_000

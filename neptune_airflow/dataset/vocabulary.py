"""The words of a training-data configuration: feature types, their options, and what each option may be."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: Spellings that some writer or page of the documentation uses, and the one that is used here.
TYPE_ALIASES = {"word2vec": "text_word2vec"}
OPTION_ALIASES = {"imputation": "imputer", "num_buckets": "bucket_cnt"}
IMPUTER_ALIASES = {"most_frequent": "most-frequent"}
SPLIT_ALIASES = {"validation": "valid"}

NORMS = ("none", "min-max", "standard")
IMPUTERS = ("mean", "median", "most-frequent")
DATETIME_PARTS = ("year", "month", "weekday", "hour")
SPLITS = ("train", "valid", "test")
#: The exporter's own shares of the splits.
DEFAULT_RATE = (0.9, 0.1, 0.0)
LINK_PREDICTION = "link_prediction"
NODE_LABELS = ("classification", "regression")
EDGE_LABELS = (*NODE_LABELS, LINK_PREDICTION)

#: Characters that mean something else in a CSV file than the end of a field.
NO_SEPARATORS = '"\r\n\0'
#: Names that the graph's own data go by, so that no feature can be called that.
RESERVED = frozenset({"labels"} | {f"{prefix}{split}_mask" for prefix in ("", "rev_") for split in SPLITS})

Check = Callable[[Any], Any]


def _one_of(words: tuple[str, ...], aliases: dict[str, str] | None = None) -> Check:
    def check(value: Any) -> str:
        word = (aliases or {}).get(value, value) if isinstance(value, str) else value
        if word not in words:
            raise ValueError(f"{value!r} is not one of {', '.join(words)}")
        return str(word)

    return check


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is not a non-empty string")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{value!r} is not a whole number of at least 1")
    return value


def _number(value: Any) -> float:
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a number")
    return number


def _window(value: Any) -> float:
    if _number(value) < 0:
        raise ValueError(f"{value!r} is negative")
    return float(value)


def _pair(value: Any, item: Check) -> tuple[Any, Any]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"{value!r} is not an array of two numbers")
    return item(value[0]), item(value[1])


def _range(value: Any) -> tuple[float, float]:
    low, high = _pair(value, _number)
    if low >= high:
        raise ValueError(f"{value!r} is empty: the first number must be the smaller one")
    return low, high


def _ngrams(value: Any) -> tuple[int, int]:
    low, high = _pair(value, _count)
    if low > high:
        raise ValueError(f"{value!r} is empty: the first number must not be the greater one")
    return low, high


def _parts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{value!r} is not a non-empty array")
    wanted = {_one_of(DATETIME_PARTS)(part) for part in value}
    return tuple(part for part in DATETIME_PARTS if part in wanted)


def _languages(value: Any) -> tuple[str, ...]:
    return tuple(_text(item) for item in value) if isinstance(value, list) else (_text(value),)


#: What each option's value must be; the check gives it back in its one form.
OPTIONS: dict[str, Check] = {
    "norm": _one_of(NORMS),
    "imputer": _one_of(IMPUTERS, IMPUTER_ALIASES),
    "separator": _text,
    "range": _range,
    "bucket_cnt": _count,
    "slide_window_size": _window,
    "datetime_parts": _parts,
    "ngram_range": _ngrams,
    "min_df": _count,
    "max_features": _count,
    "language": _languages,
    "max_length": _count,
}


@dataclass(frozen=True)
class FeatureType:
    """Which options a feature type takes, and which it can't do without."""

    options: frozenset[str]
    required: frozenset[str] = frozenset()


def _type(options: str = "", required: str = "") -> FeatureType:
    return FeatureType(frozenset(f"{options} {required}".split()), frozenset(required.split()))


FEATURE_TYPES: dict[str, FeatureType] = {
    "auto": _type("separator imputer"),
    "category": _type("separator"),
    "numerical": _type("norm imputer separator"),
    "bucket_numerical": _type("slide_window_size imputer", required="range bucket_cnt"),
    "datetime": _type("datetime_parts imputer"),
    "text_tfidf": _type("ngram_range min_df max_features"),
    "text_fasttext": _type("max_length", required="language"),
    "text_sbert": _type(),
    "text_sbert128": _type(),
    "text_sbert512": _type(),
    "text_word2vec": _type("language"),
    "none": _type("separator"),
}


#: What the encodings of these types need besides the data.
NEED_A_MODEL = {
    "text_fasttext": "fastText vectors",
    "text_sbert": "a Sentence-BERT model",
    "text_sbert128": "a Sentence-BERT model",
    "text_sbert512": "a Sentence-BERT model",
    "text_word2vec": "word2vec vectors",
}


def split_rate(value: Any) -> tuple[float, float, float]:
    """Check the shares of training, validation and test.

    :raises ValueError: unless they are three numbers of at least 0 that add up to 1, with something to train on.
    """
    if not isinstance(value, list) or len(value) != 3:
        raise ValueError(f"{value!r} is not an array of three numbers (train, valid, test)")
    train, valid, test = (_number(share) for share in value)
    if min(train, valid, test) < 0 or not math.isclose(train + valid + test, 1.0, abs_tol=1e-6):
        raise ValueError(f"{value!r} must be three shares that add up to 1")
    if train == 0:
        raise ValueError(f"{value!r} leaves nothing to train on")
    return train, valid, test


def custom_split_filenames(value: Any) -> dict[str, str]:
    """Check the names of custom split files.

    :raises ValueError: unless it is an object of file names by split, one of them for training.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is not an object")
    files = {SPLIT_ALIASES.get(split, str(split)): _text(name) for split, name in value.items()}
    if unknown := sorted(set(files) - set(SPLITS)):
        raise ValueError(f"{unknown[0]!r} is not one of {', '.join(SPLITS)}")
    if "train" not in files:
        raise ValueError("names no file for train")
    return files

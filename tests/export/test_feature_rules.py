"""How properties become features. A case's name says which class of neptune-export has the rule, and the rule."""

from __future__ import annotations

from typing import Any

import pytest

from tests.export.configurations import WHERE, Property, assert_same, entry, schema, write

PARTS = ["year", "month", "weekday", "hour"]
NO_DATES = (
    "Unable to add datetime feature for 'p'. Multi-value datetime features not currently supported. "
    "Adding an auto feature instead."
)
TFIDF = {"type": "text_tfidf", "ngram_range": [1, 2], "min_df": 1, "max_features": 10}
BUCKETS = {"type": "bucket_numerical", "range": [0, 10], "bucket_cnt": 5, "slide_window_size": 2, "imputer": "mean"}
WRITER = "PropertyGraphTrainingDataConfigWriterV2"
CONFIG = "ElementConfig"


def many_values(family: str) -> str:
    return f"{family} feature does not support multi-value properties. Auto-inferring a feature for 'p'."


def unsupported(kind: str, language: str, languages: str) -> str:
    return (
        f"Unsupported language for {kind} feature for 'p': '{language}'. Supported languages are: {languages}. "
        "The output embedding is not guaranteed to be valid if you supply another language."
    )


def feature(kind: str, **fields: Any) -> dict[str, Any]:
    return {"feature": ["p", "p", kind], **fields}


MISSING_IMPUTER = (
    "'imputer' value missing for bucket_numerical feature for 'p'. "
    "Preprocessing will exit when it encounters an missing value."
)
FASTTEXT_LANGUAGES = "'en', 'zh', 'hi', 'es', 'fr'"
NUMERICAL = feature("numerical", norm="min-max", imputer="median")

CASES: dict[str, tuple[Property | str, list[dict[str, Any]], list[dict[str, Any]], list[str]]] = {
    f"{WRITER}: a String is auto": (("p", "String", False), [], [feature("auto")], []),
    f"{WRITER}: a Boolean is auto": (("p", "Boolean", False), [], [feature("auto")], []),
    f"{WRITER}: several Strings are auto with a separator": (
        ("p", "String", True),
        [],
        [feature("auto", separator=";")],
        [],
    ),
    **{
        f"{WRITER}: a {number} is numerical": (("p", number, False), [], [NUMERICAL], [])
        for number in ("Byte", "Short", "Integer", "Long", "Float", "Double")
    },
    f"{WRITER}: several numbers are auto with separator and imputer": (
        ("p", "Float", True),
        [],
        [feature("auto", separator=";", imputer="median")],
        [],
    ),
    f"{WRITER}: a Date is datetime": (("p", "Date", False), [], [feature("datetime", datetime_parts=PARTS)], []),
    f"{WRITER}: several Dates are auto, with a warning": (
        ("p", "Date", True),
        [],
        [feature("auto", separator=";")],
        [NO_DATES],
    ),
    f"{WRITER}: a property without values is nothing": (("p", "None", False), [], [], []),
    "GraphElementSchemas: a property that is but a name has no type": ("p", [], [], []),
    f"{WRITER}: a hint replaces the inferred feature": (
        ("p", "Integer", False),
        [{"type": "none"}],
        [feature("none")],
        [],
    ),
    f"{WRITER}: none takes several values as they are": (
        ("p", "String", True),
        [{"type": "none"}],
        [feature("none")],
        [],
    ),
    f"{WRITER}: hints of several types are all written, in its order": (
        ("p", "String", False),
        [{"type": "text_sbert"}, {"type": "text_fasttext", "language": "en"}, TFIDF, {"type": "none"}],
        [
            feature("none"),
            feature("text_tfidf", ngram_range=[1, 2], min_df=1, max_features=10),
            feature("text_fasttext", language="en"),
            feature("text_sbert"),
        ],
        [],
    ),
    f"{CONFIG}: of two hints of one type the first counts": (
        ("p", "String", False),
        [{"type": "text_fasttext", "language": "fr"}, {"type": "text_fasttext", "language": "en"}],
        [feature("text_fasttext", language="fr")],
        [],
    ),
    f"{CONFIG}: the sizes of sbert are one type": (
        ("p", "String", False),
        [{"type": "text_sbert512"}, {"type": "text_sbert128"}],
        [feature("text_sbert512")],
        [],
    ),
    "ParseSbertTypeName: sbert": (("p", "String", False), [{"type": "text_sbert"}], [feature("text_sbert")], []),
    "ParseSbertTypeName: sbert128": (
        ("p", "String", False),
        [{"type": "text_sbert128"}],
        [feature("text_sbert128")],
        [],
    ),
    "ParseWord2VecLanguage: an array": (
        ("p", "String", False),
        [{"type": "text_word2vec", "language": ["en_core_web_lg"]}],
        [feature("text_word2vec", language=["en_core_web_lg"])],
        [],
    ),
    "ParseWord2VecLanguage: a text becomes an array": (
        ("p", "String", False),
        [{"type": "text_word2vec", "language": "en_core_web_lg"}],
        [feature("text_word2vec", language=["en_core_web_lg"])],
        [],
    ),
    "ParseWord2VecLanguage: none is given": (
        ("p", "String", False),
        [{"type": "text_word2vec"}],
        [feature("text_word2vec", language=["en_core_web_lg"])],
        [],
    ),
    "ParseWord2VecLanguage: an empty array": (
        ("p", "String", False),
        [{"type": "text_word2vec", "language": []}],
        [feature("text_word2vec", language=["en_core_web_lg"])],
        [],
    ),
    "ParseWord2VecLanguage: neither text nor array": (
        ("p", "String", False),
        [{"type": "text_word2vec", "language": 7}],
        [feature("text_word2vec", language=["en_core_web_lg"])],
        [],
    ),
    f"{WRITER}: each unknown word2vec language is warned of": (
        ("p", "String", False),
        [{"type": "text_word2vec", "language": ["xx", "en_core_web_lg", "yy"]}],
        [feature("text_word2vec", language=["xx", "en_core_web_lg", "yy"])],
        [
            unsupported("text_word2vec", "xx", "'en_core_web_lg'"),
            unsupported("text_word2vec", "yy", "'en_core_web_lg'"),
        ],
    ),
    "FeatureTypeV2: word2vec is another word for text_word2vec": (
        ("p", "String", False),
        [{"type": "word2vec"}],
        [feature("text_word2vec", language=["en_core_web_lg"])],
        [],
    ),
    **{
        f"SupportedFastTextLanguages: {language}": (
            ("p", "String", False),
            [{"type": "text_fasttext", "language": language}],
            [feature("text_fasttext", language=language)],
            [],
        )
        for language in ("en", "zh", "hi", "es", "fr")
    },
    f"{WRITER}: an unknown fasttext language is warned of and written": (
        ("p", "String", False),
        [{"type": "text_fasttext", "language": "de"}],
        [feature("text_fasttext", language="de")],
        [unsupported("text_fasttext", "de", FASTTEXT_LANGUAGES)],
    ),
    "ParseMaxLength: is written after the language": (
        ("p", "String", False),
        [{"type": "text_fasttext", "max_length": 128, "language": "en"}],
        [feature("text_fasttext", language="en", max_length=128)],
        [],
    ),
    "ParseRange: the smaller number comes first": (
        ("p", "String", False),
        [TFIDF | {"ngram_range": [3, 1]}],
        [feature("text_tfidf", ngram_range=[1, 3], min_df=1, max_features=10)],
        [],
    ),
    "Range: beside a double a whole number becomes one": (
        ("p", "Double", False),
        [BUCKETS | {"range": [0, 1.5]}],
        [feature("bucket_numerical", range=[0.0, 1.5], bucket_cnt=5, slide_window_size=2, imputer="mean")],
        [],
    ),
    "Range: whole numbers of 64 bits stay whole": (
        ("p", "Long", False),
        [BUCKETS | {"range": [2**40, -1]}],
        [feature("bucket_numerical", range=[-1, 2**40], bucket_cnt=5, slide_window_size=2, imputer="mean")],
        [],
    ),
    "ParseBucketCountV2: num_buckets is another word for bucket_cnt": (
        ("p", "Integer", False),
        [{name: value for name, value in BUCKETS.items() if name != "bucket_cnt"} | {"num_buckets": 4}],
        [feature("bucket_numerical", range=[0, 10], bucket_cnt=4, slide_window_size=2, imputer="mean")],
        [],
    ),
    "ParseBucketCountV2: bucket_cnt comes first, if it is a whole number": (
        ("p", "Integer", False),
        [BUCKETS | {"bucket_cnt": "5", "num_buckets": 4}],
        [feature("bucket_numerical", range=[0, 10], bucket_cnt=4, slide_window_size=2, imputer="mean")],
        [],
    ),
    "ParseSlideWindowSize: none is given": (
        ("p", "Integer", False),
        [{name: value for name, value in BUCKETS.items() if name != "slide_window_size"}],
        [feature("bucket_numerical", range=[0, 10], bucket_cnt=5, slide_window_size=0, imputer="mean")],
        [],
    ),
    f"{WRITER}: buckets without an imputer are warned of": (
        ("p", "Integer", False),
        [{name: value for name, value in BUCKETS.items() if name != "imputer"}],
        [feature("bucket_numerical", range=[0, 10], bucket_cnt=5, slide_window_size=2)],
        [MISSING_IMPUTER],
    ),
    "ImputerTypeV2: the word none means that there is none": (
        ("p", "Integer", False),
        [BUCKETS | {"imputer": "none"}],
        [feature("bucket_numerical", range=[0, 10], bucket_cnt=5, slide_window_size=2)],
        [MISSING_IMPUTER],
    ),
    **{
        f"ImputerTypeV2: {imputer}": (
            ("p", "Integer", False),
            [BUCKETS | {"imputer": imputer}],
            [feature("bucket_numerical", range=[0, 10], bucket_cnt=5, slide_window_size=2, imputer=imputer)],
            [],
        )
        for imputer in ("mean", "median", "most-frequent")
    },
    "ParseDatetimePartsV2: the parts stand as given": (
        ("p", "Date", False),
        [{"type": "datetime", "datetime_parts": ["hour", "year", "hour"]}],
        [feature("datetime", datetime_parts=["hour", "year", "hour"])],
        [],
    ),
    "ParseDatetimePartsV2: none are given, so all, in its own order": (
        ("p", "String", False),
        [{"type": "datetime"}],
        [feature("datetime", datetime_parts=["hour", "weekday", "month", "year"])],
        [],
    ),
    "ParseDatetimePartsV2: an empty array": (
        ("p", "Date", False),
        [{"type": "datetime", "datetime_parts": []}],
        [feature("datetime", datetime_parts=["hour", "weekday", "month", "year"])],
        [],
    ),
    f"{WRITER}: a datetime hint for several values": (
        ("p", "String", True),
        [{"type": "datetime"}],
        [feature("auto", separator=";")],
        [NO_DATES],
    ),
    **{
        f"{WRITER}: a {hint['type']} hint for several values": (
            ("p", "Integer", True),
            [hint],
            [feature("auto", separator=";", imputer="median")],
            [many_values(str(hint["type"]).removesuffix("128"))],
        )
        for hint in (
            TFIDF,
            BUCKETS,
            {"type": "text_word2vec"},
            {"type": "text_fasttext", "language": "de"},
            {"type": "text_sbert128"},
        )
    },
    f"{WRITER}: several hints for several values each fall back": (
        ("p", "Date", True),
        [TFIDF, BUCKETS],
        [feature("auto", separator=";"), feature("auto", separator=";")],
        [many_values("text_tfidf"), NO_DATES, many_values("bucket_numerical"), NO_DATES],
    ),
    f"{WRITER}: category": (("p", "Integer", False), [{"type": "category"}], [feature("category")], []),
    f"{WRITER}: category writes nothing but a separator": (
        ("p", "Integer", False),
        [{"type": "category", "separator": "|", "norm": "standard"}],
        [feature("category", separator="|")],
        [],
    ),
    f"{WRITER}: numerical": (
        ("p", "String", False),
        [{"type": "numerical", "imputer": "mean", "norm": "standard", "separator": "|"}],
        [feature("numerical", separator="|", norm="standard", imputer="mean")],
        [],
    ),
    "ParseNorm: min-max unless another is given; ParseImputerTypeV2: none is given": (
        ("p", "Integer", False),
        [{"type": "numerical"}],
        [feature("numerical", norm="min-max")],
        [],
    ),
    "Norm: none is a norm": (
        ("p", "Integer", False),
        [{"type": "numerical", "norm": "none"}],
        [feature("numerical", norm="none")],
        [],
    ),
    "Separator: several values have one of their own": (
        ("p", "Integer", True),
        [{"type": "numerical"}],
        [feature("numerical", separator=";", norm="min-max")],
        [],
    ),
    "Separator: the given one comes first": (
        ("p", "String", True),
        [{"type": "category", "separator": "|"}],
        [feature("category", separator="|")],
        [],
    ),
    "Separator: an empty one is none": (
        ("p", "String", False),
        [{"type": "category", "separator": ""}],
        [feature("category")],
        [],
    ),
    "ParseSeparator: what is no text is none": (
        ("p", "String", True),
        [{"type": "category", "separator": 5}],
        [feature("category", separator=";")],
        [],
    ),
    f"{WRITER}: a hint beside an override: both are written": (
        ("p", "String", False),
        [{"type": "category"}, {"type": "text_sbert"}],
        [feature("text_sbert"), feature("category")],
        [],
    ),
    f"{WRITER}: each override is written": (
        ("p", "Integer", False),
        [{"type": "numerical"}, {"type": "category"}],
        [feature("numerical", norm="min-max"), feature("category")],
        [],
    ),
}


@pytest.mark.parametrize("kind", WHERE)
@pytest.mark.parametrize("rule", CASES)
def test_nodes_and_edges_alike(rule: str, kind: str) -> None:
    prop, hints, features, warnings = CASES[rule]
    given = [{**WHERE[kind], "property": "p", **hint} for hint in hints]
    configuration = write(schema(kind, prop), {"features": given})
    assert_same(entry(configuration)["features"], features)
    assert configuration["warnings"] == warnings


ONE_KIND: dict[str, tuple[str, dict[str, Any], list[dict[str, Any]]]] = {
    "ParseFeaturesV2: a node's auto is an override": (
        "node",
        {"type": "auto", "imputer": "mean", "separator": "|"},
        [feature("auto", separator="|", imputer="mean")],
    ),
    "ParseFeaturesV2: an edge's auto changes nothing": ("edge", {"type": "auto", "imputer": "mean"}, [NUMERICAL]),
    "ParseFeaturesV2: an edge's none is a hint": ("edge", {"type": "none"}, [feature("none")]),
}


@pytest.mark.parametrize("rule", ONE_KIND)
def test_nodes_and_edges_apart(rule: str) -> None:
    kind, hint, features = ONE_KIND[rule]
    configuration = write(schema(kind, ("p", "Long", False)), {"features": {**WHERE[kind], "property": "p", **hint}})
    assert_same(entry(configuration)["features"], features)

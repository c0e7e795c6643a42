"""Text as TF-IDF weights of its words and n-grams, projected to at most 100 numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from neptune_airflow.dataset import Feature
from neptune_airflow.local.processing.column import Column

MOST_DIMS = 100
WORD = r"\b\w\w+\b"


def _terms(values: pl.Series, ngram_range: list[int]) -> pl.DataFrame:
    """Count each row's terms: columns ``row``, ``term`` and ``n``."""
    texts = pl.DataFrame({"term": values}).with_row_index("row")
    words = texts.with_columns(pl.col("term").str.to_lowercase().str.extract_all(WORD)).explode("term").drop_nulls()
    grams = []
    for length in range(ngram_range[0], ngram_range[1] + 1):
        following = [pl.col("term").shift(-step) for step in range(length)]
        same_row = pl.col("row").shift(-(length - 1)) == pl.col("row")
        grams.append(words.select("row", pl.concat_str(following, separator=" ")).filter(same_row))
    return pl.concat(grams).group_by("row", "term").len("n")


@dataclass(frozen=True)
class TextTfIdf:
    """TF-IDF with smoothed idf and rows of length 1, through a sparse random projection that the seed fixes.

    :param vocabulary: the terms, sorted.
    :param idf: each term's inverse document frequency.
    """

    name: str
    ngram_range: list[int]
    vocabulary: list[str]
    idf: list[float]
    seed: int

    @classmethod
    def fit(cls, feature: Feature, column: Column, seed: int = 0) -> TextTfIdf:
        """Learn the vocabulary: terms in at least `min_df` values, of these the `max_features` most frequent."""
        values = column.values()
        ngram_range = list(feature.ngram_range)
        counts = _terms(values, ngram_range).group_by("term").agg(df=pl.len(), n=pl.col("n").sum())
        kept = counts.filter(pl.col("df") >= feature.min_df).sort(["n", "term"], descending=[True, False])
        kept = kept.head(feature.max_features).sort("term")
        idf = np.log((1 + len(values)) / (1 + kept["df"].to_numpy())) + 1
        return cls(feature.name, ngram_range, kept["term"].to_list(), idf.tolist(), seed)

    @property
    def dims(self) -> int:
        """Width of the encoding."""
        return min(len(self.vocabulary), MOST_DIMS)

    def encode(self, column: Column) -> NDArray[np.float32]:
        """Encode values, one row each; a missing text is all zeros."""
        from scipy import sparse  # a quarter of a second that jobs without text are spared

        values = column.values()
        terms = _terms(values, self.ngram_range).join(self._places(), on="term").sort("row", "place")
        entries = (terms["row"].to_numpy(), terms["place"].to_numpy())
        weights = (terms["n"] * terms["idf"]).to_numpy()
        matrix = sparse.csr_array((weights, entries), shape=(len(values), len(self.vocabulary)))
        lengths = np.sqrt(matrix.multiply(matrix).sum(axis=1))
        scaled = (sparse.diags_array(1 / np.where(lengths > 0, lengths, 1.0)) @ matrix).astype(np.float32)
        if len(self.vocabulary) <= MOST_DIMS:
            encoded: NDArray[np.float32] = scaled.toarray()
        else:
            encoded = scaled @ self._projection()
        return encoded

    def _places(self) -> pl.DataFrame:
        schema = {"term": pl.String, "idf": pl.Float64}
        return pl.DataFrame({"term": self.vocabulary, "idf": self.idf}, schema=schema).with_row_index("place")

    def _projection(self) -> NDArray[np.float32]:
        """Make the projection: one entry in √terms is ±, so that lengths are kept on average."""
        terms = len(self.vocabulary)
        density = 1 / np.sqrt(terms)
        draws = np.random.default_rng(self.seed).random((terms, MOST_DIMS))
        signs = (draws < density / 2).astype(np.float64) - (draws > 1 - density / 2)
        projection: NDArray[np.float32] = (signs / np.sqrt(density * MOST_DIMS)).astype(np.float32)
        return projection

    def summary(self) -> dict[str, Any]:
        """What the report says of it."""
        return {"terms": len(self.vocabulary), "ngram_range": self.ngram_range, "seed": self.seed}

    def warning(self) -> str | None:
        """What a person should know about it."""
        return None

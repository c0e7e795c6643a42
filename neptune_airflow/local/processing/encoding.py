"""From a feature and its raw values to a tensor: which encoder, fitted or taken over from the earlier job."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.dataset import Feature, rowless
from neptune_airflow.dataset.vocabulary import NEED_A_MODEL
from neptune_airflow.local.processing.auto import choose
from neptune_airflow.local.processing.categories import Category
from neptune_airflow.local.processing.column import Blank, Column
from neptune_airflow.local.processing.dates import Datetime
from neptune_airflow.local.processing.numbers import BucketNumerical, Numerical
from neptune_airflow.local.processing.text import TextTfIdf
from neptune_airflow.local.step import StepFailed


class Encoder(Protocol):
    """A fitted encoding: a dataclass of what JSON can hold, so that a later job can take it over."""

    @property
    def dims(self) -> int: ...

    def encode(self, column: Column) -> NDArray[np.float32]: ...

    def summary(self) -> dict[str, Any]: ...

    def warning(self) -> str | None: ...


ENCODERS: dict[str, Any] = {
    "numerical": Numerical,
    "bucket_numerical": BucketNumerical,
    "category": Category,
    "datetime": Datetime,
    "text_tfidf": TextTfIdf,
}
RAW, DROPPED = "none", "dropped"
SAME_SCHEMA = "an incremental run needs the schema of the earlier one; run without previousDataProcessingJobId"


@dataclass
class Encoded:
    """The features of one type, in the forms that the graph, info.pkl, the next job and people want them."""

    tensors: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    meta: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    report: dict[str, dict[str, Any]] = field(default_factory=dict)

    def follow(self, earlier: Mapping[str, NDArray[Any]], missing: Mapping[str, int]) -> None:
        """Put the encoded values behind those of an earlier job.

        :param earlier: the earlier tensors by feature name.
        :param missing: how many values of a feature were missing in the earlier data.
        """
        for name, tensor in self.tensors.items():
            self.tensors[name] = np.concatenate([earlier[name], tensor])
        for name, entry in self.report.items():
            entry["missing"] += missing[name]


@dataclass
class FeatureEncoder:
    """Encodes the features of one node or edge type.

    :param owner: the type's name, for messages.
    :param count: number of nodes or edges of the type.
    :param saved: the encodings of an earlier job to take over, by feature name; None to fit new ones.
    :param note: takes a warning for the report.
    """

    owner: str
    count: int
    saved: dict[str, dict[str, Any]] | None
    note: Callable[[str], None]
    encoded: Encoded = field(default_factory=Encoded)

    def add(self, feature: Feature, column: Column) -> None:
        """Encode one feature.

        :raises StepFailed: for an encoding that can't be done here, and for values that it can't take.
        """
        if feature.type in NEED_A_MODEL:
            needs = NEED_A_MODEL[feature.type]
            reason = f"{feature.type} is not supported: it needs {needs} from a model hub; use text_tfidf or none"
            raise StepFailed(f"{feature.path}: feature {feature.name!r} of {self.owner}: {reason}")
        known = self.encoded
        state, why = self._take_over(feature) if self.saved is not None else self._fit(feature, column)
        known.states[feature.name] = state
        values = column.values()
        report = {
            "type": feature.type,
            "encoding": state["type"],
            "missing": values.null_count() + self._absent(column),
        }
        if why:
            report["because"] = why
        known.report[feature.name] = report
        if state["type"] == RAW:
            raw = np.full(self.count, None, dtype=object)
            raw[_targets(column, self.count)] = values.to_numpy()
            known.meta[feature.name] = {"type": "raw_feat", "raw_feat": raw.tolist()}
        elif state["type"] == DROPPED:
            self.note(f"feature {feature.name!r} of {self.owner} is dropped: {state['reason']}")
        else:
            encoder: Encoder = load(state)
            known.tensors[feature.name] = self._tensor(encoder, column, feature.name)
            known.meta[feature.name] = {"type": state["type"]}
            report |= {"dims": encoder.dims} | encoder.summary()

    def finish(self) -> Encoded:
        """Give what was encoded.

        :raises StepFailed: when the earlier job had a feature that there is no more.
        """
        if gone := [name for name in self.saved or {} if name not in self.encoded.states]:
            raise StepFailed(f"feature {gone[0]!r} of {self.owner} is gone since the earlier job: {SAME_SCHEMA}")
        return self.encoded

    def _fit(self, feature: Feature, column: Column) -> tuple[dict[str, Any], str]:
        chosen, why = choose(feature, column) if feature.type == "auto" else (feature, "")
        if chosen is None:
            return {"type": DROPPED, "reason": why}, why
        if chosen is not feature and chosen.type == "text_tfidf":
            self.note(f"feature {feature.name!r} of {self.owner} is text: text_tfidf stands in for a text model")
        if chosen.type == RAW:
            return {"type": RAW}, why
        if chosen.type == "text_tfidf":
            encoder: Any = TextTfIdf.fit(chosen, column, zlib.crc32(f"{self.owner}/{feature.name}".encode()))
        else:
            encoder = ENCODERS[chosen.type].fit(chosen, column)
        if not encoder.dims:
            return {"type": DROPPED, "reason": f"its {chosen.type} encoding is empty"}, why
        if len(column.values()) and (warning := encoder.warning()):
            self.note(f"feature {feature.name!r} of {self.owner}: {warning}")
        return {"type": chosen.type, **asdict(encoder)}, why

    def _take_over(self, feature: Feature) -> tuple[dict[str, Any], str]:
        state = (self.saved or {}).get(feature.name)
        if state is None or (feature.type != "auto" and state["type"] not in (feature.type, DROPPED)):
            was = "did not have it" if state is None else f"encoded it as {state['type']}"
            reason = f"the earlier job {was}; {SAME_SCHEMA}"
            raise StepFailed(f"{feature.path}: {feature.type} feature {feature.name!r} of {self.owner}: {reason}")
        return state, "taken over from the earlier job"

    def _tensor(self, encoder: Encoder, column: Column, name: str) -> NDArray[np.float32]:
        if not self.count:
            return np.empty((0, encoder.dims), np.float32)
        encoded = encoder.encode(column)
        if column.targets is None:
            return encoded
        tensor = np.empty((self.count, encoder.dims), np.float32)
        if self._absent(column):
            blank = rowless(self.owner, self._absent(column), self.count, name)
            tensor[:] = encoder.encode(Column([Blank(blank)]))
        tensor[column.targets] = encoded
        return tensor

    def _absent(self, column: Column) -> int:
        """Count the nodes or edges that no value belongs to."""
        if column.targets is None:
            return 0
        there = np.zeros(self.count, bool)
        there[column.targets] = True
        return self.count - int(there.sum())


def _targets(column: Column, count: int) -> NDArray[np.int64]:
    return np.arange(count) if column.targets is None else column.targets


def load(state: dict[str, Any]) -> Encoder:
    """Make the encoder that a state describes."""
    fields = {name: value for name, value in state.items() if name != "type"}
    encoder: Encoder = ENCODERS[state["type"]](**fields)
    return encoder

"""Facts and findings about a type as a whole: its features, its label, its splits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from neptune_airflow.check.columns import MOST_COUNTED, Seen, together
from neptune_airflow.check.judgement import NEED_VALUES, distinct, encoding, is_constant
from neptune_airflow.check.survey import Column, Type
from neptune_airflow.dataset import CHECKS, LINK_PREDICTION, Feature, Finding, Label, Place, rowless
from neptune_airflow.dataset.inference import MOST_CATEGORIES
from neptune_airflow.dataset.vocabulary import DEFAULT_RATE, NEED_A_MODEL, SPLITS

#: Classes that a report names, the commonest ones.
NAMED_CLASSES = 20
#: A class this much less frequent than the most frequent one makes labels imbalanced; one with fewer labels is rare.
IMBALANCE, LEAST_LABELS = 10, 10
#: With fewer rows than this nothing is said about shares.
LEAST_ROWS = 50
#: Rows a value, on average, from which on it is said to tell the label.
LEAST_EACH = 5

Locate = Callable[[str], Place]


class Summary:
    """What there is to say of one type.

    :param found: what was seen of it.
    :param locate: gives the place of a path in the configuration.
    """

    def __init__(self, found: Type, locate: Locate) -> None:
        self.found, self.locate = found, locate
        self.findings: list[Finding] = []

    def facts(self) -> dict[str, Any]:
        """Give the type's facts, and find what is to be found."""
        found = self.found
        facts: dict[str, Any] = {"count": found.rows, "exact": found.exact, "files": found.files}
        if found.relations:
            facts["relations"] = found.relations
        if found.unknown:
            facts["dangling_ends"] = found.unknown
        label = found.label()
        features = {name: self._feature(columns, label) for name, columns in found.features().items()}
        facts |= {"features": features} if features else {}
        if label:
            facts["label"] = self._label(*label)
        return facts

    def _say(self, code: str, path: str, **about: object) -> None:
        self.findings.append(CHECKS[code].at(self.locate(path), **about))

    # -- features ----------------------------------------------------------------------------------------------------

    def _feature(self, columns: list[Column], label: tuple[Label, Seen] | None) -> dict[str, Any]:
        about, seen = columns[0].about, together(column.seen for column in columns)
        assert isinstance(about, Feature)
        kind, why = encoding(about, seen)
        facts: dict[str, Any] = {"type": about.type, "missing": seen.missing}
        if about.type == "auto":
            facts |= {"encoding": kind or "dropped", "because": why}
        if kind in NEED_A_MODEL:
            facts["needs"] = NEED_A_MODEL[kind]
        if (different := distinct(seen)) is not None:
            facts["distinct"] = different
        if seen.low is not None and kind != "category":
            facts |= {"min": seen.low, "max": seen.high}
        for code, values in self._about(about, kind, seen, columns):
            self._say(code, about.path, **values)
        if label and (told := self._tells(columns, label[1])):
            self._say("leak", about.path, label=label[0].column, count=told)
        return facts

    def _about(
        self, about: Feature, kind: str | None, seen: Seen, columns: list[Column]
    ) -> Iterator[tuple[str, dict[str, object]]]:
        if kind == "category" and len(seen.counts) > MOST_CATEGORIES:
            yield "many-categories", {"most": MOST_CATEGORIES}
        if seen.rows >= LEAST_ROWS and seen.values and 2 * seen.missing > seen.rows:
            yield "mostly-missing", {"share": f"{seen.missing / seen.rows:.0%}"}
        if not self.found.exact or not seen.rows:
            return
        if not seen.values and about.type not in NEED_VALUES:
            yield "all-missing", {"name": about.name}
        elif kind is None or (kind == "category" and seen.rows >= LEAST_ROWS and seen.distinct == seen.rows):
            yield "all-different", {}
        elif is_constant(seen):
            yield "constant", {}
        if kind in NEED_VALUES and about.imputer is None:
            blank = next((column.blank for column in columns if column.blank), None)
            if blank:
                finding = CHECKS["value-missing"].at(blank, name=about.name)
                self.findings.append(finding.times(seen.missing))
            elif absent := self.found.absent(about.name):
                place = rowless(self.found.name, absent, self.found.rows, about.name)
                self.findings.append(CHECKS["value-missing"].at(place, name=about.name).times(absent))

    def _tells(self, columns: list[Column], labels: Seen) -> int | None:
        """Give in how many rows a feature's value tells the label; None unless it does so in all of them."""
        pairs = set[tuple[str, str]]()
        for column in columns:
            if not column.tells:
                return None
            pairs |= column.tells
        values, answers = {value for value, _ in pairs}, {answer for _, answer in pairs}
        rows = min(labels.values, sum(column.seen.values for column in columns))
        alone = len(values) == len(pairs) and len(answers) > 1
        return rows if alone and rows >= max(LEAST_ROWS, LEAST_EACH * len(values)) else None

    # -- labels ------------------------------------------------------------------------------------------------------

    def _label(self, label: Label, seen: Seen) -> dict[str, Any]:
        facts: dict[str, Any] = {"task": label.type, "column": label.column, "unlabelled": seen.missing}
        if label.type == "classification":
            facts["classes"] = dict(seen.counts.most_common(NAMED_CLASSES))
            if len(seen.counts) > NAMED_CLASSES:
                facts["classes_in_all"] = f"more than {MOST_COUNTED}" if seen.many else len(seen.counts)
            self._balance(label, seen)
        elif seen.low is not None:
            facts |= {"min": seen.low, "max": seen.high}
        labelled = self.found.rows - seen.missing if self.found.exact else None
        facts |= self._splits(label, labelled)
        if self.found.exact and not labelled:
            self._say("label-empty", label.path)
        return facts

    def links(self, label: Label | None) -> dict[str, Any]:
        """Give the facts of links that are to be predicted."""
        split = self._splits(label, self.found.rows if self.found.exact else None)
        return {"task": LINK_PREDICTION} | split

    def _splits(self, label: Label | None, labelled: int | None) -> dict[str, Any]:
        """Give the splits' sizes: those of the files, or the shares of what is labelled."""
        if self.found.splits:
            return {"split": dict(self.found.splits), "split_files": True}
        rate = (label.split_rate if label else None) or DEFAULT_RATE
        facts: dict[str, Any] = {"split_rate": list(rate)}
        if labelled:
            sizes = {split: round(share * labelled) for split, share in zip(SPLITS, rate, strict=True)}
            facts["split"] = sizes
            for split in ("train", "valid"):
                if not sizes[split] and label:
                    self._say("split-empty", label.path, split=split)
        return facts

    def _balance(self, label: Label, seen: Seen) -> None:
        if not seen.counts:
            return
        (most, times), *others = seen.counts.most_common()
        if not others:
            if self.found.exact:
                self._say("label-one-class", label.path, value=most)
            return
        least, count = others[-1]
        if times > IMBALANCE * count and self.found.exact:
            self._say("label-imbalanced", label.path, value=most, times=times // count, other=least)
        rare = [value for value, number in seen.counts.items() if number < LEAST_LABELS]
        if rare and self.found.exact and not seen.many:
            self._say("label-rare", label.path, count=len(rare), least=LEAST_LABELS, value=rare[-1])

"""The check of one export, from the listing of its files to the report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from neptune_airflow.check.cost import cost
from neptune_airflow.check.files import Files
from neptune_airflow.check.plain import Plain
from neptune_airflow.check.report import Report
from neptune_airflow.check.summary import Summary
from neptune_airflow.check.survey import Survey, edge_type
from neptune_airflow.check.triples import check_triples
from neptune_airflow.dataset import (
    CHECKS,
    DEFAULT_NAME,
    LINK_PREDICTION,
    Configuration,
    ConfigurationError,
    EdgeFile,
    Fault,
    Place,
    RdfConfiguration,
    Severity,
    fault,
    parse,
    parse_rdf,
    task_type,
)
from neptune_airflow.dataset.document import LONGEST_DOCUMENT, Document
from neptune_airflow.dataset.v1 import describe_v1
from neptune_airflow.store import Store, join, split_uri

#: Names of what an export has besides its configuration.
NO_CONFIGURATIONS = ("config.json", "stats.json", "lastEventId.json")
#: What a location that can't be read is refused with when permissions or credentials are missing.
DENIED = ("AccessDenied", "403", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken")
NAMED = 5
#: What data processing puts before the name of a relation's reverse.
REVERSE = "rev-"


class Unreadable(Exception):
    """The location can't be read at all.

    :param denied: whether permissions or credentials are missing.
    """

    def __init__(self, location: str, reason: str, denied: bool) -> None:
        super().__init__(f"{location} can't be read: {reason}")
        self.location, self.reason, self.denied = location, reason, denied


def check_export(
    location: str,
    *,
    store: Store | None = None,
    config_file_name: str | None = None,
    full: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Say what a data processing job would make of an export.

    https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-data-export.html

    :param location: the S3 URI or folder of the export: ``inputDataS3Location``.
    :param store: reads it; by default with the environment's credentials.
    :param config_file_name: ``configFileName``, by default ``training-data-configuration.json``.
    :param full: read everything, in a stream, instead of headers and first rows; needs the extra ``check``.
    :param progress: is told how many bytes were read and how many there are, while everything is read.
    :raises Unreadable: when the location can't be read; what is wrong with the export is in the report.
    :raises ModuleNotFoundError: when everything is to be read and the extra is not installed.
    """
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    try:
        if "://" in location:
            split_uri(location)
    except ValueError as error:
        raise Unreadable(location, str(error), denied=False) from None
    check = _Check(store or Store(), location, config_file_name or DEFAULT_NAME, full, progress)
    try:
        return check.run()
    except ClientError as error:
        about = error.response.get("Error", {})
        code, text = str(about.get("Code", "")), str(about.get("Message", ""))
        raise Unreadable(location, f"{code} {text}".strip(), code in DENIED) from error
    except BotoCoreError as error:
        denied = isinstance(error, NoCredentialsError | PartialCredentialsError)
        raise Unreadable(location, str(error), denied) from error
    except OSError as error:
        raise Unreadable(location, str(error), isinstance(error, PermissionError)) from error


class _Check:
    def __init__(
        self, store: Store, location: str, name: str, full: bool, progress: Callable[[int, int], None] | None
    ) -> None:
        self.store, self.location, self.name = store, location.rstrip("/") or location, name
        self.report = Report(location, name, full)
        self.engine: Any = _fast() if full else Plain()
        self.progress, self.read, self.total = progress, 0, 0

    def run(self) -> Report:
        if "://" not in self.location and not Path(self.location).is_dir():
            raise FileNotFoundError("there is no such folder")
        sizes = self.store.sizes(self.location)
        facts, findings = cost(sum(sizes.values()))
        self.report.facts = {"files": len(sizes), "cost": facts}
        self.report.findings += findings
        try:
            self._contents(sizes)
        except Fault as wrong:
            self.report.findings.append(wrong.finding)
        self.report.findings.sort(key=lambda finding: finding.severity is not Severity.ERROR)
        return self.report

    def _contents(self, sizes: dict[str, int]) -> None:
        content = self._document(sizes)
        files = Files(self.store, self.location, sizes, self.report.full, self._advance)
        try:
            configuration = parse(content, self.name)
        except ConfigurationError as wrong:
            if wrong.finding.code == "config-v1":
                self.report.facts |= {"format": "property graph, v1", "v1": describe_v1(json.loads(content))}
            if wrong.finding.code != "config-rdf":
                raise
            rdf = parse_rdf(content, self.name)
            self._noted(content, rdf)
            facts, findings = check_triples(rdf, files)
            self.report.facts |= facts
            self.report.findings += findings
            return
        self._noted(content, configuration)
        self.report.facts |= {"format": "property graph", "task": task_type(configuration)}
        names = [entry.file_name for entry in configuration.files]
        names += [name for label in configuration.labels for name in (label.custom_split_filenames or {}).values()]
        self.total = sum(sizes.get(name, 0) for name in names)
        self._unused(sizes, set(names))
        survey = Survey(files, self.engine)
        with files.ahead(names):
            survey.read(configuration)
        self.report.findings += survey.findings
        self._summarise(configuration, survey)

    def _document(self, sizes: dict[str, int]) -> bytes:
        if self.name not in sizes:
            candidates = [name for name in sizes if name.endswith(".json")]
            found = [name for name in candidates if name.rpartition("/")[2] not in NO_CONFIGURATIONS]
            named = ", ".join(sorted(found)[:NAMED]) or "none"
            raise fault("config-missing", Place(self.name), location=self.location, found=named)
        if sizes[self.name] > LONGEST_DOCUMENT:
            raise fault("config-large", Place(self.name), size=sizes[self.name], most=LONGEST_DOCUMENT)
        return self.store.read(join(self.location, self.name))

    def _noted(self, content: bytes, configuration: Configuration | RdfConfiguration) -> None:
        if configuration.warnings:
            place = Document(content, self.name).place("warnings")
            warnings = [CHECKS["exporter-warning"].at(place, warning=text) for text in configuration.warnings]
            self.report.findings += warnings
        self.report.findings += configuration.ignored

    def _unused(self, sizes: dict[str, int], named: set[str]) -> None:
        tables = (name for name in sorted(sizes) if name.endswith(".csv") and name.startswith(("nodes/", "edges/")))
        if unused := [name for name in tables if name not in named]:
            self.report.findings.append(CHECKS["file-unused"].at(Place(unused[0])).times(len(unused)))

    def _summarise(self, configuration: Configuration, survey: Survey) -> None:
        locate = configuration.document.place
        for kind, types in (("nodes", survey.nodes), ("edges", survey.edges)):
            facts: dict[str, Any] = {}
            for name, found in types.items():
                summary = Summary(found, locate)
                facts[name] = summary.facts()
                if kind == "edges" and self.report.facts["task"] == LINK_PREDICTION:
                    files = [entry for entry in configuration.edges if edge_type(entry) == name]
                    label = next((label for entry in files for label in entry.labels), None)
                    if label or not configuration.labels:
                        facts[name]["label"] = summary.links(label)
                self.report.findings += summary.findings
            self.report.facts[kind] = facts
        self.report.findings += self._whole_graph(configuration, survey)

    def _whole_graph(self, configuration: Configuration, survey: Survey) -> Iterable[Any]:
        for entry in configuration.files:
            columns = {label.column for label in entry.labels if label.column}
            for feature in entry.features:
                if feature.column in columns:
                    place = configuration.document.place(feature.path)
                    yield CHECKS["label-feature"].at(place, value=feature.column)
        if not configuration.labels and not _any_edges(survey):
            yield CHECKS["nothing-to-predict"].at()
        names = dict.fromkeys(name for entry in configuration.edges for name in _relations(entry, survey))
        for source, name, dest in names:
            if (mirrored := (dest, f"{REVERSE}{name}", source)) in names:
                taken, of = ("({})-{}-({})".format(*each) for each in (mirrored, (source, name, dest)))
                yield CHECKS["reverse-name"].at(taken=taken, name=of)
        if getattr(self.engine, "sample", None) and self.engine.sample.one_in > 1:
            self.report.facts["ids_looked_at"] = f"1 of {self.engine.sample.one_in}"

    def _advance(self, size: int) -> None:
        self.read += size
        if self.progress:
            self.progress(min(self.read, self.total), self.total)


def _any_edges(survey: Survey) -> bool:
    return any(found.rows or not found.exact for found in survey.edges.values())


def _relations(entry: EdgeFile, survey: Survey) -> Iterable[tuple[str, str, str]]:
    """Give the types of a file's edges: source, relation, destination."""
    found = survey.edges[edge_type(entry)].relations if entry.relation_column else {}
    names = [f"{entry.relation}-{value}" if entry.relation else value for value in found]
    for name in names if entry.relation_column else [entry.relation]:
        yield entry.source_type, name, entry.dest_type


def _fast() -> Any:
    try:
        from neptune_airflow.check.fast import Fast
    except ModuleNotFoundError as error:
        if error.name not in ("polars", "numpy"):
            raise
        text = f"the full check needs {error.name}: pip install 'airflow-provider-neptune-ml[check]'"
        raise ModuleNotFoundError(text, name=error.name) from None
    return Fast()

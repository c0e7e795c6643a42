"""What a job has written about its own work, read for its record: a few figures, and a report.

A job of AWS's writes no report. What is told of its data processing then comes from the export that it read: how large
the graph is, which features were asked for, how the labels are to be split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from neptune_airflow.errors import NeptuneMLError
from neptune_airflow.jobs import Job

if TYPE_CHECKING:
    from neptune_airflow.hooks.base import JobHook

Told = tuple[dict[str, Any], dict[str, Any]]

#: The most entries that are kept of a list or of a table; a record cuts more where it must.
MOST = 400
#: Metrics of which less is better.
LESS_IS_BETTER = frozenset({"mse", "rmse", "mae", "mr"})
SPLITS = ("train", "valid", "test")

_CONFIGURATION = "training-data-configuration.json"


class _Source(NamedTuple):
    """Files that belong together: those below the job's output, or below its input; and who reads each."""

    files: Mapping[str, Callable[[Any], Told]]
    of_input: bool = False


def read(hook: JobHook, job: Job, request: Mapping[str, Any], input_location: str | None, log: Any) -> Told:
    """Give the figures and the report of a finished job, as far as its files can be read.

    It never raises: a job that has succeeded has done so whatever is known of it.

    :param request: the request's fields, as sent.
    :param input_location: the S3 URI of what the job has read.
    :param log: where it is said, in one line, that nothing could be read.
    """
    problems: list[str] = []
    for source in _SOURCES.get(job.kind, ()):
        location = input_location if source.of_input else job.output_location
        names = {
            name: request.get("configFileName") or name if name == _CONFIGURATION else name for name in source.files
        }
        if not location or not location.startswith("s3://"):
            continue
        try:
            found = hook.read_files(location, names)
            told = [source.files[name](content) for name, content in found.items()]
        except NeptuneMLError as error:
            problems.append(str(error))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            problems.append(f"{location} has a file of another form: {error!r}")
        else:
            if told:
                return _merged(figures for figures, _ in told), _merged(report for _, report in told)
    if problems:
        log.info("No report is kept of the job %r: %s", job.id, "; ".join(problems))
    return {}, {}


def of_metrics(metrics: Mapping[str, Any] | None) -> dict[str, Any]:
    """Give the figures of a training that says no more than its metrics: the first one of the test split, if any."""
    for split, file in (("test", "test"), ("valid", "eval")):
        values = (metrics or {}).get(file)
        for name, value in values.items() if isinstance(values, Mapping) else ():
            if isinstance(value, int | float) and not isinstance(value, bool):
                return {"metric_name": str(name), "value": value, "split": split}
    return {}


def of_check(checked: Mapping[str, Any]) -> Told:
    """Give the same of a check of an export.

    :param checked: the check's report, as a dict.
    """
    facts = checked["facts"]
    found = [*checked["errors"], *checked["warnings"]]
    figures, report = _described(facts.get("nodes", {}), facts.get("edges", {}))
    figures |= {name: len(checked[name]) for name in ("errors", "warnings")}
    return figures, {**report, "warnings": [str(finding.get("text", "")) for finding in found][:MOST]}


def _merged(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for part in parts for name, value in part.items()}


def _sizes(stats: Any) -> Told:
    """Read ``stats.json`` of an export."""
    counts = stats.get("stats", stats)
    return {name: counts[name] for name in ("nodes", "edges") if isinstance(counts.get(name), int)}, {}


def _asked_for(configuration: Any) -> Told:
    """Read a training configuration: the encodings that were asked for, which ``auto`` leaves to the job."""
    graph = configuration["graph"]
    graph = graph[0] if isinstance(graph, list) else graph
    features, labels = [], []
    for entry in [*graph.get("nodes", []), *graph.get("edges", [])]:
        owner = _owner(entry)
        for feature in entry.get("features", []):
            column, *_, encoding = feature["feature"]
            features.append({"type": owner, "property": column, "given": encoding, "encoding": encoding})
        for label in entry.get("labels", []):
            column, *_, task = label["label"]
            target = f"{owner}.{column}" if column else owner
            labels.append({"target": target, "task": task, "split_rate": label.get("split_rate")})
    warnings = [str(each) for each in configuration.get("warnings") or graph.get("warnings") or []]
    report = {"features": features[:MOST], "labels": labels[:MOST], "warnings": warnings[:MOST]}
    return {"features": len(features)}, report


def _owner(entry: Mapping[str, Any]) -> str:
    if "node" in entry:
        return str(entry["node"][1])
    source, relation, dest = (entry[end][1] for end in ("source", "relation", "dest"))
    return f"({source})-{relation}-({dest})"


def _processed(made: Any) -> Told:
    """Read ``processing_report.json`` of the local service."""
    figures, report = _described(made["nodes"], made["edges"])
    return figures, {**report, "warnings": [str(each) for each in made["warnings"]][:MOST]}


def _described(nodes: Mapping[str, Any], edges: Mapping[str, Any]) -> Told:
    """Read what a check and a data processing of the local service say alike of each type."""
    every = [(owner, about) for types in (nodes, edges) for owner, about in types.items() if isinstance(about, dict)]
    features = [
        {
            "type": owner,
            "property": name,
            "given": entry.get("type"),
            **{key: entry[key] for key in ("encoding", "dims", "missing", "because") if key in entry},
        }
        for owner, about in every
        for name, entry in about.get("features", {}).items()
        if isinstance(entry, dict)
    ]
    labels = [_label(owner, about["label"]) for owner, about in every if "label" in about]
    figures = {
        **{
            name: sum(about["count"] for about in types.values() if isinstance(about, dict))
            for name, types in (("nodes", nodes), ("edges", edges))
            if types
        },
        "features": len(features),
        **_added(label["split"] for label in labels if "split" in label),
    }
    return figures, {"features": features[:MOST], "labels": labels[:MOST]}


def _label(owner: str, label: Mapping[str, Any]) -> dict[str, Any]:
    column = label.get("property") or label.get("column")
    about = {name: _most(value) for name, value in label.items() if name not in ("property", "column")}
    return {"target": f"{owner}.{column}" if column else owner, **about}


def _most(value: Any) -> Any:
    """Keep the largest of many classes."""
    if not isinstance(value, dict) or len(value) <= MOST:
        return value
    return dict(sorted(value.items(), key=lambda entry: entry[1], reverse=True)[:MOST])


def _added(splits: Iterable[Mapping[str, int]]) -> dict[str, int]:
    every = list(splits)
    return {name: sum(split.get(name, 0) for split in every) for name in SPLITS} if every else {}


def _trained(made: Any) -> Told:
    """Read ``training_report.json`` of the local service."""
    trials = [
        {
            "name": str(trial["trial"]),
            "value": trial["value"],
            "best_epoch": trial["best_epoch"],
            "seconds": trial["seconds"],
            "parameters": trial["hyperparameters"],
            "metrics": [
                list(point) for point in zip(trial["curve"]["epoch"], trial["curve"][made["compared_on"]], strict=True)
            ],
        }
        for trial in made["trials"]
    ]
    figures, report = _compared(made)
    figures |= {"trials": len(trials)}
    return figures, {**report, "trials": trials[:MOST], "best_trial": str(made["best_trial"])}


def _compared(made: Any) -> Told:
    """Read what a training and a transform of the local service say alike: the metric beside its baselines."""
    name, comparison = made["metric"], made["comparison"]
    split = "test" if "test" in comparison else made["compared_on"]
    report = {
        "metric": name,
        "compared_on": made["compared_on"],
        "target": made["target"],
        "comparison": {model: values[name] for model, values in comparison.get(split, {}).items()},
        "warnings": [str(each) for each in made.get("warnings", [])][:MOST],
    }
    figures = {"metric_name": name, "split": split, **_added([made["split"]] if made.get("split") else [])}
    values = dict(report["comparison"])
    if (value := values.pop(made["model"], None)) is not None:
        figures["value"] = value
        best = min if name in LESS_IS_BETTER else max
        if values:
            figures["baseline_name"] = best(values, key=values.__getitem__)
            figures["baseline"] = values[figures["baseline_name"]]
    return figures, report


# Of each kind's sources, the first of which a file is there counts.
_SOURCES: Mapping[str, tuple[_Source, ...]] = {
    "export": (_Source({"stats.json": _sizes, _CONFIGURATION: _asked_for}),),
    "data_processing": (
        _Source({"processing_report.json": _processed}),
        _Source({"stats.json": _sizes, _CONFIGURATION: _asked_for}, of_input=True),
    ),
    "model_training": (_Source({"training_report.json": _trained}),),
    "model_transform": (_Source({"transform_report.json": _compared}),),
}

"""Everything that is looked for in an export: one row a check, the one home of its words.

The check of an export and the local data processing take their texts from here, so that both say the same. Names in
braces stand for what was found.
"""

from __future__ import annotations

from neptune_airflow.dataset.findings import Check, Fault, Place, Severity, Source

_GUIDE, _EXPORTER, _INFERRED = Source.DOCUMENTED, Source.EXPORTER, Source.INFERRED
CHECKS: dict[str, Check] = {}


def fault(code: str, place: Place | None = None, **values: object) -> Fault:
    """Make the exception for what a check has found."""
    return Fault(CHECKS[code].at(place, **values))


def _error(code: str, source: Source, text: str, fix: str) -> None:
    CHECKS[code] = Check(code, Severity.ERROR, text, fix, source)


def _warning(code: str, source: Source, text: str, fix: str) -> None:
    CHECKS[code] = Check(code, Severity.WARNING, text, fix, source)


_EXPORT_AGAIN = "export again with neptune-export, or mend the document at this place"
_REPAIR = "mend the file, or export again: neptune-export does not write this"
_DATA = "correct the value in the graph and export again, or mend it in the file"

# fmt: off
# -- the configuration, as a document --------------------------------------------------------------------------------
_error("config-missing", _GUIDE, "there is no such configuration in {location}",
       "name the configuration (configFileName, --config-file-name) or the export's own folder; found there: {found}")
_error("config-large", _INFERRED, "the configuration has {size} bytes, more than {most}",
       "name the configuration, not a file with data")
_error("config-utf8", _INFERRED, "not UTF-8 text (byte {byte})", "write the document in UTF-8")
_error("config-json", _GUIDE, "not valid JSON: {reason}", "mend the document at this place, or export again")
_error("config-object", _GUIDE, "the document is not a JSON object", _EXPORT_AGAIN)
_error("graph-missing", _GUIDE, "'graph' is missing",
       "name a training-data configuration; an export's config.json and stats.json are not")
_error("graph-count", _INFERRED, "there are {count} graphs, one is expected", "keep one object in 'graph'")
_error("config-v1", _INFERRED, "{said}: only v2.0 can be read; export again without neptune_ml.version, or with v2.0",
       "export again without neptune_ml.version in additionalParams, or with v2.0")
_error("config-rdf", _EXPORTER,
       "an RDF configuration ({tasks}), where a property graph's is needed: "
       "export the graph with export-pg, not with export-rdf",
       "SageMaker can process it; this package reads property graphs: export with export-pg")
_error("config-no-rdf", _EXPORTER, "a property graph's configuration, where an RDF one is needed",
       "read it as a property graph's")
_error("rdfs-missing", _EXPORTER, "'sparql' means an RDF configuration, and {graph} has no 'rdfs'",
       "export again; for a property graph query_engine is gremlin")
_error("rdf-node", _EXPORTER, "a target of {task} needs the class of its nodes, 'node'", _EXPORT_AGAIN)
_error("field-missing", _GUIDE, "{key!r} is missing", _EXPORT_AGAIN)
_error("field-kind", _GUIDE, "{value!r} is not {kind}", _EXPORT_AGAIN)
_error("field-words", _GUIDE, "{value!r} is not an array of {count} strings: {names}", _EXPORT_AGAIN)
_warning("field-unknown", _INFERRED, "means nothing {meaning}", "leave it out, or look for a slip in its name")
_warning("exporter-warning", _EXPORTER, "neptune-export warned: {warning}",
         "mend what it names in additionalParams.neptune_ml, and export again")

# -- what it says of files -------------------------------------------------------------------------------------------
_error("file-name", _INFERRED, "{value!r} is not the name of a file below the export",
       "name the file relative to the configuration's folder, without '..' and without a leading slash")
_error("file-separator", _GUIDE, "{value!r} is not a single ASCII character that can separate fields",
       "give the file's delimiter, ',' for neptune-export's files")
_error("relation-nameless", _GUIDE, "names neither a column nor a relation",
       "give a relation, [\"\", \"name\"], or a column with its name")
_error("no-nodes", _INFERRED, "there is no node file",
       "export the nodes too: a graph without nodes can't be trained on")
_error("unknown-type", _INFERRED, "no node file has nodes of type {value!r}",
       "export the nodes of this type too, or leave the edges out")
_error("reverse-name", _INFERRED, "the edge type {taken} has the name of the reverse of {name}",
       "rename one of the two: data processing adds a reverse relation called rev-… to each")
_error("nothing-to-predict", _INFERRED, "there is no label and there are no edges: nothing can be predicted",
       "give the export a target, or edges to predict")

# -- what it says of features and labels -----------------------------------------------------------------------------
_error("feature-twice", _INFERRED, "the feature name {value!r} is there twice", "give each feature a name of its own")
_error("feature-reserved", _INFERRED, "the feature name {value!r} is a name that the graph uses itself",
       "call the feature otherwise: the second string of 'feature' is its name, the first the column")
_error("feature-type", _GUIDE, "unknown feature type {value!r}; known are {known}",
       "use one of the types of AWS's page on feature encoding")
_error("feature-option", _GUIDE, "{reason}", "give the option as AWS's page on feature encoding has it")
_error("feature-needs", _GUIDE, "a {kind} feature needs {key!r}", "give the option, or let the type be auto")
_error("feature-otherwise", _INFERRED, "encodes {value!r} otherwise than {other}",
       "describe a feature the same way in all files of a type")
_error("label-type", _GUIDE, "{value!r} is not one of {known}", "give one of these as the label's type")
_error("label-column", _GUIDE, "a {kind} label needs a column", "name the column with the truth")
_error("label-second", _INFERRED, "a file's nodes or edges can have one label, and here is another",
       "keep one target a type; export further ones as further jobs")
_error("label-otherwise", _INFERRED, "labels the same type otherwise than {other}",
       "describe a label the same way in all files of a type")
_error("label-task", _INFERRED, "asks for {task} beside {other}: a model has one task",
       "keep the targets of one task; export the others as further jobs")
_error("split-both", _GUIDE, "can't be given together with custom_split_filenames", "keep one of the two")
_error("split-rate", _GUIDE, "{reason}", "give [train, valid, test], three shares that add up to 1")
_error("split-names", _GUIDE, "{reason}", "give file names for train, valid and test")
_warning("label-feature", _INFERRED, "the column {value!r} is the label and a feature too: the model sees the answer",
         "leave the feature out")

# -- files and their form --------------------------------------------------------------------------------------------
_error("file-missing", _GUIDE, "there is no such file in {location}", "{advice}")
_error("file-empty", _INFERRED, "the file is empty", "export again: even a file without rows has a header")
_error("file-gzip", _INFERRED, "the file is compressed with gzip", "unpack it: neptune-export writes plain CSV")
_error("file-utf16", _INFERRED, "the file is UTF-16 text", "write it in UTF-8")
_error("not-utf8", _INFERRED, "not UTF-8 text", "write the file in UTF-8")
_error("wrong-separator", _GUIDE,
       "there is no column {value!r}: the header has no {separator!r} and seems to use {other!r}",
       "set the file's 'separator' in the configuration to {other!r}, or write it with {separator!r}")
_error("column-missing", _GUIDE, "there is no column {value!r}; there are {known}",
       "name one of the columns, or export again: configuration and files must be of one export")
_error("column-twice", _INFERRED, "the header has the column {value!r} twice", "rename one of the two columns")
_error("row-fields", _EXPORTER, "the row has {count} fields, and the header {width}",
       f"quote values that contain the separator; {_REPAIR}")
_error("row-quotes", _EXPORTER, "the row's quotes do not match: {reason}",
       f"put values with quotes in quotes, and double those inside; {_REPAIR}")
_warning("bom", _EXPORTER, "the file begins with a byte order mark", "write it without: not every reader skips it")
_warning("value-long", _INFERRED, "a value has {count} characters", "leave texts of this length out of the export")
_warning("no-rows", _INFERRED, "the file has no rows", "leave the file out, or see why the export found nothing")
_warning("file-unused", _EXPORTER, "the configuration does not name this file: its rows are not in the graph",
         "export again if it should; data processing reads only what the configuration names")

# -- nodes and edges -------------------------------------------------------------------------------------------------
_error("node-no-id", _EXPORTER, "the node has no id", f"give the node an id; {_REPAIR}")
_error("node-twice", _EXPORTER, "the id {value!r} is in this file already", "keep one row a node")
_error("edge-no-end", _EXPORTER, "there is no node id", f"give the edge both ends; {_REPAIR}")
_error("unknown-node", _INFERRED, "no {type!r} node has the id {value!r}",
       "export while nothing is written, or from a clone (cloneCluster), so that nodes and edges are of one moment")
_error("edge-no-relation", _INFERRED, "the edge has no relation", "fill the relation column in every row")
_warning("id-in-types", _INFERRED, "{count} ids are in files of more than one type: each becomes a node of each type",
         "give a node one label, or see whether the two are meant to be one")

# -- values ----------------------------------------------------------------------------------------------------------
_error("not-a-number", _GUIDE, "{value!r} is not a number", f"{_DATA}; or make it a category feature")
_error("not-a-date", _INFERRED, "{value!r} is not a date (ISO 8601)", f"{_DATA}; or make it a category feature")
_error("number-count", _INFERRED, "{value!r} does not hold {count} numbers, as other rows do",
       "give every row as many numbers, or make it a category feature")
_error("value-missing", _GUIDE, "the value is missing and the feature {name!r} has no imputer",
       "give the feature an imputer (mean, median or most-frequent), or fill the value in")
_warning("beyond-float32", _INFERRED, "{value!r} is beyond what a 32-bit float holds", "take the value's logarithm")
_warning("constant", _INFERRED, "all values are equal: the feature says nothing", "leave the feature out")
_warning("all-missing", _INFERRED, "the feature {name!r} has no values: it is dropped", "leave the feature out")
_warning("mostly-missing", _INFERRED, "{share} of the values that were read are missing",
         "see whether the feature is worth it: the model is told the imputed value for all of them")
_warning("all-different", _GUIDE, "every value is another one: an auto feature is dropped, a category says nothing",
         "leave the feature out, or give it another type")
_warning("many-categories", _GUIDE, "there are more than {most} categories: all but the most common are OTHER",
         "group the values, or give the feature another type")
_warning("outside-range", _GUIDE, "{value!r} is outside the range {range}: it goes to the bucket at the end",
         "widen the range")
_warning("leak", _INFERRED, "the value tells the label {label!r} in all {count} rows that were read",
         "leave the feature out if it is not known when the model is asked")

# -- labels and splits -----------------------------------------------------------------------------------------------
_error("split-no-edge", _INFERRED, "there is no such edge in {files}", "list edges that the export has")
_error("split-overlap", _INFERRED, "{count} of them stand in {other} too: splits may not overlap",
       "list a node or an edge in one split")
_warning("label-empty", _INFERRED, "no row has a label: there is nothing to learn",
         "see that the target's property is in the graph, and spelled as there")
_warning("label-one-class", _INFERRED, "all labels are {value!r}: there is nothing to tell apart",
         "see whether the target is the right one")
_warning("label-imbalanced", _INFERRED, "{value!r} is {times} times as frequent as {other!r}",
         "look at the F1 of each class, not at the accuracy; merge rare classes")
_warning("label-rare", _INFERRED, "{count} of the classes have fewer than {least} labels, {value!r} for one",
         "merge rare classes: a split may have none of them")
_warning("split-empty", _INFERRED, "nothing is in the {split} split",
         "give the split a share: without validation no model can be chosen")

# -- what it costs ---------------------------------------------------------------------------------------------------
_error("too-large", _GUIDE, "{size} GB of data need {memory} GB of memory, and the largest instance has {most} GB",
       "export fewer types and properties: data processing needs ten times the export's size")

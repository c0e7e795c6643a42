"""The APIs' parameters as data: an argument's name, its name on the wire, and what it must look like.

A check takes what was given (numbers may be rendered strings), gives what is sent, and raises ValueError with what
would be right. Limits are those of the user guide's machine-learning-api pages and of SageMaker.
"""

# Annotations are values here: see `neptune_airflow.jobs`.
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from neptune_airflow.errors import NeptuneMLParameterError
from neptune_airflow.jobs import ID_LENGTH

Check = Callable[[Any], Any]

#: Asks for what a task can find out by itself.
AUTO = "auto"

_IN_BUCKETS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-")


class Parameter(NamedTuple):
    """One parameter of an API.

    :param name: the operator's argument.
    :param wire: the field of the request.
    :param check: gives what is sent for a value.
    :param required: whether the API wants it.
    :param refers_to: the name of the kind of job whose id this is.
    :param source: whether it is an S3 URI that the job reads.
    :param target: whether it is an S3 URI below which the job writes.
    :param auto: whether ``"auto"`` stands for this task's job of an earlier run of the DAG.
    """

    name: str
    wire: str
    check: Check
    required: bool = False
    refers_to: str | None = None
    source: bool = False
    target: bool = False
    auto: bool = False


def is_templated(value: Any) -> bool:
    """Say whether a value is known only once Airflow has rendered it: a Jinja template or another task's output."""
    if value is None:
        return False
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, Mapping):
        return any(is_templated(each) for each in value.values())
    if isinstance(value, list | tuple | set):
        return any(is_templated(each) for each in value)
    return hasattr(value, "resolve")


def is_absent(value: Any) -> bool:
    """Say whether nothing was given; a template of an empty parameter renders to one of these words."""
    return value is None or (isinstance(value, str) and value.strip() in ("", "None"))


def check_value(parameter: Parameter, value: Any, where: str) -> Any:
    """Give what is sent for one argument, or None for nothing.

    :param where: whose argument it is, for the message.
    :raises NeptuneMLParameterError: names the argument, the value and what would be right.
    """
    if is_absent(value):
        if parameter.required:
            raise NeptuneMLParameterError(f"{where}: {parameter.name} is missing, and the API requires it.")
        return None
    if parameter.auto and value == AUTO:
        return value
    try:
        return parameter.check(value)
    except ValueError as error:
        raise NeptuneMLParameterError(f"{where}: {parameter.name}={value!r} is not valid: {error}.") from None


def check_address(url: str, where: str) -> str:
    """Give a service's address, without a trailing slash.

    An address is shown wherever its task is, and logged; so it may hold no secret, and none of these services takes one
    from it.

    :param where: whose address it is, for the message.
    :raises NeptuneMLParameterError: when it is not ``http://`` or ``https://`` and a host, or has more than a path.
    """
    try:
        parts = urlsplit(url)
        secret = "@" in parts.netloc or bool(parts.query or parts.fragment)
    except ValueError:
        parts, secret = urlsplit(""), False
    if secret:
        raise NeptuneMLParameterError(
            f"{where}: endpoint_url is not valid: it has a user, a query or a fragment, which would be shown with the "
            "task. Give https://<host>:<port>, and credentials in the Airflow connection."
        )
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise NeptuneMLParameterError(
            f"{where}: endpoint_url={url!r} is not an address: it begins with https:// or http://."
        )
    return url.rstrip("/")


def build_request(parameters: Iterable[Parameter], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Make a request's body of rendered arguments.

    :raises NeptuneMLParameterError: for the first argument that the service would refuse.
    """
    checked = {each.wire: check_value(each, values.get(each.name), where) for each in parameters}
    return {wire: value for wire, value in checked.items() if value is not None}


def text(value: Any) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise ValueError("give a text")
    return value


def matching(pattern: str, remedy: str) -> Check:
    """Text of a given shape."""

    def check(value: Any) -> str:
        if not re.fullmatch(pattern, text(value)):
            raise ValueError(remedy)
        return str(value)

    return check


def s3_uri(value: Any) -> str:
    """An S3 URI; without a pattern, which would take longer to compile than all else that a DAG file's tasks check."""
    scheme, _, place = text(value).partition("://")
    bucket = place.partition("/")[0]
    named = 3 <= len(bucket) <= 63 and _IN_BUCKETS.issuperset(bucket) and bucket.strip(".-") == bucket
    if scheme != "s3" or not named or "\n" in place:
        raise ValueError("give an S3 URI, s3://bucket/prefix, with a bucket name in lower case")
    return str(value)


role_arn = matching(r"arn:aws[a-z-]*:iam::\d{12}:role/.+", "give a role's ARN, arn:aws:iam::123456789012:role/name")
instance_type = matching(r"ml\.[a-z0-9-]+\.[a-z0-9-]+", "give a SageMaker instance type, such as ml.r5.xlarge")
job_id = matching(rf"[A-Za-z0-9-]{{1,{ID_LENGTH}}}", f"give 1 to {ID_LENGTH} letters, digits or hyphens")
file_name = matching(r"[^/]+", "give a file's name, without a folder")


def choice(*words: str) -> Check:
    """One of these words."""

    def check(value: Any) -> str:
        if text(value) not in words:
            raise ValueError("give one of " + ", ".join(words))
        return str(value)

    return check


def number(least: int, most: int, unit: str) -> Check:
    """A whole number within bounds, or a text that says one."""

    def check(value: Any) -> int:
        try:
            whole = int(value) if isinstance(value, str) else value
        except ValueError:
            whole = None
        if isinstance(whole, bool) or not isinstance(whole, int) or not least <= whole <= most:
            raise ValueError(f"give a whole number of {unit} from {least:,} to {most:,}")
        return whole

    return check


def boolean(value: Any) -> bool:
    """True or false, or a text that says one of them."""
    said = {"true": True, "false": False}.get(str(value).lower())
    if said is None:
        raise ValueError("give True or False")
    return said


def from_json(value: Any) -> Any:
    """Read what a template rendered to: JSON, where the argument is not a text; else leave it as it is."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def texts(value: Any) -> list[str]:
    """A list of texts, also as JSON or separated by commas."""
    read = from_json(value)
    if isinstance(read, str):
        read = [each.strip() for each in read.split(",") if each.strip()]
    if not isinstance(read, list | tuple) or not read or not all(isinstance(each, str) and each for each in read):
        raise ValueError("give a list of texts")
    return list(read)


def mapping(value: Any) -> dict[str, Any]:
    """A dict, also as JSON."""
    read = from_json(value)
    if not isinstance(read, Mapping):
        raise ValueError("give a dict")
    return dict(read)


def custom_model(*scripts: str) -> Check:
    """Where a custom model's scripts lie: ``sourceS3DirectoryPath``, and what some of them are called."""

    def check(value: Any) -> dict[str, Any]:
        read = mapping(value)
        if set(read) - {"sourceS3DirectoryPath", *scripts}:
            raise ValueError("give no other keys than " + ", ".join(("sourceS3DirectoryPath", *scripts)))
        if "sourceS3DirectoryPath" not in read:
            raise ValueError("give sourceS3DirectoryPath, the S3 URI of the folder with the scripts")
        for key, each in read.items():
            (s3_uri if key == "sourceS3DirectoryPath" else file_name)(each)
        return read

    return check


def update(value: Any) -> bool | str:
    """True or false, or ``"auto"``: whatever fits."""
    try:
        return AUTO if value == AUTO else boolean(value)
    except ValueError:
        raise ValueError("give True, False or 'auto'") from None


seconds = number(1, 777_600, "seconds")
volume = number(0, 16_384, "GB, 0 for automatic")

NEPTUNE_ROLE = Parameter("neptune_iam_role_arn", "neptuneIamRoleArn", role_arn)
_TRAINING_NAME = "give the name of a SageMaker training job: 1 to 63 letters, digits or hyphens"

#: What every job that runs on SageMaker takes.
SAGEMAKER = (
    Parameter("sagemaker_iam_role_arn", "sagemakerIamRoleArn", role_arn),
    NEPTUNE_ROLE,
    Parameter("subnets", "subnets", texts),
    Parameter("security_group_ids", "securityGroupIds", texts),
    Parameter("volume_encryption_kms_key", "volumeEncryptionKMSKey", text),
    Parameter("s3_output_encryption_kms_key", "s3OutputEncryptionKMSKey", text),
    Parameter("enable_inter_container_traffic_encryption", "enableInterContainerTrafficEncryption", boolean),
)
_ID = Parameter("job_id", "id", job_id)
DATA_PROCESSING = (
    _ID,
    Parameter("input_data_s3_location", "inputDataS3Location", s3_uri, required=True, source=True),
    Parameter("processed_data_s3_location", "processedDataS3Location", s3_uri, required=True, target=True),
    Parameter(
        "previous_data_processing_job_id",
        "previousDataProcessingJobId",
        job_id,
        refers_to="data_processing",
        auto=True,
    ),
    Parameter("processing_instance_type", "processingInstanceType", instance_type),
    Parameter("processing_instance_volume_size_in_gb", "processingInstanceVolumeSizeInGB", volume),
    Parameter("processing_time_out_in_seconds", "processingTimeOutInSeconds", seconds),
    Parameter("model_type", "modelType", choice("heterogeneous", "kge")),
    Parameter("config_file_name", "configFileName", file_name),
    *SAGEMAKER,
)
MODEL_TRAINING = (
    _ID,
    Parameter("data_processing_job_id", "dataProcessingJobId", job_id, required=True, refers_to="data_processing"),
    Parameter("train_model_s3_location", "trainModelS3Location", s3_uri, required=True, target=True),
    Parameter(
        "previous_model_training_job_id",
        "previousModelTrainingJobId",
        job_id,
        refers_to="model_training",
        auto=True,
    ),
    Parameter("model_name", "modelName", choice("rgcn", "transe", "distmult", "rotate", "custom")),
    Parameter("base_processing_instance_type", "baseProcessingInstanceType", instance_type),
    Parameter("training_instance_type", "trainingInstanceType", instance_type),
    Parameter("training_instance_volume_size_in_gb", "trainingInstanceVolumeSizeInGB", volume),
    Parameter("training_time_out_in_seconds", "trainingTimeOutInSeconds", seconds),
    Parameter("max_hpo_number_of_training_jobs", "maxHPONumberOfTrainingJobs", number(1, 500, "training jobs")),
    Parameter("max_hpo_parallel_training_jobs", "maxHPOParallelTrainingJobs", number(1, 100, "training jobs")),
    Parameter("enable_managed_spot_training", "enableManagedSpotTraining", boolean),
    Parameter("max_wait_time", "maxWaitTime", seconds),
    Parameter(
        "custom_model_training_parameters",
        "customModelTrainingParameters",
        custom_model("trainingEntryPointScript", "transformEntryPointScript"),
    ),
    *SAGEMAKER,
)
MODEL_TRANSFORM = (
    _ID,
    Parameter(
        "model_transform_output_s3_location", "modelTransformOutputS3Location", s3_uri, required=True, target=True
    ),
    Parameter("data_processing_job_id", "dataProcessingJobId", job_id, refers_to="data_processing"),
    Parameter("ml_model_training_job_id", "mlModelTrainingJobId", job_id, refers_to="model_training"),
    Parameter("training_job_name", "trainingJobName", matching(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}", _TRAINING_NAME)),
    Parameter(
        "custom_model_transform_parameters",
        "customModelTransformParameters",
        custom_model("transformEntryPointScript"),
    ),
    Parameter("base_processing_instance_type", "baseProcessingInstanceType", instance_type),
    Parameter("base_processing_instance_volume_size_in_gb", "baseProcessingInstanceVolumeSizeInGB", volume),
    *SAGEMAKER,
)
ENDPOINT = (
    Parameter("endpoint_id", "id", job_id),
    Parameter("ml_model_training_job_id", "mlModelTrainingJobId", job_id, refers_to="model_training"),
    Parameter("ml_model_transform_job_id", "mlModelTransformJobId", job_id, refers_to="model_transform"),
    Parameter("update", "update", update),
    Parameter("model_name", "modelName", choice("rgcn", "transe", "distmult", "rotate", "custom")),
    Parameter("instance_type", "instanceType", instance_type),
    Parameter("instance_count", "instanceCount", number(1, 1_000, "instances")),
    Parameter("volume_encryption_kms_key", "volumeEncryptionKMSKey", text),
    NEPTUNE_ROLE,
)
ENDPOINT_DELETION = (
    Parameter("endpoint_id", "id", job_id, required=True),
    Parameter("clean", "clean", boolean),
    NEPTUNE_ROLE,
)
EXPORT = (
    Parameter("command", "command", choice("export-pg", "export-rdf"), required=True),
    Parameter("output_s3_path", "outputS3Path", s3_uri, required=True, target=True),
    Parameter("export_params", "params", mapping),
    Parameter("additional_params", "additionalParams", mapping),
    Parameter("job_size", "jobSize", choice("small", "medium", "large", "xlarge")),
    Parameter("expected_bucket_owner", "expectedBucketOwner", matching(r"\d{12}", "give a 12-digit account id")),
    Parameter("create_export_subdirectory", "createExportSubdirectory", boolean),
    Parameter("overwrite_existing", "overwriteExisting", boolean),
    Parameter("upload_to_s3_on_error", "uploadToS3OnError", boolean),
    Parameter("completion_file_s3_path", "completionFileS3Path", s3_uri),
    Parameter("completion_file_payload", "completionFilePayload", mapping),
    Parameter("config_file_s3_path", "configFileS3Path", s3_uri),
    Parameter("queries_file_s3_path", "queriesFileS3Path", s3_uri),
    Parameter("s3_region", "s3Region", text),
    Parameter("sse_kms_key_id", "sseKmsKeyId", text),
    Parameter("s3_role_arn", "s3RoleArn", role_arn),
)

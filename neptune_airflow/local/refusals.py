"""The words in which Neptune ML refuses a request, and their codes.

The first block is the user guide's own list. The second is this service's: cases whose text AWS does not publish.
"""

from __future__ import annotations

from dataclasses import dataclass

HTTP_STATUS = {
    "AccessDeniedException": 403,
    "MLResourceNotFoundException": 404,
    "MethodNotAllowedException": 405,
    "ClientTimeoutException": 408,
    "TooManyRequestsException": 429,
    "InternalFailureException": 500,
    "ThrottlingException": 500,
}
"""The HTTP status of each code that is not a plain 400."""


@dataclass(frozen=True)
class Refusal:
    """Why a request is answered with an error.

    :param code: Neptune's error code.
    :param text: the ``detailedMessage``.
    :param http: HTTP status; None takes the code's own.
    """

    code: str
    text: str
    http: int | None = None

    @property
    def status(self) -> int:
        """The HTTP status to answer with."""
        return self.http or HTTP_STATUS.get(self.code, 400)

    def about(self, **words: object) -> Refusal:
        """Give the same refusal with the names in its text filled in."""
        return Refusal(self.code, self.text.format(**words), self.http)


class RefusedError(Exception):
    """A request is refused.

    :param refusal: why; one refusal is many requests' answer, so the exception is an object of its own.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.code}: {refusal.text}")
        self.refusal = refusal


NO_ROLE = Refusal(
    "MissingParameterException",
    "Required credentials are missing. Please add IAM role to the cluster or pass as a parameter to this request.",
)
BAD_INSTANCE_TYPE = Refusal("InvalidParameterException", "Invalid ML instance type.")
BAD_ID_LENGTH = Refusal("InvalidParameterException", "Invalid ID provided. ID can be 1-48 alphanumeric characters.")
BAD_ID_LETTERS = Refusal(
    "InvalidParameterException", "Invalid ID provided. Must contain only letters, digits, or hyphens."
)
UNKNOWN_ID = Refusal(
    "InvalidParameterException", "Invalid ID provided. Please check whether a resource with the given ID exists."
)
DUPLICATE_ID = Refusal(
    "InvalidParameterException", "Another resource with same ID already exists. Please use a new ID."
)
ALREADY_ENDED = Refusal(
    "InvalidParameterException", "Failed to stop the job because it has already completed or failed."
)
BAD_S3 = Refusal(
    "BadRequestException",
    "Invalid S3 URL or incorrect S3 permissions. Please check your S3 configuration.",
)
PROCESSING_NOT_COMPLETED = Refusal("BadRequestException", "Provided MLDataProcessing job is not completed.")
TRAINING_NOT_COMPLETED = Refusal("BadRequestException", "Provided ModelTraining job has not completed.")
UNKNOWN_TRAINING = Refusal("BadRequestException", "Provided MLModelTraining job doesn't exist.")
UNKNOWN_TRANSFORM = Refusal("BadRequestException", "Provided ModelTransformJob doesn't exist.")
UNKNOWN_SAGEMAKER = Refusal("BadRequestException", "Unable to find SageMaker AI resource. Please check your input.")
SAGEMAKER_NOT_COMPLETED = Refusal("BadRequestException", "Provided SageMaker AI Training job has not completed.")
UNKNOWN_ROLE = Refusal("BadRequestException", "Unable to load credentials for role: {role}.")

ABSENT = Refusal("MissingParameterException", "Required parameter is missing: {name}.")
BAD_VALUE = Refusal("InvalidParameterException", "Invalid value for parameter {name}: {value}. Expected {expected}.")
NO_SOURCE = Refusal("MissingParameterException", "Required parameter is missing: {sources}.")
TWO_SOURCES = Refusal("InvalidParameterException", "Only one of {sources} can be given.")
TRANSFORM_NOT_COMPLETED = Refusal("BadRequestException", "Provided ModelTransform job has not completed.")
IN_PROGRESS = Refusal("BadRequestException", 'Cannot update in-progress endpoint "{name}".')
NOT_IN_SERVICE = Refusal(
    "BadRequestException", 'Cannot update endpoint "{name}", for it has failed. Delete it and create it again.'
)
CUSTOM_MODEL = Refusal(
    "UnsupportedOperationException",
    "{name}: the local service does not run custom models, for they need Python packages of their own. Leave it out to"
    " use a built-in model, or send the request to Amazon Neptune.",
)
NEEDS_CUSTOM_TRANSFORM = Refusal(
    "MissingParameterException",
    "Required parameter is missing: customModelTransformParameters. The model of {name} is a custom one.",
)
NOT_AN_OBJECT = Refusal("BadRequestException", "The request body must be a JSON object.")
TOO_LARGE = Refusal("BadRequestException", "The request body is larger than {limit} bytes.", 413)
BAD_ROUTE = Refusal("BadRequestException", "Bad route: {path}", 404)
BAD_METHOD = Refusal("MethodNotAllowedException", "{method} is not allowed on {path}.")
STOPPING = Refusal("InternalFailureException", "The service is stopping.")
BROKEN = Refusal("InternalFailureException", "The service failed to answer: {reason}")

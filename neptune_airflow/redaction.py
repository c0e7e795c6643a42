"""What must not be shown: the credentials and signatures in texts that services, libraries and users have written.

Airflow masks what it knows to be secret: passwords and the sensitive keys of connections' extras. What a service
answers, such as a presigned URL, it can't know.
"""

from __future__ import annotations

import re
from typing import TypeVar

T = TypeVar("T")

#: The most characters that are shown of one thing that a service said.
LONGEST = 4_000

_HIDDEN = "***"
# Each hides what follows its group; names as SigV4, S3's older signatures, STS and their SDKs write them. Compiled when
# first needed: that takes as long as half of all else that a DAG file imports here. Before it stand words of
# which a text with such a secret has one: most have none, and are not searched.
_SECRETS = (
    (("@",), r"(://)[^/?#\s\"'<>]*(?=@)"),
    (
        ("signature", "credential", "token", "key"),
        r"((?:X-Amz-(?:Signature|Security-Token|Credential)|AWSAccessKeyId|aws_?secret_?access_?key|SecretAccessKey"
        r"|aws_?session_?token|SessionToken|(?<![a-z])Signature|(?<![a-z])Credential)"
        r"[\"']?\s?(?:=|:|%3D)\s?[\"']?)[^\s\"'&,;<>()]+",
    ),
    (("authorization",), r"(Authorization[\"']?\s?[=:]\s?[\"']?(?:Basic|Bearer)\s+)[^\s\"'&,;<>()]+"),
)


def redact(text: str, longest: int = LONGEST) -> str:
    """Hide the userinfo of URLs, signatures and credentials in a text, and cut it where it goes on for too long.

    :param text: anything that is to be logged, raised, kept or shown.
    :param longest: characters to keep at the most.
    """
    shown = text[: 2 * longest]  # with what may tell at the cut that it is secret, and not all of four megabytes
    folded = shown.casefold()
    for marks, secret in _SECRETS:
        if any(mark in folded for mark in marks):
            shown = re.sub(secret, rf"\g<1>{_HIDDEN}", shown, flags=re.IGNORECASE)
    return shown if len(shown) <= longest else f"{shown[:longest]}… ({len(text) - longest} characters more)"


def redacted(value: T) -> T:
    """Redact a value that may not be a text; others are given back as they are."""
    return redact(value) if isinstance(value, str) else value  # type: ignore[return-value]

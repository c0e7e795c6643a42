"""``python -m demo.settings``: the compose file's settings, the example's with fresh secrets, for ``make .env``.

Only the standard library is used: who has Docker needs no virtual environment.
"""

from __future__ import annotations

import base64
import re
import secrets
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / ".env.example"
ASSIGNMENT = re.compile(r"^(\w+)=(.*)$", re.MULTILINE)
FERNET = "FERNET_KEY"
SECRET_BYTES = 32


def filled(example: str) -> str:
    """Give an example's text with a fresh secret wherever a value is missing."""
    return ASSIGNMENT.sub(lambda found: f"{found[1]}={found[2] or _secret(found[1])}", example)


def values(text: str) -> dict[str, str]:
    """Give the settings in a text; one that has quotes is literal, so no other quotes are in it."""
    return {found[1]: found[2].strip("'") for found in ASSIGNMENT.finditer(text)}


def _secret(name: str) -> str:
    if name == FERNET:
        return base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    return secrets.token_urlsafe(SECRET_BYTES)


if __name__ == "__main__":
    sys.stdout.write(filled(EXAMPLE.read_text()))

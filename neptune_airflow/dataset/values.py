"""What a field's text is: a number, a date. The rules of the tables' readers, for one value at a time."""

from __future__ import annotations

import math
import re
from datetime import datetime

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DATE = re.compile(
    r"[+-]?(\d{1,4})-\s?(\d{1,2})-\s?(\d{1,2})"
    r"(?:[T ](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.\d+)?)?\s?(Z|[+-]\d{1,2}(?::?\d{2})?)?)?"
    r"|(\d{4})/(\d{1,2})/(\d{1,2})",
    re.ASCII | re.IGNORECASE,
)
BOOLEANS = ("true", "false")


def number(text: str) -> float | None:
    """Give the finite number that a text is; None if it is none."""
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return None
    found = float(text)
    return found if math.isfinite(found) else None


def is_date(text: str) -> bool:
    """Say whether a text is a date or a time in ISO 8601, or a date with slashes."""
    match = _DATE.fullmatch(text.strip())
    if not match:
        return False
    parts = [int(part) if part else 0 for part in match.groups()[:6]]
    year, month, day = parts[:3] if match[1] else [int(part) for part in match.groups()[7:10]]
    try:
        # Python's calendar begins with the year 1 and repeats every 400; and its clock has no leap second.
        datetime(year % 400 + 2000, month, day, parts[3], parts[4], min(parts[5], 59))
    except ValueError:
        return False
    return parts[5] <= 60

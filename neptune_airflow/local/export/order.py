"""The order of a Java ``HashMap``: neptune-export keeps labels in one, and its files list them in that order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

_CAPACITY = 16
_LOAD = 0.75


def java_hash(text: str) -> int:
    """Give Java's ``String.hashCode``, as an unsigned number of 32 bits."""
    code, units = 0, text.encode("utf-16-be", "surrogatepass")
    for place in range(0, len(units), 2):
        code = (31 * code + int.from_bytes(units[place : place + 2], "big")) & 0xFFFFFFFF
    return code


def in_hash_order(keys: Iterable[T], hash_code: Callable[[T], int]) -> list[T]:
    """Sort distinct keys as a ``HashMap`` iterates over them; those that share a bucket keep their order.

    :param hash_code: gives a key's ``hashCode``, as an unsigned number of 32 bits.
    """
    given, capacity = list(keys), _CAPACITY
    while len(given) > _LOAD * capacity:
        capacity *= 2

    def bucket(key: T) -> int:
        code = hash_code(key)
        return (code ^ code >> 16) & (capacity - 1)

    return sorted(given, key=bucket)

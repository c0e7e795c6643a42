"""Opens the files of an export: their first rows, fetched side by side, or the whole of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from neptune_airflow.check.plain import FirstRows
from neptune_airflow.dataset import Place, fault
from neptune_airflow.dataset.csvtext import first_record_end, read_header
from neptune_airflow.store import CONNECTIONS, Store, join

#: Bytes that are fetched of a file, and how many at most if the first row is longer.
HEAD, LONGEST_HEAD = 64 << 10, 4 << 20
#: Files whose first rows are fetched ahead of the one that is looked at.
AHEAD = 2 * CONNECTIONS


@dataclass
class Files:
    """The files of one export.

    :param sizes: bytes of each, by name.
    :param full: whether they are read whole.
    :param advance: is told how many bytes were read.
    """

    store: Store
    location: str
    sizes: dict[str, int]
    full: bool
    advance: Callable[[int], None]
    _heads: dict[str, Future[bytes]] = field(default_factory=dict)
    _names: Iterator[str] = field(default_factory=lambda: iter(()))
    _pool: ThreadPoolExecutor | None = None

    @contextmanager
    def ahead(self, names: Iterable[str]) -> Iterator[None]:
        """Fetch first rows ahead of who opens the files, in this order."""
        self._names = iter([name for name in dict.fromkeys(names) if name in self.sizes])
        with ThreadPoolExecutor(CONNECTIONS, "first-rows") as self._pool:
            try:
                for _ in range(AHEAD):
                    self._fetch_next()
                yield
            finally:
                for head in self._heads.values():
                    head.cancel()

    def open(self, name: str, separator: str) -> Any:
        """Open a file: `plain.FirstRows`, or `fast.WholeFile`.

        :raises Fault: when there is none, or it is no CSV in UTF-8.
        """
        head = self.head(name)
        header = read_header(head, name, separator)
        if not self.full:
            return FirstRows(header, head, self.sizes[name])
        from neptune_airflow.check.fast import WholeFile

        return WholeFile(self.store, join(self.location, name), header, self.advance)

    def head(self, name: str) -> bytes:
        """Give a file's first bytes.

        :raises Fault: when there is no such file.
        """
        if name not in self.sizes:
            raise fault("file-missing", Place(name), location=self.location, advice=self._advice(name))
        ahead = self._heads.pop(name, None)
        self._fetch_next()
        return ahead.result() if ahead else self._head(name)

    def _fetch_next(self) -> None:
        if self._pool and (name := next(self._names, None)):
            self._heads[name] = self._pool.submit(self._head, name)

    def _head(self, name: str) -> bytes:
        """Give a file's first bytes, with its header and, for first rows, one row at least."""
        size, have = self.sizes[name], HEAD
        if not size:
            return b""
        location = join(self.location, name)
        head = self.store.part(location, 0, have)
        while len(head) < size and have < LONGEST_HEAD:
            end = first_record_end(head)
            if end and first_record_end(head[end:]):
                break
            have *= 4
            head = self.store.part(location, 0, have)
        return head

    def _advice(self, name: str) -> str:
        """Say what file may be meant by a name that no file has."""
        for other in (unquote(name), quote(name)):
            if other in self.sizes:
                return f"there is {other!r}: names are taken literally, percent signs and all; keep the exporter's name"
        if close := next((known for known in self.sizes if known.lower() == name.lower()), None):
            return f"there is {close!r}: upper and lower case count"
        if (packed := f"{name}.gz") in self.sizes:
            return f"there is {packed!r}: unpack it"
        return "copy the whole export, or export again: the configuration names this file"

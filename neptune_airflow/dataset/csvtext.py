"""The form of a CSV file: where records end, what a header says, and what is wrong with a row.

Whoever reads rows, one at a time or millions as tables, goes by these rules, so that both find the same faults.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from neptune_airflow.dataset.checks import fault
from neptune_airflow.dataset.findings import Fault, Place

#: Bytes of the longest record that is read: a quote that is never closed makes the rest of a file one record.
LONGEST_RECORD = 64 << 20
#: What the first bytes of files that are no CSV say of them.
MAGIC = {b"\x1f\x8b": "file-gzip", b"\xff\xfe": "file-utf16", b"\xfe\xff": "file-utf16"}
#: Bytes that are read at a time to count lines.
STEP = 16 << 20
BOM = b"\xef\xbb\xbf"
SEPARATORS = (",", ";", "\t", "|")

csv.field_size_limit(max(csv.field_size_limit(), LONGEST_RECORD))


@dataclass(frozen=True)
class Header:
    """A file's columns.

    :param names: as they stand in the header, one for each field.
    :param size: bytes of the header, its line break among them.
    :param bom: whether it begins with a byte order mark.
    """

    file: str
    separator: str
    names: tuple[str, ...]
    size: int
    bom: bool = False

    @property
    def width(self) -> int:
        """Number of fields."""
        return len(self.names)

    def find(self, name: str) -> int | None:
        """Give a column's position; `age` is found under ``age:Int`` too. None if there is no such column.

        :raises Fault: when there are two.
        """
        places = [place for place, known in enumerate(self.names) if known == name]
        places = places or [place for place, known in enumerate(self.names) if known.rpartition(":")[0] == name]
        if len(places) > 1 and name:
            raise fault("column-twice", Place(self.file), value=name)
        return places[0] if places else None

    def position(self, name: str) -> int:
        """Give the position of a column that must be there.

        :raises Fault: when it is not, or is there twice.
        """
        if (place := self.find(name)) is not None:
            return place
        other = next((mark for mark in SEPARATORS if mark in self.names[0] and mark != self.separator), None)
        if self.width == 1 and other:
            about = {"value": name, "separator": self.separator, "other": other}
            raise fault("wrong-separator", Place(self.file), **about)
        raise fault("column-missing", Place(self.file), value=name, known=", ".join(self.names))


class Lines:
    """Says on which line of a file a byte stands, by counting the line breaks before it; asked only about faults.

    :param part: gives some of the file's bytes, by the first one's place and their number.
    """

    def __init__(self, part: Callable[[int, int], bytes]) -> None:
        self._part = part
        self._known = {0: 1}

    def __call__(self, byte: int) -> int:
        """Give the line, counted from 1."""
        at = max(known for known in self._known if known <= byte)
        line = self._known[at]
        while at < byte and (data := self._part(at, min(STEP, byte - at))):
            line, at = line + data.count(b"\n"), at + len(data)
        self._known[at] = line
        return line


def read_header(first: bytes, file: str, separator: str) -> Header:
    """Read the header.

    :param first: the file's first bytes.
    :raises Fault: for a file that is empty or no CSV in UTF-8.
    """
    for magic, code in MAGIC.items():
        if first.startswith(magic):
            raise fault(code, Place(file))
    if not first.removeprefix(BOM).strip():
        raise fault("file-empty", Place(file))
    end = first_record_end(first) or len(first)
    names = tuple(split(first[:end].removeprefix(BOM), file, 1, separator))
    return Header(file, separator, names, end, first.startswith(BOM))


def first_record_end(data: bytes) -> int:
    """Give the end of the first record: the first line break with an even number of quotes before it; 0 if none."""
    end, quotes, begin = 0, 0, 0
    while end := data.find(b"\n", begin) + 1:
        quotes += data.count(b'"', begin, end)
        if quotes % 2 == 0:
            return end
        begin = end
    return 0


def record_end(data: bytes, quotes: int = 0) -> int:
    """Give the end of the last whole record: the last line break with an even number of quotes before it.

    :param quotes: how many quotes the record has before the data.
    """
    end = data.rfind(b"\n") + 1
    quotes += data.count(b'"', 0, end)
    while end and quotes % 2:
        previous = data.rfind(b"\n", 0, end - 1) + 1
        quotes -= data.count(b'"', previous, end)
        end = previous
    return end


def records(data: bytes, header: Header, line: int) -> Iterator[tuple[int, list[str]]]:
    """Give each record's line and fields.

    :param data: whole records; the last one may lack its line break.
    :param line: the line that they begin on.
    :raises Fault: for a row that is not as the header says.
    """
    for begin, fields in any_records(data, header, line):
        if len(fields) != header.width:
            raise fault("row-fields", Place(header.file, line=begin), count=len(fields), width=header.width)
        yield begin, fields


def any_records(data: bytes, header: Header, line: int) -> Iterator[tuple[int, list[str]]]:
    """Give each record's line and fields, however many they are."""
    begin = 0
    while begin < len(data):
        end = begin + first_record_end(data[begin : begin + _NEAR])
        if end == begin:
            end = begin + (first_record_end(data[begin:]) or len(data) - begin)
        yield line, split(data[begin:end], header.file, line, header.separator)
        line += data.count(b"\n", begin, end)
        begin = end


def split(record: bytes, file: str, line: int, separator: str) -> list[str]:
    """Split a record.

    :raises Fault: for what is not UTF-8, and for quotes that do not match.
    """
    try:
        text = record.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise fault("not-utf8", Place(file, line=line + record.count(b"\n", 0, error.start))) from None
    if '"' not in text:
        return text.split(separator)
    try:
        found = list(csv.reader((f"{part}\n" for part in text.split("\n")), delimiter=separator, strict=True))
    except csv.Error as error:
        raise unmatched(file, line, str(error)) from None
    if len(found) != 1:
        raise unmatched(file, line, "a value has a quote inside and is not quoted itself")
    return found[0]


def unmatched(file: str, line: int, reason: str) -> Fault:
    """Make the fault of a row whose quotes do not match."""
    return fault("row-quotes", Place(file, line=line), reason=reason)


#: Bytes in which most records end.
_NEAR = 1 << 12

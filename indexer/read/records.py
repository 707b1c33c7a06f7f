"""JSON and JSON lines: one document a record, streamed, so that a file larger than memory passes.

A record has its text in `text`, `content` or `body`, and may have `title`, `_id` or `id`, `metadata` (an object) and
further fields, which become metadata. A BEIR corpus is of this form. A line that cannot be used is reported with its
number, and the next one is read.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import islice
from typing import IO, Any

import ijson

from bothways.core.datatypes import Document
from bothways.core.errors import ReadError
from bothways.core.text.document_id import document_id
from bothways.core.text.valid import valid_text
from bothways.indexer.read.files.encoding import decode
from bothways.indexer.read.files.folder import Source
from bothways.indexer.read.files.metadata import scalar_text, to_metadata
from bothways.indexer.read.files.reasons import Reasons
from bothways.schemas.bounds import MAX_ID_BYTES

_TEXT_FIELDS = ("text", "content", "body")
_OWN_FIELDS = frozenset({"_id", "id", "title", "metadata"})
_HOPELESS = 100
_MAX_DEPTH = 200
_BUFFER = 65_536


def read_jsonl(source: Source) -> Iterator[Document]:
    """Read JSON lines in UTF-8; the record index counts lines from 0, blank ones included."""
    good = bad = 0
    reasons = Reasons(source, "lines")
    with source.path.open("rb") as file:
        for number, line in _lines(source, file):
            try:
                yield _document(source, number - 1, _parse(line), reasons)
                good += 1
            except ReadError as error:
                bad += 1
                reasons.fail(f"Line {number} {error}")
                if not good and bad == _HOPELESS:
                    raise ReadError(f"None of the first {bad} lines is a usable JSON record.") from error
    reasons.end()
    if not good and not bad:
        raise ReadError("The file is empty.")


def read_json(source: Source) -> Iterator[Document]:
    """Read a JSON array record by record, or a single object; JSON lines under the wrong name are read as such."""
    with source.path.open("rb") as file:
        start = file.read(1_000_000).removeprefix(codecs.BOM_UTF8).lstrip()
    if start.startswith(b"["):
        yield from _array(source)
    elif _is_jsonl(start):
        yield from read_jsonl(source)
    else:
        try:
            yield _document(source, 0, _parse(decode(source.data()).encode()), Reasons(source, "records"))
        except ReadError as error:
            message = str(error)
            raise (error if message.startswith("The file") else ReadError(f"The file {message}")) from error


def _document(source: Source, record: int, fields: object, reasons: Reasons) -> Document:
    if not isinstance(fields, dict):
        raise ReadError("is not a JSON object.")
    name = next((key for key in _TEXT_FIELDS if isinstance(fields.get(key), str) and fields[key].strip()), None)
    if name is None:
        raise ReadError("has no text in `text`, `content` or `body`.")
    blocks = tuple(filter(None, (line.rstrip() for line in valid_text(fields[name]).strip().splitlines())))
    title = valid_text(scalar_text(fields.get("title")))
    extra = {key: value for key, value in fields.items() if key not in _OWN_FIELDS and key != name}
    nested = fields.get("metadata")
    return Document(
        doc_id=_record_id(fields) or document_id(source.relative, record=record),
        title=title or source.stem,
        blocks=blocks,
        source=source.relative,
        heading=title,
        metadata=to_metadata({**extra, **(nested if isinstance(nested, dict) else {"metadata": nested})}, reasons.note),
    )


def _record_id(fields: Mapping[str, object]) -> str:
    """Return the record's own id, unchanged. Elasticsearch takes at most 512 bytes, and a chunk's position is added."""
    for key in ("_id", "id"):
        value = fields.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            if len(valid_text(str(value)).encode()) > MAX_ID_BYTES:
                raise ReadError(f"has an `{key}` of more than {MAX_ID_BYTES} bytes.")
            return valid_text(str(value))
    return ""


def _parse(line: bytes) -> object:
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ReadError("is not UTF-8.") from error
    except json.JSONDecodeError as error:
        raise ReadError(f"is not valid JSON: {error.msg} (column {error.colno}).") from error
    except (ValueError, RecursionError) as error:
        raise ReadError(f"is not usable JSON: {str(error).split(':')[0].rstrip('.')}.") from error


def _lines(source: Source, file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield non-blank lines with their number from 1. A line beyond the size limit is reported and skipped."""
    limit = int(source.max_file_mb * 1_000_000)
    number = 0
    while line := file.readline(limit + 1):
        number += 1
        if number == 1:
            if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise ReadError("The file is UTF-16; JSON lines are UTF-8.")
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) > limit and not line.endswith(b"\n"):
            source.fail(f"Line {number} is longer than the {source.max_file_mb:g} MB that BOTHWAYS_MAX_FILE_MB allows.")
            while (rest := file.readline(limit)) and not rest.endswith(b"\n"):
                pass
        elif line.strip():
            yield number, line


def _is_jsonl(start: bytes) -> bool:
    first, _, rest = start.partition(b"\n")
    try:
        return bool(rest.strip()) and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _array(source: Source) -> Iterator[Document]:
    number = 0
    reasons = Reasons(source, "records")
    with source.path.open("rb") as file:
        for number, fields in enumerate(_elements(file), start=1):
            try:
                yield _document(source, number - 1, fields, reasons)
            except ReadError as error:
                reasons.fail(f"Record {number} {error}")
    reasons.end()
    if not number:
        raise ReadError("The file is empty: its JSON array has no records.")


def _elements(file: IO[bytes]) -> Iterator[object]:
    """Yield the elements of a JSON array, one at a time. Raises `ReadError` where it is not valid.

    At a number of too many digits the parser drops what it has found in the same buffer, so the file is read a second
    time: byte by byte from that buffer on, and by the parser in Python, as the one in C may crash after an error.
    """
    if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
        file.seek(0)
    start, count = file.tell(), 0
    try:
        try:
            for element in _parsed(file, ijson):
                yield element
                count += 1
        except (ValueError, SystemError):
            careful = _Careful(file, max(start, file.tell() - _BUFFER))
            file.seek(start)
            for element in islice(_parsed(careful, ijson.get_backend("python")), count, None):
                yield element
                count += 1
    except (ijson.JSONError, ValueError, ArithmeticError, RecursionError, SystemError) as error:
        what = re.sub(r"\s+", " ", str(error)).strip()[:120]
        raise ReadError(f"The file is not valid JSON after record {count}: {what}") from error


def _parsed(file: IO[bytes] | _Careful, parser: Any) -> Iterator[object]:  # noqa: ANN401 – a module of ijson
    """Yield the elements of an array by a parser's events.

    Not by `ijson.items`, whose memory grows with the square of the depth: a file of 100 KB of `[` takes 20 GB.
    """
    # Numbers keep their length: with `use_float`, one of 20 digits would be an error.
    events = parser.basic_parse(file, buf_size=_BUFFER)
    next(events)  # the array's own start
    builder, depth = ijson.ObjectBuilder(), 0
    for event, value in events:
        depth += event.startswith("start_") - event.startswith("end_")
        if depth > _MAX_DEPTH:
            raise RecursionError(f"more than {_MAX_DEPTH} levels")
        if depth < 0:
            continue  # the array's own end; what follows it is an error that the parser raises
        builder.event(event, float(value) if isinstance(value, Decimal) else value)
        if depth == 0:
            yield builder.value
            builder = ijson.ObjectBuilder()


class _Careful:
    """A file that is read in whole buffers up to a place, and byte by byte from there on."""

    def __init__(self, file: IO[bytes], careful_from: int) -> None:
        self._file = file
        self._from = careful_from

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, max(1, self._from - self._file.tell())))

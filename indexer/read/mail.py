"""Mail (.eml): one document for its text, and those of each attachment that can be read, by the reader of its type."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import EmailMessage
from mimetypes import MimeTypes
from pathlib import Path, PurePosixPath

from bothways.core.datatypes import Document, Failure
from bothways.core.errors import ReadError
from bothways.core.text.valid import valid_text
from bothways.indexer.read.files.encoding import decode
from bothways.indexer.read.files.folder import Source
from bothways.indexer.read.files.metadata import to_metadata
from bothways.indexer.read.files.reasons import reason_of
from bothways.indexer.read.html import decode_html, html_sections
from bothways.indexer.read.markdown import Section, section_documents
from bothways.indexer.read.other import not_read
from bothways.indexer.read.text import paragraphs

Readers = Mapping[str, Callable[[Source], Iterator[Document]]]

_HEADERS = ("from", "to", "date", "subject", "received", "message-id", "content-type")
_MAX_DEPTH = 3
_MAX_HEADER = 10_000
"""Characters of a header: the standard library takes time with the square of its length, or worse."""
_MAX_ATTACHMENTS = 1_000
_MAX_TITLE = 500
"""Characters of a subject, which goes with every document of the mail."""
_TYPES = MimeTypes()  # Python's own table: that of the machine would change names, and so ids
_MALFORMED = (MessageError, ValueError, LookupError, AttributeError, TypeError, RecursionError)
"""What the standard library's parser raises over headers that break the rules, as those of junk mail do."""


def read_mail(source: Source, readers: Readers) -> Iterator[Document]:
    """Read a mail: its plain text, or else its HTML, then its attachments by `readers` (by extension, in lower case).

    The subject is the title; from, to, cc and date (ISO 8601) are in the metadata of all documents, and the name of
    the attachment in that of its own. Mails in mails are followed three levels deep. What is not read is reported.
    """
    try:
        message = message_from_bytes(source.data(), policy=_POLICY)
    except RecursionError as error:
        raise ReadError("The mail is nested too deeply: it has too many parts inside each other.") from error
    if not isinstance(message, EmailMessage) or not any(name in message for name in _HEADERS):
        raise ReadError("The file is not a mail: it has no headers.")
    yield from _read(source, message, readers, depth=1)


class _CutHeaders(policy.EmailPolicy):
    """Cuts long headers as they are read, before anything parses them."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        """Split a header into its name and its value."""
        name, value = super().header_source_parse(sourcelines)
        return name, value[:_MAX_HEADER]


_POLICY = _CutHeaders()


def _read(source: Source, message: EmailMessage, readers: Readers, depth: int) -> Iterator[Document]:
    if message.get_content_type() in {"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"}:
        raise ReadError("The mail is encrypted.")
    if any(len(str(value)) >= _MAX_HEADER for _, value in message.raw_items()):
        source.on_skip(source.relative, f"A header of more than {_MAX_HEADER:,} characters is cut.")
    title = _header(message, "subject")[:_MAX_TITLE] or source.stem
    metadata = to_metadata({**{name: _header(message, name) for name in ("from", "to", "cc")}, "date": _date(message)})
    body, sections = _body(message)
    if any(section.blocks for section in sections):
        yield from section_documents(source, title, sections, metadata)
    attachments = [part for part in _leaves(message) if part is not body and (_payload(part).strip() or _is_mail(part))]
    if not attachments and not any(section.blocks for section in sections):
        raise ReadError("The mail is empty: it has neither text nor attachments.")
    if len(attachments) > _MAX_ATTACHMENTS:
        source.fail(f"Of {len(attachments):,} attachments only the first {_MAX_ATTACHMENTS:,} are read.")
    for number, part in enumerate(attachments[:_MAX_ATTACHMENTS], start=1):
        for document in _attachment(source, part, number, readers, depth):
            yield replace(
                document,
                source=source.relative,
                heading=" › ".join(dict.fromkeys(filter(None, [title, document.heading or document.title]))),
                metadata={**metadata, **document.metadata},
            )


def _attachment(source: Source, part: EmailMessage, number: int, readers: Readers, depth: int) -> Iterator[Document]:
    """Read an attachment as if it were a file below the mail; what goes wrong is told of the mail."""
    name = valid_text(_file_name(part)) or f"{number}{_TYPES.guess_extension(part.get_content_type()) or ''}"
    extension = PurePosixPath(name.replace("\\", "/")).suffix.lower()
    is_mail = _is_mail(part) or extension == ".eml"

    def fail(failure: Failure) -> None:
        source.fail(f"Attachment {name!r}: {failure.reason}")

    def skip(_: str, reason: str) -> None:
        source.on_skip(source.relative, f"Attachment {name!r}: {reason}")

    if is_mail and depth >= _MAX_DEPTH:
        skip(name, f"Attached mails are read only {_MAX_DEPTH} levels deep.")
        return
    if not is_mail and extension not in readers:
        skip(name, not_read(extension))
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"attachment{'.eml' if is_mail else extension}"
        relative = f"{source.relative}/{number}/{name}"
        inner = replace(source, path=file, relative=relative, on_failure=fail, on_skip=skip)
        try:
            if is_mail:
                documents = _read(inner, _mail_in(part), readers, depth + 1)
            else:
                file.write_bytes(_payload(part))
                documents = readers[extension](inner)
            for document in documents:
                yield replace(document, metadata={"attachment": name, **document.metadata})
        except Exception as error:  # noqa: BLE001 – the mail's other attachments are read all the same
            fail(Failure(stage="read", item=name, reason=reason_of(error)))


def _leaves(message: EmailMessage, *, alternative: bool = False) -> Iterator[EmailMessage]:
    """Yield the parts that hold something themselves, but other forms of the same text; a mail in it is one part."""
    alternative = alternative or message.get_content_type() == "multipart/alternative"
    if message.get_content_maintype() == "multipart":
        for part in message.iter_parts():
            if isinstance(part, EmailMessage):
                yield from _leaves(part, alternative=alternative)
    elif not (alternative and message.get_content_type() in {"text/plain", "text/html"}):
        yield message


def _body(message: EmailMessage) -> tuple[EmailMessage | None, list[Section]]:
    """Find the text of a mail: the plain one, unless that is blank, and else the HTML."""
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        if not isinstance(part, EmailMessage):
            continue
        try:
            data = _payload(part)
            text = _decode(data, part.get_content_charset(""), kind)
            sections = html_sections(text)[1] if kind == "html" else [Section(blocks=list(paragraphs(text)))]
        except ReadError:  # blank
            continue
        return part, sections
    return None, []


def _decode(data: bytes, charset: str, kind: str) -> str:
    """Return a text decoded as the mail says; if that fails, as a page declares, or by its bytes."""
    try:
        text = data.decode("gb18030" if charset in {"gb2312", "gbk"} else charset)
    except (LookupError, ValueError):
        return decode_html(data) if kind == "html" else decode(data)
    return decode(text.encode("utf-8", "replace"))


def _is_mail(part: EmailMessage) -> bool:
    return part.get_content_type() == "message/rfc822"


def _payload(part: EmailMessage) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _mail_in(part: EmailMessage) -> EmailMessage:
    content = part.get_payload()
    inner = content[0] if isinstance(content, list) and content else message_from_bytes(_payload(part), policy=_POLICY)
    if not isinstance(inner, EmailMessage):
        raise ReadError("It is not a mail.")
    return inner


def _header(message: EmailMessage, name: str) -> str:
    """Take a header as text; one in raw bytes, which the standard forbids, by the encoding that they look like."""
    raw = next((str(value) for key, value in message.raw_items() if key.lower() == name), "")
    try:
        text = str(message.get(name, "")) if raw.isascii() else decode(raw.encode("utf-8", "surrogateescape"))
    except (*_MALFORMED, ReadError):
        text = raw
    return " ".join(valid_text(text).split())


def _date(message: EmailMessage) -> str:
    try:
        return str(message["date"].datetime.isoformat())
    except _MALFORMED:
        return ""


def _file_name(part: EmailMessage) -> str:
    try:
        return " ".join((part.get_filename() or "").split())
    except _MALFORMED:
        return ""

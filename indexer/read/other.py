"""File types that markitdown reads and we do not: old Excel, Outlook, notebooks, feeds; with the extra of that name.

Each goes to the one converter for its type, so that nothing is guessed from the content: no archive is unpacked and
no program started over a file that lies about what it is. What comes back is Markdown, and is read as such.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import BytesIO

from bothways.core.datatypes import Document
from bothways.core.errors import ReadError
from bothways.indexer.read.files.folder import Source
from bothways.indexer.read.markdown import first_heading, markdown_sections, section_documents

INSTALL = 'pip install "bothways[markitdown]"'

_SAVE_AS = {
    **dict.fromkeys((".doc", ".dot", ".dotx", ".odt", ".rtf", ".wps", ".pages"), ".docx"),
    **dict.fromkeys((".ppt", ".pps", ".ppsx", ".odp", ".dps", ".key"), ".pptx"),
    **dict.fromkeys((".xlsb", ".ods", ".et", ".numbers"), ".xlsx"),
    **dict.fromkeys((".mobi", ".azw3"), ".epub"),
}
"""What the programs that write a type can write as well, and we read."""


def read_other(source: Source) -> Iterator[Document]:
    """Read a file through markitdown: one document a section of its Markdown. Without the extra it is skipped."""
    extension = source.path.suffix.lower()
    if find_spec("markitdown") is None:
        source.on_skip(source.relative, f"Files of type {extension} need an extra: {INSTALL}.")
        return
    from markitdown import FileConversionException, MarkItDown, StreamInfo, UnsupportedFormatException
    from markitdown.converters import IpynbConverter, OutlookMsgConverter, RssConverter, XlsConverter

    converters = {
        ".xls": XlsConverter,
        ".msg": OutlookMsgConverter,
        ".ipynb": IpynbConverter,
        ".rss": RssConverter,
        ".atom": RssConverter,
    }
    converter = MarkItDown(enable_builtins=False, enable_plugins=False)
    converter.register_converter(converters[extension]())
    try:
        # xlrd prints its warnings, and stdout may have to be JSON alone; pandas 3 warns of the engine that it is.
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The xlrd engine is deprecated")
            result = converter.convert_stream(BytesIO(source.data()), stream_info=StreamInfo(extension=extension))
    except UnsupportedFormatException as error:
        raise ReadError(f"The file is not what its extension {extension} says.") from error
    except FileConversionException as error:
        raise ReadError(f"The file cannot be converted: {' '.join(str(error).split())[:200]}") from error
    sections = markdown_sections(result.markdown)
    yield from section_documents(source, result.title or first_heading(sections) or source.stem, sections, {})


def not_read(extension: str) -> str:
    """Return a sentence saying that files of a type are not read, and what to save them as."""
    known = _SAVE_AS.get(extension.lower())
    instead = f"; save them as {known}" if known else ""
    return f"Files {f'of type {extension}' if extension else 'without an extension'} are not read{instead}."

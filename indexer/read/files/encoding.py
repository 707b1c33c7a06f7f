"""From bytes to text: UTF-8, UTF-16/32, GB18030 and Big5 are told apart, and binary data is refused.

General detectors misjudge short Chinese texts, so the encodings that Chinese files really have are tried first and
judged by how common the characters are that they give; `charset-normalizer` is asked last.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter

from charset_normalizer import from_bytes

from bothways.core.errors import ReadError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAGIC = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"PK\x03\x04", "a ZIP archive or Office file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"%PDF-", "a PDF"),
    (b"\xd0\xcf\x11\xe0", "an old Office file"),
    (b"SQLite format 3", "an SQLite database"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f\x80-\x84\x86-\x9f\ufffd]")
_SAMPLE = 20_000
_PLAUSIBLE = 0.75
_MAX_CONTROL = 0.01


def decode(data: bytes) -> str:
    """Return a text file's bytes as text: line feeds at line ends, no byte order mark, no control characters.

    Raises `ReadError` where the bytes look like binary data or their encoding cannot be told.
    """
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            raise ReadError(f"The file looks like binary data ({kind}), not text.")
    text = data.decode(encoding_of(data), "replace")
    controls = len(text) - len(_CONTROL.sub("", text))
    if controls > max(2, len(text) * _MAX_CONTROL):
        raise ReadError("The file looks like binary data, not text.")
    text = without_controls(re.sub(r"\r\n?|\f|\v|\x85|\u2028|\u2029", "\n", text))
    if not text.strip(" \t\n\u3000\u00a0\u200b"):
        raise ReadError("The file is empty.")
    return text


def encoding_of(data: bytes) -> str:
    """Return the codec of a text's bytes, which takes a byte order mark off where there is one.

    Raises `ReadError` where none can be told. Only a piece of a text will do if no character is cut at its end.
    """
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return encoding
    if b"\0" in data:
        return _wide(data)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return _chinese(data) or _western(data) or _detected(data)
    return "utf-8"


def without_controls(text: str) -> str:
    """Drop control characters (but tabs and line ends), replacement characters and byte order marks."""
    return _CONTROL.sub("", text).replace("\ufeff", "")


def _wide(data: bytes) -> str:
    """Return UTF-16 or UTF-32 without a mark, by the zero bytes and the characters that result."""
    best, best_share = "", _PLAUSIBLE
    for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        share = _common(text, "gb18030", ascii_too=True)
        if "\0" not in text and share > best_share:
            best, best_share = encoding, share
    if not best:
        raise ReadError("The file looks like binary data, not text.")
    return best


def _chinese(data: bytes) -> str:
    """Return GB18030 or Big5, whichever decodes strictly and has more common characters; "" if neither does."""
    best, best_share = "", _PLAUSIBLE
    for encoding in ("gb18030", "big5hkscs"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        share = _common(text, encoding)
        if share > best_share:
            best, best_share = encoding, share
    return best


def _common(text: str, encoding: str, *, ascii_too: bool = False) -> float:
    """Return the share of symbols and frequent characters (level 1 of GB 2312 or Big5) among those beyond ASCII."""
    last_symbol, level_1 = (0xA9, range(0xB0, 0xD8)) if encoding == "gb18030" else (0xA3, range(0xA4, 0xC7))
    common = total = 0
    sample = text[:_SAMPLE] if ascii_too else re.sub(r"[\x00-\x7f]+", "", text)[:_SAMPLE]
    for char, count in Counter(sample).items():
        if char.isascii():
            total += count * ascii_too
            common += count * (ascii_too and (char.isprintable() or char in "\t\r\n"))
            continue
        total += count
        code = char.encode(encoding, "replace")
        in_gb2312 = len(code) == 2 and (encoding != "gb18030" or code[1] >= 0xA1)
        common += count * (in_gb2312 and (0xA1 <= code[0] <= last_symbol or code[0] in level_1))
    return common / total if total else 0.0


def _western(data: bytes) -> str:
    """Return Windows-1252 where few letters are beyond ASCII and each stands in or beside a word, else ""."""
    high = len(data) - len(data.translate(None, bytes(range(0x80, 0x100))))
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return ""
    plain = all(char.isalpha() or char in "‘’“”–—…•€£§°«»\u00a0·²³©®™¿¡" for char in set(text) if not char.isascii())
    return "cp1252" if plain and high <= len(data) * 0.2 else ""


def _detected(data: bytes) -> str:
    best = from_bytes(data[:100_000]).best()
    if best is None:
        raise ReadError("The file looks like binary data, or its encoding cannot be recognised; save it as UTF-8.")
    return best.encoding

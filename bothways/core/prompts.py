"""Prompts to the language model: versioned text files, one a language, beside the code that uses them.

The first line of a file is its version (`version: d2q-1`), which stands in cache keys: it changes with the wording.
"""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from importlib.resources import files
from string import Template

from bothways.client.role_tokens import break_role_tokens
from bothways.core.text.han import count_han

LANGUAGES = ("zh", "en")

_LATIN = re.compile(r"[A-Za-z]")


class Prompt:
    """The files `{room}/prompts/{name}.zh.txt` and `.en.txt`, read at the first use.

    `data` is the placeholder's name for the text in question: `$data` stands between two marks `$mark`.
    """

    def __init__(self, room: str, name: str, *, data: str) -> None:
        self._room = room
        self._name = name
        self._data = data

    @cached_property
    def version(self) -> str:
        """The version, which is the same in all languages."""
        versions = {version for version, _ in self._files.values()}
        if len(versions) != 1:
            raise ValueError(f"the prompts {self._name} have different versions: {sorted(versions)}")
        return versions.pop()

    @property
    def texts(self) -> dict[str, str]:
        """The wording by language, without the line of the version."""
        return {language: text for language, (_, text) in self._files.items()}

    def fill(self, data: str, *, like: str, **values: object) -> str:
        """Build the prompt about `data`, word for word between two marks, in the language of the text `like`.

        Role tokens, which would look like another turn of a conversation, are broken up. The marks have a hash of the
        data, so no text can contain its own end mark and pass for an instruction.
        """
        data = break_role_tokens(data)
        mark = f"{self._data}-{hashlib.sha256(data.encode(errors='surrogatepass')).hexdigest()[:12]}"
        return Template(self.texts[language_of(like)]).substitute({"mark": mark, self._data: data, **values})

    @cached_property
    def _files(self) -> dict[str, tuple[str, str]]:
        return {language: self._read(language) for language in LANGUAGES}

    def _read(self, language: str) -> tuple[str, str]:
        content = (files(self._room) / "prompts" / f"{self._name}.{language}.txt").read_text(encoding="utf-8")
        first, _, text = content.partition("\n")
        return first.removeprefix("version:").strip(), text


def language_of(text: str) -> str:
    """Return "zh" if Chinese characters prevail, else "en"; one of them weighs as much as three Latin letters."""
    return "zh" if 3 * count_han(text) >= max(1, len(_LATIN.findall(text))) else "en"

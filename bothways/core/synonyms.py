"""The synonyms file: where it is, its rules as people wrote them, and the rules as the index reads them.

Elasticsearch takes a wrong rule as it is, or not at all and with it the whole file; so rules are checked here, each
against its own line, before any server sees them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from bothways.core.analysis import Segmenter
from bothways.core.errors import SettingsError, SynonymsError
from bothways.core.settings import Settings
from bothways.core.text.han import HAN

APPLIED = "# Written by `bothways synonyms apply`; `bothways es up` leaves it as it is.\n"
"""First line of a server's file that was applied: the rules that come with the package do not replace it."""

_NAMED = 10
_LONGEST_TERM = 10
_BLANK_INSIDE = re.compile(rf"(?<=[{HAN}])\s+(?=[{HAN}])")
_LOOKALIKES = {"，": ",", "、": ",", "；": ",", ";": ",", "＝＞": "=>", "⇒": "=>", "→": "=>", "->": "=>", "\\": ""}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, its terms as words with one blank between them, as they are indexed.

    Without `right`, each term of `left` finds the others; with it, the terms of `left` are searched as those of
    `right`. `line` is where it stood, from 1, and no part of what the rule is.
    """

    left: tuple[str, ...]
    right: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return " => ".join(", ".join(side) for side in (self.left, self.right) if side)

    @property
    def meaning(self) -> tuple[frozenset[str], frozenset[str]]:
        """What two rules that do the same have in common: the order of their terms does not count."""
        return frozenset(self.left), frozenset(self.right)

    def effects(self) -> Iterator[tuple[str, str]]:
        """Return (term that is asked, term that it must find) for all that the rule promises."""
        for asked in self.left:
            yield from ((asked, found) for found in self.right or self.left if found != asked)


def read_synonyms(settings: Settings) -> str:
    """Return the rules of `BOTHWAYS_SYNONYMS_PATH`, or those that come with the package."""
    path = settings.synonyms_path
    if path is None:
        return files("bothways.es_mappings").joinpath("synonyms.txt").read_text(encoding="utf-8")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The synonyms {path} cannot be read ({error}); check BOTHWAYS_SYNONYMS_PATH.") from error


def read_rules_file(path: Path, segmenter: Segmenter) -> list[Rule]:
    """Read and check a file of rules; raise `SynonymsError` with its bad lines by their numbers."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SynonymsError(f"The synonyms {path} cannot be read: {error}.") from error
    return parse_rules(text, segmenter, name=path.name)


def parse_rules(text: str, segmenter: Segmenter, *, name: str = "the synonyms") -> list[Rule]:
    """Cut the rules of a file as the index cuts text and check each; `name` is what errors call the file.

    Raise `SynonymsError`: for each bad line its number and what is wrong with it.
    """
    rules: list[Rule] = []
    problems: list[str] = []
    first_at: dict[tuple[frozenset[str], frozenset[str]], int] = {}
    for number, line in _lines(text):
        try:
            rule = _parse(line, number, segmenter)
        except _BadRuleError as problem:
            problems.append(f"line {number} ({line[:60]}): {problem}")
            continue
        if (before := first_at.setdefault(rule.meaning, number)) != number:
            problems.append(f"line {number} ({line[:60]}): it repeats line {before}")
        rules.append(rule)
    if problems:
        more = f"; and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
        raise SynonymsError(f"{name} is refused, nothing was changed: {'; '.join(problems[:_NAMED])}{more}.")
    return rules


def split_rules(text: str) -> list[Rule]:
    """Split rules that a server has, as they are: no check, no cutting; a line that is no rule does nothing."""
    rules = []
    for number, line in _lines(text):
        left, _, right = line.partition("=>")
        sides = [tuple(term for part in side.split(",") if (term := " ".join(part.split()))) for side in (left, right)]
        rules.append(Rule(sides[0], sides[1], number))
    return rules


def rules_text(rules: Iterable[Rule]) -> str:
    """Return the content of a server's file: a heading and one rule a line."""
    return APPLIED + "".join(f"{rule}\n" for rule in rules)


class _BadRuleError(Exception):
    """What is wrong with one line, as the end of a sentence."""


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Return the lines that hold rules, with their numbers from 1."""
    for number, line in enumerate(text.splitlines(), start=1):
        if (stripped := line.strip()) and not stripped.startswith("#"):
            yield number, stripped


def _parse(line: str, number: int, segmenter: Segmenter) -> Rule:
    for lookalike, meant in _LOOKALIKES.items():
        if lookalike in line:
            raise _BadRuleError(f"write `{meant}` instead of `{lookalike}`" if meant else "it has a backslash")
    sides = line.split("=>")
    if len(sides) > 2:
        raise _BadRuleError("`=>` stands in it twice")
    left, *rest = (_terms(side, segmenter) for side in sides)
    right = rest[0] if rest else ()
    if not rest and len(left) == 1:
        raise _BadRuleError("one term alone is a synonym of nothing")
    if rest and set(left) == set(right):
        raise _BadRuleError("its two sides are the same to the index")
    return Rule(left, right, number)


def _terms(side: str, segmenter: Segmenter) -> tuple[str, ...]:
    if not side.strip():
        raise _BadRuleError("one side of `=>` is empty")
    terms: dict[str, str] = {}
    for written in (part.strip() for part in side.split(",")):
        if not written:
            raise _BadRuleError("there is nothing between two commas, or after the last")
        term = _cut(written, segmenter)
        if term in terms:
            raise _BadRuleError(f"`{terms[term]}` and `{written}` are the same to the index (`{term}`)")
        terms[term] = written
    return tuple(terms)


def _cut(written: str, segmenter: Segmenter) -> str:
    words = segmenter.words(written)
    if not words:
        raise _BadRuleError(f"`{written}` has no word that the index keeps")
    if len(words) > _LONGEST_TERM:
        raise _BadRuleError(f"`{written[:40]}` is cut into {len(words)} words, {_LONGEST_TERM} are the most")
    as_text = segmenter.words(_BLANK_INSIDE.sub("", written))
    if as_text != words:
        raise _BadRuleError(
            f"in a text without blanks `{written}` is cut into `{' '.join(as_text)}` and would never be found: write "
            "it without blanks, as texts do"
        )
    return " ".join(words)

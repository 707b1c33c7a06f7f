"""Hits and answers as text for people and language models: numbered passages, each with where it is from.

What documents hold of the frame of a conversation (`<|im_start|>`) is broken up: this text becomes a part of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from bothways.client.role_tokens import break_role_tokens
from bothways.schemas.ask import Answer
from bothways.schemas.search import Hit

PLACE = ("law", "book", "chapter", "section", "article")
"""Metadata that says where a passage stands, from the outside in."""

NOTHING = "Nothing was found."


class Placed(Protocol):
    """What has a source: a hit, a passage, a citation."""

    @property
    def source(self) -> str: ...  # noqa: D102

    @property
    def title(self) -> str: ...  # noqa: D102

    @property
    def metadata(self) -> Mapping[str, Any]: ...  # noqa: D102


def place(of: Placed) -> str:
    """Return `source=… | law | book | chapter | section | article` on one line: those that exist, else the title."""
    known = [line for name in PLACE if (line := _line(of.metadata.get(name)))]
    if not known and of.title:
        known = [_line(of.title)]
    return " | ".join([f"source={_line(of.source)}", *known])


def passages_text(hits: Sequence[Hit]) -> str:
    """Return hits as passages, numbered from 1."""
    if not hits:
        return NOTHING
    return break_role_tokens("\n\n".join(f"[{n}] {place(hit)}\n{hit.text.strip()}" for n, hit in enumerate(hits, 1)))


def answer_text(answer: Answer) -> str:
    """Return an answer with the sources that it cites; without an answer, the passages and the reason."""
    if answer.answer is None:
        passages = [f"[{one.n}] {place(one)}\n{one.text.strip()}" for one in answer.contexts]
        return break_role_tokens("\n\n".join([answer.note or "There is no answer.", *passages]))
    sources = [f"[{one.n}] {place(one)}" for one in answer.citations]
    notes = [answer.note] if answer.note and answer.status != "unknown" else []
    return break_role_tokens("\n\n".join([answer.answer, *(["\n".join(sources)] if sources else []), *notes]))


def _line(value: object) -> str:
    """Return a value on one line: a document's name must not look like a passage."""
    if value is None:
        return ""
    return " ".join((", ".join(map(str, value)) if isinstance(value, list) else str(value)).split())

"""Earlier messages of a conversation: bounded, and condensed into the question, because a search sees no others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from bothways.core.errors import LLMError
from bothways.core.text.valid import valid_text
from bothways.models.llm.chat import ChatModel
from bothways.models.llm.usage import estimate_tokens
from bothways.search.answering.prompt import condense_prompt
from bothways.search.answering.types import Turn

MOST_CHARS = 1000
"""Longest condensed question; the language model has misunderstood where it writes more."""

_CITED = re.compile(r" ?\[\d+\]")
_LABEL = re.compile(
    r"\A(?:(?:改写后的|独立的|完整的|新的?)?问题|(?:rewritten |standalone |new )?question)\s*[:：]\s*", re.IGNORECASE
)
_QUOTES = " \t\n\"'“”‘’「」『』`*"
_REFUSAL = re.compile(
    r"(?:抱歉|对不起|我(?:无法|不能)|(?:I['’]m |I am )?sorry\b|I (?:cannot|can['’]t)\b)", re.IGNORECASE
)


def bounded(history: Sequence[Turn], *, turns: int, tokens: int) -> list[Turn]:
    """Return the end of a conversation: at most `turns` questions with their answers, and about `tokens` tokens.

    The oldest messages are dropped first, and the last one that still fits in part is cut at its end. Citations are
    left out: their numbers meant other passages.
    """
    kept: list[Turn] = []
    left = tokens
    for turn in reversed(history[-2 * turns :] if turns else ()):
        text = " ".join(_CITED.sub("", " ".join(valid_text(turn.text).split())).split())
        if not text:
            continue
        need = estimate_tokens(text)
        if need > left:
            text = text[: len(text) * left // need]
        if text:
            kept.append(replace(turn, text=text))
        left -= need
        if left <= 0:
            break
    return kept[::-1]


async def condense(question: str, history: Sequence[Turn], chat: ChatModel, *, timeout_s: float) -> str:
    """Return a follow-up as a question that stands alone; raises `LLMError` where the model gives none in time."""
    answer = await chat.complete(condense_prompt(question, history), timeout_s=timeout_s)
    text = _LABEL.sub("", " ".join(valid_text(answer).split()).strip(_QUOTES)).strip(_QUOTES)
    if not text or len(text) > MOST_CHARS or _REFUSAL.match(text):
        raise LLMError("The language model did not turn the follow-up into a question that stands alone.")
    return text

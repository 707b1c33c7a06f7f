"""What was said before: bounded, and made part of the question by the language model, since searches have no memory."""

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
"""Of a question that stands alone; a longer one is no question."""

_CITED = re.compile(r" ?\[\d+\]")
_LABEL = re.compile(
    r"\A(?:(?:改写后的|独立的|完整的|新的?)?问题|(?:rewritten |standalone |new )?question)\s*[:：]\s*", re.IGNORECASE
)
_QUOTES = " \t\n\"'“”‘’「」『』`*"
_REFUSAL = re.compile(
    r"(?:抱歉|对不起|我(?:无法|不能)|(?:I['’]m |I am )?sorry\b|I (?:cannot|can['’]t)\b)", re.IGNORECASE
)


def bounded(history: Sequence[Turn], *, turns: int, tokens: int) -> list[Turn]:
    """Give the end of a conversation: at most `turns` questions with their answers, and about `tokens` tokens.

    The oldest go first; of the message that the limit falls into the beginning is kept. Citations are left out: their
    numbers meant other passages.
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
    """Ask for the question that stands alone; raises `LLMError` where none comes in time, or nothing like one."""
    answer = await chat.complete(condense_prompt(question, history), timeout_s=timeout_s)
    text = _LABEL.sub("", " ".join(valid_text(answer).split()).strip(_QUOTES)).strip(_QUOTES)
    if not text or len(text) > MOST_CHARS or _REFUSAL.match(text):
        raise LLMError("The language model made no question that stands alone of a follow-up.")
    return text

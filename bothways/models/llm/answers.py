"""An endpoint's JSON read as an answer; nothing is assumed about the types of its values."""

from __future__ import annotations

import re
from typing import Any

from bothways.core.errors import LLMAnswerTooLargeError, LLMError, LLMUnavailableError
from bothways.core.text.valid import valid_text
from bothways.models.llm.usage import TokenUsage

MAX_CHARS = 200_000
"""Of an answer's text, thoughts not counted: a short novel, and more than any prompt of ours asks for."""
_MOST_TOKENS = 10**9
"""A larger count of tokens is ignored: it cannot be real."""

_OPEN, _CLOSE = "<think>", "</think>"
_THINKING = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)


def usage_of(answer: object) -> TokenUsage:
    """Take the token counts out of a completion; an answer without both of them is counted as uncounted."""
    usage = _get(answer, "usage")
    prompt, written = (_count(_get(usage, name)) for name in ("prompt_tokens", "completion_tokens"))
    return TokenUsage(uncounted=1) if prompt is None or written is None else TokenUsage(prompt, written)


def text_of(answer: object) -> str:
    """Take the text out of a completion; one that is empty, filtered, cut off or too long is an `LLMError`."""
    choice = _first(_get(answer, "choices"))
    message = _get(choice, "message")
    content = _get(message, "content")
    if not isinstance(message, dict) or not isinstance(content, str | None):
        raise LLMUnavailableError(
            "The language model sent something that is not a chat completion; is BOTHWAYS_LLM_BASE_URL right?"
        )
    reason = _get(choice, "finish_reason")
    if reason == "length":
        raise LLMError("The language model's answer was cut off at its length limit.")
    if reason == "content_filter" or _get(message, "refusal"):
        raise LLMError("The language model refused to answer (content filter).")
    text = _THINKING.sub("", content or "").strip()
    if not text:
        raise LLMError("The language model gave an empty answer.")
    if len(text) > MAX_CHARS:
        raise too_long()
    return valid_text(text)


def piece_of(event: object) -> tuple[str, str | None]:
    """Take text and reason of the end out of one event of a stream; endpoints send events without either, too."""
    choice = _first(_get(event, "choices"))
    content = _get(_get(choice, "delta"), "content")
    reason = _get(choice, "finish_reason")
    return (valid_text(content) if isinstance(content, str) else ""), (reason if isinstance(reason, str) else None)


def error_in(event: object) -> str | None:
    """Return the error that an event of a stream reports; None if it reports none."""
    error = _get(event, "error")
    if not error:
        return None
    said = _get(error, "message") if isinstance(error, dict) else error
    return said if isinstance(said, str) and said.strip() else "an error without a message"


def first_model(answer: object) -> str | None:
    """Return the name of the first model in a list of models; None if there is no usable name."""
    name = _get(_first(_get(answer, "data")), "id")
    return name if isinstance(name, str) and name and len(name) <= 200 and name.isprintable() else None


def check_end(reason: str | None, *, written: bool) -> None:
    """Raise `LLMError` for a stream that did not end normally."""
    if reason is None:
        raise LLMUnavailableError("The language model's answer ended before it was done.")
    if reason == "length":
        raise LLMError("The language model's answer was cut off at its length limit.")
    if reason == "content_filter":
        raise LLMError("The language model refused to answer (content filter).")
    if not written:
        raise LLMError("The language model gave an empty answer.")


def too_long() -> LLMAnswerTooLargeError:
    """Return the error of a text that is too long."""
    return LLMAnswerTooLargeError(
        f"Reading the language model's answer was stopped: it has more than {MAX_CHARS:,} characters."
    )


class Thoughts:
    """Leaves out the `<think>…</think>` that a reasoning model begins with, and the white space around it.

    Only the last characters of thoughts are held, which may begin their end mark: thoughts may be very long.
    """

    def __init__(self) -> None:
        self._held = ""
        self._state = "before"

    def feed(self, piece: str) -> str:
        """Take in a piece and return the part of it that is not thought."""
        if self._state == "after":
            return piece
        self._held += piece
        if self._state == "before":
            self._begin()
        if self._state == "thinking":
            self._think()
        if self._state == "thought":
            self._held = self._held.lstrip()
            if self._held:
                self._state = "after"
        if self._state != "after":
            return ""
        shown, self._held = self._held, ""
        return shown

    def close(self) -> str:
        """Return what was held back and is not thought after all."""
        held, self._held = self._held.strip(), ""
        return held if self._state == "before" else ""

    def _begin(self) -> None:
        self._held = self._held.lstrip()
        if self._held.startswith(_OPEN):
            self._state, self._held = "thinking", self._held[len(_OPEN) :]
        elif not _OPEN.startswith(self._held):  # which the empty text begins, too
            self._state = "after"

    def _think(self) -> None:
        _, closed, rest = self._held.partition(_CLOSE)
        if closed:
            self._state, self._held = "thought", rest
        else:
            self._held = self._held[1 - len(_CLOSE) :]


def _get(value: object, name: str) -> Any:  # noqa: ANN401 – any JSON
    return value.get(name) if isinstance(value, dict) else None


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else None


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else None

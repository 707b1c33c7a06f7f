"""From settings to the options of answers."""

from __future__ import annotations

from bothways.core.settings import Settings
from bothways.search.answering.answer import AnswerOptions


def answer_options(settings: Settings) -> AnswerOptions:
    """Return the options of answers that the settings choose."""
    return AnswerOptions(
        context_tokens=settings.ask_context_tokens,
        history_turns=settings.ask_history_turns,
        history_tokens=settings.ask_history_tokens,
        condense_deadline_s=settings.ask_condense_deadline_ms / 1000,
        timeout_s=settings.llm_timeout_s,
    )

"""The tokens that a language model used, as its endpoint counts them, and what they cost."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\u3000-\u303f]")
_CHARS_A_TOKEN = 4
_PER = 1_000_000


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens that were read (`prompt`) and written (`completion`); `uncounted` answers came without a count."""

    prompt: int = 0
    completion: int = 0
    uncounted: int = 0

    def __add__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(
            self.prompt + other.prompt, self.completion + other.completion, self.uncounted + other.uncounted
        )

    def __sub__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(
            self.prompt - other.prompt, self.completion - other.completion, self.uncounted - other.uncounted
        )


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of a million tokens, in any currency; a price that is not set counts as 0."""

    prompt: float | None = None
    completion: float | None = None

    def cost(self, usage: TokenUsage) -> float | None:
        """Return what the usage cost; None if no price is set."""
        if self.prompt is None and self.completion is None:
            return None
        return (usage.prompt * (self.prompt or 0.0) + usage.completion * (self.completion or 0.0)) / _PER


class UsageCounter:
    """Adds up what several threads use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = TokenUsage()

    @property
    def total(self) -> TokenUsage:
        """All that was added so far."""
        with self._lock:
            return self._total

    def add(self, usage: TokenUsage) -> None:
        """Count one answer."""
        with self._lock:
            self._total += usage


def estimate_tokens(text: str) -> int:
    """Guess the tokens of a text by its characters: one a Chinese character or mark, one for four others.

    Today's tokenizers need fewer for Chinese (0.6 to 0.8 a character), so this is rather too high than too low; no
    tokenizer is loaded for it.
    """
    wide = len(_CJK.findall(text))
    return wide + -(-(len(text) - wide) // _CHARS_A_TOKEN)

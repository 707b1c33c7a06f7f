"""An answer while the language model writes it: what can be shown so far, and what it is in the end."""

from __future__ import annotations

from bothways.schemas.names import AnswerStatus
from bothways.search.answering.writing.links import Links, readable
from bothways.search.answering.writing.markers import Markers
from bothways.search.answering.writing.unknown import declines, may_say_unknown, says_unknown, unknown_word

MOST_UNDECIDED = 200
"""Characters at the beginning in which the word 未知 must come, if it comes at all."""


class Writing:
    """Takes pieces of one answer to `question`, which may cite passages 1 to `n`, and returns what can be shown.

    `addresses` are those that the passages contain; others are changed so that they lead nowhere. The beginning is
    held back while it may turn out to be 未知. After `close`, `text` is the final answer: what was shown, or 未知 where
    that said in its own words that the passages do not contain the answer.
    """

    def __init__(self, question: str, *, n: int, addresses: frozenset[str] = frozenset()) -> None:
        self._word = unknown_word(question)
        self._markers = Markers(n)
        self._links = Links(addresses)
        self._beginning: list[str] | None = []
        self._undecided = 0
        self._shown: list[str] = []
        self.status: AnswerStatus = "failed"
        self.text: str | None = None

    @property
    def cited(self) -> list[int]:
        """The numbers of the cited passages, in the order of their first appearance."""
        return [] if self.status == "unknown" else self._markers.cited

    @property
    def removed(self) -> int:
        """The number of citations that named no passage."""
        return self._markers.removed

    def feed(self, piece: str) -> str:
        """Take a piece and return what can be shown now."""
        piece = readable(piece)
        if self._beginning is not None:
            if (begun := self._begun(piece)) is None:
                return ""
            piece = begun
        return self._show(self._links.feed(self._markers.feed(piece)))

    def _begun(self, piece: str) -> str | None:
        """Take a piece of the beginning; return the whole beginning once it cannot be 未知 any more, else None."""
        if self._beginning is None:
            return piece
        if not self._beginning:
            piece = piece.lstrip()
        if piece:
            self._beginning.append(piece)
        if self._undecided < MOST_UNDECIDED:
            self._undecided += len(piece)
            beginning = "".join(self._beginning)
            if not may_say_unknown(beginning[:MOST_UNDECIDED]):
                self._beginning = None
                return beginning
        return None

    def close(self, *, whole: bool = True) -> str:
        """End the answer and return the rest to show; `whole`: the model was not interrupted."""
        rest = ""
        if self._beginning is not None:
            held, self._beginning = "".join(self._beginning).strip(), None
            checked = self._links.feed(self._markers.feed(held) + self._markers.close())
            if says_unknown(held, cites=bool(self._markers.cited) or not whole):
                self.status, self.text = "unknown", self._word
                return self._show(self._word)
            if not whole:
                return ""
            rest = self._show(checked)
        rest += self._show(self._links.feed(self._markers.close()) + self._links.close())
        text = "".join(self._shown).strip()
        if not text:
            return rest
        self.text = text
        self.status = "cut" if not whole else "answered" if self._markers.cited else "uncited"
        declined = self.status == "uncited" and declines(text)
        if declined or (whole and says_unknown(text, cites=bool(self._markers.cited))):
            self.status, self.text = "unknown", self._word
        return rest

    def _show(self, text: str) -> str:
        if text:
            self._shown.append(text)
        return text

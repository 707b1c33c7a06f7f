"""An answer while the language model writes it: what may be shown of it so far, and what it was in the end."""

from __future__ import annotations

from search.answering.markers import Markers
from search.answering.types import Status
from search.answering.unknown import declines, may_say_unknown, says_unknown, unknown_word


class Writing:
    """Takes pieces of one answer to `question`, which may cite passages 1 to `n`, and gives what may be shown.

    The beginning is held back as long as it may turn out to be 未知. After `close`, `text` is the answer as it counts,
    which is what was shown, but where it said in a sentence of its own that the passages do not hold it.
    """

    def __init__(self, question: str, *, n: int) -> None:
        self._word = unknown_word(question)
        self._markers = Markers(n)
        self._beginning: str | None = ""
        self._shown: list[str] = []
        self.status: Status = "failed"
        self.text: str | None = None

    @property
    def cited(self) -> list[int]:
        """The numbers of the passages that the answer cites, in the order of their first appearance."""
        return [] if self.status == "unknown" else self._markers.cited

    @property
    def removed(self) -> int:
        """How many citations named no passage."""
        return self._markers.removed

    def feed(self, piece: str) -> str:
        """Take in a piece and give what may be shown now."""
        if self._beginning is not None:
            self._beginning += piece
            if may_say_unknown(self._beginning):
                return ""
            piece, self._beginning = self._beginning.lstrip(), None
        return self._show(self._markers.feed(piece))

    def close(self, *, whole: bool = True) -> str:
        """End the answer and give what is left to show. `whole`: the model was done, and not interrupted."""
        rest = ""
        if self._beginning is not None:
            held, self._beginning = self._beginning.strip(), None
            checked = self._markers.feed(held)
            if says_unknown(held, cites=bool(self._markers.cited) or not whole):
                self.status, self.text = "unknown", self._word
                return self._show(self._word)
            rest = self._show(checked if whole else "")
        rest += self._show(self._markers.close())
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

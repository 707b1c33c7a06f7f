"""Links, pictures and HTML in an answer that is being written: those that no passage contains are made harmless.

A document can ask the language model to write `![](https://elsewhere/?q=what+it+read)`, and a chat client that draws
the answer would fetch it. So an address stays as it is only where a passage contains it, letter for letter. Else
`https://` becomes `hxxps://`, `](` and `]:` get a space, and `<img` becomes `< img`, which people can still read. Text
that may become any of these is held back until that is known, so the size of the pieces makes no difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from bothways.search.answering.passages import about
from bothways.search.answering.types import Passage

_SCHEMES = "https?|ftps?|sftp|wss?|file|data|javascript|vbscript|blob"
_NAMES = ("https", "ftps", "sftp", "wss", "file", "data", "javascript", "vbscript", "blob")
_START = re.compile(rf"[\]<!]|(?<![A-Za-z0-9])(?:{_SCHEMES}):|(?<![A-Za-z0-9.])www\.|://", re.IGNORECASE)
_PARTIAL = re.compile(
    "(?:(?<![A-Za-z0-9])(?:" + "|".join("(?:".join(name) + ")?" * (len(name) - 1) for name in _NAMES) + ")"
    r"|(?<![A-Za-z0-9.])w{1,3}|:/?)\Z",
    re.IGNORECASE,
)
"""A possible beginning of a scheme, of `www.` or of `://` at the end of a text."""
_RUN = re.compile(r"""[^\s<>"'`|\\^{}\[\]（）「」『』《》【】，。；：！？、“”‘’…]*""")
_ASCII = re.compile(r"[!-~]*")
_TRAILING = ".,;:!?)*_~"
_HELD = re.compile(rf"(?:[A-Za-z][A-Za-z0-9+.-]{{0,30}}://|(?<![A-Za-z0-9.])www\.){_RUN.pattern}", re.IGNORECASE)
_PLAIN_TAG = re.compile(
    r"</?(?:b|i|u|em|strong|code|kbd|pre|br|hr|p|ul|ol|li|dl|dt|dd|sub|sup|table|thead|tbody|tr|td|th|h[1-6]|mark"
    r"|blockquote) ?/?>",
    re.IGNORECASE,
)
"""Tags without attributes that only lay out text."""
_MARKS_AFTER = 64
"""Characters of punctuation that may follow an address."""
_LONGEST_TAG = 14
_HELD_TAG = re.compile(
    r"</?(?!(?:script|style|iframe|frame|frameset|object|embed|applet|link|meta|base|form|input|button|svg|math|template"
    r"|noscript|noembed|plaintext|xmp|img|image|video|audio|source|track|a)\b)[A-Za-z][A-Za-z0-9_.:-]{0,60} ?/?>",
    re.IGNORECASE,
)
"""Tags without attributes that load and run nothing in a browser, as in documents about XML."""
_LONGEST_ALT = 300
_CITATION = re.compile(r"!\[\d+\]")
_CITED = re.compile(r"\[\d+\Z")

_MISLEADING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xE0000, 0xE0080)])
"""Marks that change the direction of writing, and invisible letters."""


def readable(text: str) -> str:
    """Return text without invisible characters that change how it reads.

    Control characters stay: JSON escapes them, and the command line prints them as escapes
    (bothways/core/text/printable.py).
    """
    return text.translate(_MISLEADING)


def held_addresses(passages: Iterable[Passage]) -> frozenset[str]:
    """Return the addresses in the text, title, source or metadata of passages, and the harmless tags in their text."""
    held: set[str] = set()
    for passage in passages:
        held.update(_HELD_TAG.findall(passage.text))
        for text in (passage.text, passage.hit.title, about(passage.hit)):
            for run in _HELD.findall(text):
                held |= {run, run.rstrip(_TRAILING), _ascii(run), _ascii(run).rstrip(_TRAILING)}
    return frozenset(held)


class Links:
    """Checks the addresses of one answer against those that the passages contain (`held`)."""

    def __init__(self, held: frozenset[str]) -> None:
        self._known = held
        self._most = max(map(len, held), default=0) + _MARKS_AFTER
        self._held = ""
        self._last = ""

    def feed(self, text: str) -> str:
        """Take a piece of the answer and return what can be shown now."""
        return self._shown(text, final=False)

    def close(self) -> str:
        """Return the rest at the answer's end."""
        return self._shown("", final=True)

    def _shown(self, text: str, *, final: bool) -> str:
        before, buffer = len(self._last), self._last + self._held + text  # the last character tells where words begin
        shown: list[str] = []
        at = before
        while True:
            found = _START.search(buffer, at)
            begin = found.start() if found else len(buffer)
            step = self._step(buffer, begin, found.group(), final=final) if found else None
            if step is None:
                break
            shown += [buffer[at:begin], step[0]]
            at = step[1]
        if found and found.group() == "]" and (citation := _CITED.search(buffer, max(at, begin - 8), begin)):
            begin = citation.start()  # a client sees no half of one
        if not found and not final and (partial := _PARTIAL.search(buffer, max(at, len(buffer) - _LONGEST_TAG))):
            begin = partial.start()
        shown.append(buffer[at:begin])
        self._held = buffer[begin:]
        self._last = buffer[begin - 1 : begin] if begin else ""
        return "".join(shown)

    def _step(self, text: str, begin: int, what: str, *, final: bool) -> tuple[str, int] | None:
        """Return what is shown from here, and where the text goes on; None where more text is needed to tell."""
        if what == "://":
            return ": //", begin + 3  # of a scheme that is not known, since others begin before
        following = text[begin + len(what) : begin + len(what) + 1]
        if not following:
            return (what, begin + len(what)) if final else None
        match what:
            case "]":
                return self._after_bracket(text, begin, following, final=final)
            case "<":
                return self._tag(text, begin, following, final=final)
            case "!":
                return self._picture(text, begin, final=final) if following == "[" else ("!", begin + 1)
        return self._address(text, begin, what, final=final)

    def _after_bracket(self, text: str, begin: int, following: str, *, final: bool) -> tuple[str, int] | None:
        if following == ":":
            return "] ", begin + 1
        if following != "(":
            return "]", begin + 1
        end = self._target_end(text, begin + 1, ")", final=final)
        return None if end is None else (text[begin:end], end) if end else ("] ", begin + 1)

    def _target_end(self, text: str, begin: int, closing: str, *, final: bool) -> int | None:
        """Return where `(address)` or `<address>` with a held address ends; 0: there is none, None: unknown so far."""
        inside = self._run(text, begin + 1)
        end = begin + 1 + len(inside)
        if closing == ")" and ")" in inside:
            inside, end = inside[: inside.index(")")], begin + 1 + inside.index(")")
        if (
            end == len(text)
            and not final
            and len(inside) < self._most
            and any(one.startswith(inside) for one in self._known)
        ):
            return None
        return end + 1 if text[end : end + 1] == closing and inside in self._known else 0

    def _tag(self, text: str, begin: int, following: str, *, final: bool) -> tuple[str, int] | None:
        if not (following.isascii() and following.isalpha()) and following not in "/!?":
            return "<", begin + 1
        if tag := _PLAIN_TAG.match(text, begin):
            return tag.group(), tag.end()
        if (tag := _HELD_TAG.match(text, begin)) and tag.group() in self._known:
            return tag.group(), tag.end()
        end = self._target_end(text, begin, ">", final=final)
        if end:
            return text[begin:end], end
        begun = text[begin : begin + self._most]
        waits = len(begun) < _LONGEST_TAG and not re.search(r"[>\n]", begun)
        waits = waits or (begin + len(begun) == len(text) and any(one.startswith(begun) for one in self._known))
        return None if end is None or (waits and not final) else ("< ", begin + 1)

    def _picture(self, text: str, begin: int, *, final: bool) -> tuple[str, int] | None:
        """Drop the `!` of a picture that no passage contains; its brackets are checked like those of a link."""
        close = text.find("]", begin, begin + _LONGEST_ALT)
        if close < 0 and len(text) - begin < _LONGEST_ALT and not final:
            return None
        following = text[close + 1 : close + 2] if close >= 0 else ""
        if close >= 0 and not following and not final:
            return None
        if following == "(":
            end = self._target_end(text, close + 1, ")", final=final)
            return None if end is None else (text[begin:end], end) if end else ("", begin + 1)
        return ("!" if _CITATION.match(text, begin) else ""), begin + 1

    def _address(self, text: str, begin: int, what: str, *, final: bool) -> tuple[str, int] | None:
        whole = self._run(text, begin)
        ends = begin + len(whole) < len(text) or len(whole) == self._most or final
        begun = not final and text[begin + len(what) :] == "/"  # of which the other may follow
        if begun or (not ends and self._may_be_held(whole)):
            return None
        for kept in (whole, whole.rstrip(_TRAILING), _ascii(whole), _ascii(whole).rstrip(_TRAILING)):
            if self._is_held(kept):
                end = begin + len(kept)
                glued = text[end : end + 1].isalnum()  # a client could take what follows for a part of the address
                return kept + (" " if glued else ""), end
        return _defused(what, text[begin + len(what) :][:2]), begin + len(what)

    def _run(self, text: str, begin: int) -> str:
        """Return the characters that could be an address, up to the length of the longest held one."""
        found = _RUN.match(text, begin, begin + self._most)
        return found.group() if found else ""

    def _is_held(self, address: str) -> bool:
        bare = address.removesuffix("/")
        forms = (bare, f"{bare}/")
        return any(
            f"{prefix}{form}" in self._known
            for form in forms
            for prefix in (("",) if "://" in address else ("", "http://", "https://"))
        )

    def _may_be_held(self, run: str) -> bool:
        """Return whether an address could become a held one with more characters."""
        stripped = _ascii(run).rstrip(_TRAILING)
        if self._is_held(stripped) or self._is_held(run.rstrip(_TRAILING)):
            return True
        bare = [one.partition("://")[2] for one in self._known] if "://" not in run else []
        return any(one.startswith(run) for one in (*self._known, *bare))


def _ascii(run: str) -> str:
    found = _ASCII.match(run)
    return found.group() if found else ""


def _defused(what: str, following: str) -> str:
    """Return the beginning of an address, changed so that no program takes it for one."""
    if what.casefold() == "www.":
        return what if following[:1].isspace() else f"{what[:-1]}(.)"
    if what.casefold() in {"http:", "https:"} and following == "//":
        return f"{what[0]}{'XX' if what[1].isupper() else 'xx'}{what[3:]}"
    return what if following[:1].isspace() else f"{what} "

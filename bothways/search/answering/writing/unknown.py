"""Answers which say that the passages do not contain it become one word in the question's language."""

from __future__ import annotations

import re
import unicodedata

from bothways.core.prompts import language_of
from bothways.search.answering.writing.markers import INSIDE

WORDS = {"zh": "未知", "en": "unknown"}
"""未知 answers a question that is mostly in Chinese characters, unknown any other."""

_SAID = (
    "未知",
    "unknown",
    "不知道",
    "i don't know",
    "i do not know",
    "答案未知",
    "答案是未知",
    "the answer is unknown",
)
_LEADING = re.compile(r"(?:(?:最终)?(?:答案|回答)(?:是|为)?|(?:final )?answer)\s*[:：]\s*", re.IGNORECASE)
_AROUND = " \t\r\n\u3000*_#>`\"'“”‘’「」『』《》()（）.。!！…"
_BEGINS = re.compile(
    rf"(?:{'|'.join(map(re.escape, sorted(_SAID, key=len, reverse=True)))})(?=\Z|[^\S\n]*(?:\n|[^\w\s]))",
    re.IGNORECASE,
)
_MARKER = re.compile(rf"[\[【［][{INSIDE}]*[\]】］]?")
_DECLINES = re.compile(
    r"(?:资料|文档|材料|上下文|段落|信息)[^。！？!?]{0,20}(?:没有|未|并无|无|不)(?:明确)?(?:提到|提及|提供|包含|说明|涉及|记载|给出|相关|足够|足以)"
    r"|(?:无法|不能)(?:从[^。]{0,12})?(?:回答|确定|得知|判断)|(?:因此|所以|故)?(?:答案)?(?:是|为)?未知[。.!！]?\Z"
    r"|(?:passages?|documents?|context|sources?)\b[^.!?]{0,40}\b(?:do(?:es)? not|don't|doesn't)\b[^.!?]{0,20}"
    r"\b(?:mention|contain|state|say|provide|include|answer|hold)"
    r"|\b(?:cannot|can't|unable to|not able to)\s+(?:be\s+)?(?:answer|determine|tell|find)|\bunknown[.!]?\Z",
    re.IGNORECASE,
)
_SHORT = 200


def unknown_word(question: str) -> str:
    """Return the word in the question's language."""
    return WORDS[language_of(question)]


def says_unknown(text: str, *, cites: bool) -> bool:
    """Return whether an answer is only the word, or begins with it and cites nothing."""
    bare = _bare(_MARKER.sub("", text)).casefold()
    return bare in _SAID or (not cites and bool(_BEGINS.match(bare)))


def declines(text: str) -> bool:
    """Return whether a short answer without citations says in its own words that there is no answer."""
    return len(text) <= _SHORT and bool(_DECLINES.search(text.strip()))


def may_say_unknown(beginning: str) -> bool:
    """Return whether the beginning of an answer, which may be empty, can still become the word."""
    bare = _bare(beginning).casefold()
    return any(said.startswith(bare) for said in (*_SAID, "答案：", "回答：", "answer:")) or bool(_BEGINS.match(bare))


def _bare(text: str) -> str:
    text = unicodedata.normalize("NFC", text).replace("’", "'").strip(_AROUND)
    return _LEADING.sub("", text, count=1).lstrip(_AROUND)

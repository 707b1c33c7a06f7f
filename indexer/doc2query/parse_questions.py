"""A language model's answer in, clean questions out. Pure: no model, no network.

Models asked for JSON answer with JSON, with JSON in a code fence, with a numbered list, or with a polite sentence in
front. `split_answer` takes an answer apart, `clean_questions` keeps what is a question of its own; the first half is
what the cache stores, so that a better second half needs no new call.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence

from rapidfuzz import fuzz

MAX_CHARS = 200
"""A longer "question" is an explanation or a passage."""

MOST_CHARS = 2000
"""Of an item with its numbering, bullets and quotes: from what is longer, no question is taken."""

MIN_CHARS = 2

MIN_COPIED_CHARS = 8
"""From this length on, a question that stands word for word in the text adds nothing; shorter ones are terms, which
people do search for. All 24,740 recorded questions survive this rule, 15 of them only because they are shorter."""

NEAR_COPY = 95.0
MIN_NEAR_CHARS = 16
"""From this likeness to a stretch of the text on (0 to 100), a question is its sentence with a word changed; from this
length on, since in a shorter one the changed word is a good part of it ("非法出售增值税专用发票罪" is no copy of
"非法出售增值税专用发票的")."""

NEAR_ANOTHER = 90.0
"""From this likeness to a question before it on, a question is that one again. Not lower: a keyword query and the full
question that it was made of lie at 70 to 88, and both are wanted."""

_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_NUMBER = re.compile(r"[\d零〇一二两三四五六七八九十百千万]+")
_FENCE = re.compile(r"```[\w-]*\s*\n?(.*?)(?:```|\Z)", re.DOTALL)
_THINKING = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_STRING = re.compile(r'("(?:[^"\\]|\\(?:.|\Z))*+(?:"|\Z))(\s*+:)?', re.DOTALL)
"""A string and whether it is a key; the last one may have no end, so that no quote is looked at twice."""
_CJK_DIGITS = "一二三四五六七八九十"
_NUMBERING = re.compile(
    rf"""^(?:
        \d{{1,2}}\s*[.)、．)）:：](?!\d)                  # 1.  1)  1、 but not 1.5 or "3、4岁"
      | [((（]\s*(?:\d{{1,2}}|[{_CJK_DIGITS}]{{1,2}})\s*[)）]   # (1) （一）
      | [{_CJK_DIGITS}]{{1,2}}[、.．](?![{_CJK_DIGITS}])  # 一、 but not "一、二审"
      | [\u2460-\u2473\u2776-\u277f]                      # ① ❶
      | [-*+•·–—](?=\s)                                   # - * • as bullets
      | [-•·–—](?!\d)
      | (?:q|question|query|问题|问|提问)\s*(?:\d{{1,2}}|[{_CJK_DIGITS}]{{1,2}})?\s*[:：.、]
    )\s*""",
    re.VERBOSE | re.IGNORECASE,
)
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "「": "」", "『": "』", "`": "`", "**": "**", "__": "__"}
_PREAMBLE = re.compile(
    r"^(?:以下|下面|好的|当然|根据(?:您|你|上述|以上|给定)|here\s+(?:are|is)\b|sure\b|certainly\b|of\s+course\b)",
    re.IGNORECASE,
)
_ENDS_STATEMENT = (".", "。", "!", "！")
_ENDS_HEADING = (":", "：")
_END_MARKS = "?？!！.。,，;；:：、 "


def parse_questions(answer: str, *, n: int, text: str) -> list[str]:
    """Take at most `n` questions out of a model's `answer` about `text`, in its order; an unusable answer gives []."""
    return clean_questions(split_answer(answer), n=n, text=text)


def split_answer(answer: str) -> list[str]:
    """Take an answer apart into its items: the strings of its JSON where there is any, its lines otherwise."""
    answer = _THINKING.sub("", answer).strip()
    fenced = _FENCE.search(answer)
    for candidate in (
        answer,
        fenced.group(1) if fenced else "",
        _between(answer, "{", "}"),
        _between(answer, "[", "]"),
    ):
        found = _from_json(candidate)
        if found is not None:
            return found
    body = (fenced.group(1) if fenced else answer).strip()
    if body.startswith(("{", "[")) and (strings := _strings_of(body)):
        return strings
    return body.splitlines()


def clean_questions(raw: Iterable[str], *, n: int, text: str) -> list[str]:
    """Keep the first `n` of `raw` that are questions of their own.

    Numbering, bullets and quotes around a question go. Dropped are preambles, what is too short or too long, what
    was said before or nearly so (white space, case, width and the mark at the end do not count) and what is copied, or
    nearly, from `text`.
    """
    normalised_text = _normalised(text)
    seen: list[str] = []
    kept: list[str] = []
    for item in raw:
        if len(kept) >= n:
            break
        if len(item) > MOST_CHARS:
            continue
        question = _bare(item)
        key = _squeezed(_normalised(question))
        if not key or not _is_question(question):
            continue
        if _is_copied(question, normalised_text) or _is_said(key, seen):
            continue
        seen.append(key)
        kept.append(question)
    return kept


def _from_json(candidate: str) -> list[str] | None:
    """Return the strings of a JSON list, or of the first list in a JSON object; None where it is neither."""
    candidate = candidate.strip()
    if not candidate.startswith(("{", "[")):
        return None
    try:
        value = json.loads(candidate, strict=False)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        lists = [value["questions"]] if "questions" in value else [v for v in value.values() if isinstance(v, list)]
        value = lists[0] if lists else None
    if isinstance(value, str):
        return value.splitlines()
    return [text for item in value if (text := _item(item))] if isinstance(value, list) else None


def _strings_of(broken: str) -> list[str]:
    """Save the whole strings of JSON that is cut off or has a comma too many; keys are left out."""
    strings = (_unescaped(literal) for literal, is_key in _STRING.findall(broken) if not is_key)
    return [text for text in strings if text]


def _unescaped(literal: str) -> str | None:
    try:
        return str(json.loads(literal, strict=False))
    except ValueError:
        return None


def _item(item: object) -> str | None:
    """Return the text of one list item: a string, or an object such as {"question": "…"}."""
    if isinstance(item, dict):
        item = next((value for value in item.values() if isinstance(value, str)), None)
    return item if isinstance(item, str) else None


def _between(answer: str, first: str, last: str) -> str:
    start, end = answer.find(first), answer.rfind(last)
    return answer[start : end + 1] if 0 <= start < end else ""


def _bare(item: str) -> str:
    """Strip what stands around a question, until nothing is left to strip."""
    text = _one_line(item)
    while True:
        stripped = _unquoted(_NUMBERING.sub("", text, count=1).strip())
        if stripped == text:
            return text
        text = stripped


def _one_line(item: str) -> str:
    """Turn line breaks and tabs into spaces and drop control and other unprintable characters."""
    spaced = re.sub(r"\s+", " ", item)
    return "".join(c for c in spaced if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn"}).strip()


def _unquoted(text: str) -> str:
    """Drop one pair of quotes, if it holds the whole text and not only its first and last word."""
    if text.endswith('",'):
        text = text[:-1]
    for opening, closing in _QUOTES.items():
        inner = text[len(opening) : -len(closing)]
        whole = len(text) > len(opening) + len(closing) and text.startswith(opening) and text.endswith(closing)
        if whole and opening not in inner and closing not in inner:
            return inner.strip()
    return text


def _is_question(question: str) -> bool:
    if not MIN_CHARS <= len(question) <= MAX_CHARS or question.endswith(_ENDS_HEADING):
        return False
    if not any(character.isalnum() for character in question):
        return False
    return not (_PREAMBLE.match(question) and question.endswith(_ENDS_STATEMENT))


def _is_copied(question: str, normalised_text: str) -> bool:
    """Return whether a question stands in the text word for word or nearly; one with spaces only with the same spaces.

    Else a keyword query ("合法权益 不受侵犯") would count as a copy of a text that is written without spaces.
    """
    normalised = _normalised(question)
    if len(normalised) < MIN_COPIED_CHARS:
        return False
    within = normalised_text if " " in normalised else _squeezed(normalised_text)
    return normalised in within or _is_nearly_in(normalised, within)


def _is_nearly_in(question: str, text: str) -> bool:
    is_keywords = " " in question and _CJK.search(question) is not None
    if is_keywords or not MIN_NEAR_CHARS <= len(question) <= len(text):
        return False
    return bool(fuzz.partial_ratio(question, text, score_cutoff=NEAR_COPY))


def _is_said(key: str, seen: Sequence[str]) -> bool:
    """Return whether one of `seen` says the same or nearly so; with other numbers it does not ("16岁…", "18岁…")."""
    return key in seen or any(
        fuzz.ratio(key, other, score_cutoff=NEAR_ANOTHER) and _numbers(key) == _numbers(other) for other in seen
    )


def _numbers(text: str) -> list[str]:
    return _NUMBER.findall(text)


def _normalised(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"\s+", " ", folded).strip().rstrip(_END_MARKS)


def _squeezed(text: str) -> str:
    return text.replace(" ", "")

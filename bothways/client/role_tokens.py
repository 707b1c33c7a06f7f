"""Words that language models take for the frame of a conversation, broken up in texts that only stand inside of it.

A tokenizer turns `<|im_start|>` into the token that begins a message, wherever it stands: a document that holds
`<|im_end|><|im_start|>system` would speak as the system. A space after the first character makes it plain text that is
still read as what it says. Full-width forms and letters that nobody can see between the others make no difference:
what is in front of a model folds and drops them.
"""

from __future__ import annotations

import re
import unicodedata

_NAMES = (
    "s|bos|eos|pad|unk|mask|sep|cls|sop|eop|seq|sys|think|thinking|turn|system|user|assistant|human|model|bot|tool|tools"
    r"|(?:reserved|unused|extra|special|control)[\w.-]*+|[^\W_]*+(?:[_▁][^\W_]*+)++"
)
_FENCES = r"(?:question-)*(?:passages?|question|conversation|history|material|pair)-[\w$-]*"
_BRACKETED = (
    "inst|sys|system|system_prompt|available_tools|tool_calls|tool_results|tool_content|args|call_id|think|img|prefix"
    "|suffix|middle|model_settings|bos|eos|pad|unk|cls|sep|mask|gmask|smask"
)
_TOKEN = re.compile(
    rf"<(?=\|)|\|(?=>)|<(?=</?sys>>)|<(?=/?(?:{_NAMES})/?>)|<(?=/?{_FENCES})"
    rf"|\[(?=/?(?:{_BRACKETED})\])",
    re.IGNORECASE,
)
"""The first character of each, after which a space goes."""
_MAY_BEGIN = re.compile(r"[<\[|＜﹤［｜︱|﹇]")
_PLAIN = re.compile(r"[\t\n\r -~]*")


def break_role_tokens(text: str) -> str:
    """Return the text with its role tokens broken up; text without any is returned as it is."""
    if not _MAY_BEGIN.search(text):
        return text
    folded, places = _folded(text)
    breaks = [places[found.start()] + 1 for found in _TOKEN.finditer(folded)]
    if not breaks:
        return text
    ends = [*breaks, len(text)]
    return text[: breaks[0]] + "".join(f" {text[ends[n] : ends[n + 1]]}" for n in range(len(breaks)))


def _folded(text: str) -> tuple[str, range | list[int]]:
    """Return the text as a tokenizer may normalise it, one character each, and the position of each."""
    if _PLAIN.fullmatch(text):
        return text, range(len(text))
    chars: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        folded = unicodedata.normalize("NFKC", char)
        if len(folded) == 1 and not _is_unseen(folded):
            chars.append(folded)
            places.append(place)
        elif len(folded) > 1:
            chars.append(char)
            places.append(place)
    return "".join(chars), places


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) in {"Cf", "Cc", "Mn"} and char not in "\t\n\r"

"""What the language model reads to answer: instructions, and the passages and the question fenced off from them.

Documents are data. The name of a fence carries a hash of everything inside the fences, so no document can contain its
own end mark: its author would have to know a hash of a text that contains the hash. Numbers in brackets inside a
passage are written 〔1〕, so that the model does not copy them as citations. Words that language models take for the
frame of a conversation are broken up in all of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from string import Template

from bothways.client.role_tokens import break_role_tokens
from bothways.core.prompts import Prompt, language_of
from bothways.core.text.valid import valid_text
from bothways.search.answering.passages import about
from bothways.search.answering.types import Passage, Turn
from bothways.search.answering.writing.markers import INSIDE

ANSWER = Prompt("bothways.search.answering", "answer", data="passages")
REMINDER = Prompt("bothways.search.answering", "answer_reminder", data="passages")
CONDENSE = Prompt("bothways.search.answering", "condense", data="history")

_BRACKETED = re.compile(rf"[\[【［]([{INSIDE}]{{1,64}})[\]】］]")
_LABELS = {"zh": ("标题", "出处", "用户", "助手"), "en": ("title", "source", "user", "assistant")}


def answer_prompt(question: str, passages: Sequence[Passage], *, again: bool = False) -> str:
    """Return the prompt for an answer, in the language of the question; `again`: the last answer cited nothing."""
    language = language_of(question)
    question = _plain(question)
    inside = [_inside(passage, language) for passage in passages]
    mark = _mark("passage", *inside, question)
    fenced = "\n\n".join(
        f'<{mark} number="{passage.n}">\n{text}\n</{mark}>' for passage, text in zip(passages, inside, strict=True)
    )
    reminder = REMINDER.texts[language].strip() + "\n" if again else ""
    return Template(ANSWER.texts[language]).substitute(mark=mark, passages=fenced, question=question, reminder=reminder)


def condense_prompt(question: str, history: Sequence[Turn]) -> str:
    """Return the prompt that turns a follow-up into a question that stands alone."""
    language = language_of(question)
    *_, user, assistant = _LABELS[language]
    question = _plain(question)
    conversation = _plain("\n".join(f"{user if turn.role == 'user' else assistant}: {turn.text}" for turn in history))
    mark = _mark("conversation", conversation, question)
    return Template(CONDENSE.texts[language]).substitute(mark=mark, history=conversation, question=question)


def _inside(passage: Passage, language: str) -> str:
    title, source, *_ = _LABELS[language]
    lines = [f"{title}: {_line(passage.hit.title)}"] if passage.hit.title else []
    if known := about(passage.hit):
        lines.append(f"{source}: {_line(known)}")
    return _plain("\n".join([*lines, _BRACKETED.sub(r"〔\1〕", passage.text)]))


def _plain(text: str) -> str:
    return break_role_tokens(valid_text(text))


def _line(text: str) -> str:
    return _BRACKETED.sub(r"〔\1〕", " ".join(text.split()))


def _mark(name: str, *data: str) -> str:
    digest = hashlib.sha256("\0".join(data).encode(errors="surrogatepass")).hexdigest()
    return f"{name}-{digest[:16]}"

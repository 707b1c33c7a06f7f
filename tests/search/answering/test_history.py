from __future__ import annotations

import asyncio
import time

import pytest

from bothways.core.errors import LLMError
from bothways.search.answering.history import MOST_CHARS, bounded, condense
from bothways.search.answering.types import Turn


class FixedChat:
    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    async def complete(self, prompt, *, timeout_s):
        self.asked.append((prompt, timeout_s))
        return self.answer


def talk(*texts):
    return [Turn("user" if at % 2 == 0 else "assistant", text) for at, text in enumerate(texts)]


def test_the_last_turns_are_kept():
    assert [turn.text for turn in bounded(talk("一", "二", "三", "四"), turns=1, tokens=99)] == ["三", "四"]
    assert bounded(talk("一", "二"), turns=0, tokens=99) == []
    assert bounded(talk("一", "二"), turns=9, tokens=0) == []
    assert bounded([], turns=9, tokens=99) == []


def test_the_oldest_are_cut_where_the_tokens_end():
    kept = bounded(talk("旧" * 50, "中" * 10, "新" * 10), turns=9, tokens=30)
    assert [turn.text for turn in kept] == ["旧" * 10, "中" * 10, "新" * 10]
    assert [turn.text for turn in bounded(talk("旧", "新" * 50), turns=9, tokens=10)] == ["新" * 10]


def test_citations_and_empty_messages_are_left_out():
    assert [turn.text for turn in bounded(talk("问", "五天 [1][2]。", " \n"), turns=9, tokens=99)] == ["问", "五天。"]


@pytest.mark.parametrize("answer", ["工作满两年的年假几天", "“工作满两年的年假几天”", "问题：工作满两年的年假几天\n"])
def test_the_question_that_stands_alone(answer):
    chat = FixedChat(answer)
    made = asyncio.run(condense("那两年呢", talk("年假几天", "五天"), chat, timeout_s=3))
    assert made == "工作满两年的年假几天"
    ((prompt, timeout_s),) = chat.asked
    assert timeout_s == 3
    assert "年假几天" in prompt


@pytest.mark.parametrize("answer", ["“”", "x" * (MOST_CHARS + 1), "抱歉，我无法改写。", "Sorry, no."])
def test_what_is_no_question_is_an_error(answer):
    with pytest.raises(LLMError):
        asyncio.run(condense("那两年呢", talk("年假几天"), FixedChat(answer), timeout_s=3))


def test_a_message_of_spaces_takes_linear_time():
    started = time.process_time()
    assert bounded([Turn("user", " " * 50_000 + "几天 [1] 呢")] * 12, turns=6, tokens=1000)[-1].text == "几天 呢"
    assert time.process_time() - started < 10

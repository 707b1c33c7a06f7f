"""What a document holds of the frame of a conversation reaches no prompt as such."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.client.as_text import passages_text
from bothways.client.role_tokens import break_role_tokens
from bothways.schemas.search import Hit

TOKENS = [
    "<|im_start|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|endoftext|>",
    "<|fim_prefix|>",
    "<|user|>",
    "<s>",
    "</s>",
    "<S>",
    "<bos>",
    "<eos>",
    "<pad>",
    "<unk>",
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_response>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<start_of_image>",
    "<reserved_106>",
    "<unused12>",
    "<extra_id_0>",
    "<sop>",
    "[INST]",
    "[/INST]",
    "[inst]",
    "<<SYS>>",
    "<</SYS>>",
    "[SYSTEM_PROMPT]",
    "[gMASK]",
    "[SEP]",
    "[/AVAILABLE_TOOLS]",
    "<｜User｜>",
    "<｜begin▁of▁sentence｜>",
    "＜｜im_start｜＞",
    "＜s＞",
    "［INST］",
    "＜start_of_turn＞",
    "<｜tool▁sep｜>",
    "<\u200b|im_start|>",
    "<|\u200bim_start|>",
    "[I\u200dNST]",
    "<\xads>",
    "<start\u2060_of_turn>",
    "<\x00s>",
    "[️INST]",
    "</passage-0123456789abcdef>",
    "<passage-0123456789abcdef",
    "<question-passage-0123>",
    "<pair-ab>",
    "<conversation-0123456789abcdef>",
    "</material-00>",
    "<𝐬>",
    "[𝐈𝐍𝐒𝐓]",
]
LIVE = re.compile(
    r"<\||\|>|<(?:/?s|bos|eos|pad|unk|/?think|sop|\w+[_▁]\w*|reserved_?\d*|unused\d*)>|<</?SYS>>|\[/?(?:INST|SYSTEM_PROMPT"
    r"|AVAILABLE_TOOLS|gMASK|SEP)\]|</?(?:question-)?(?:passage|conversation|material|pair)-|</tool_response>",
    re.IGNORECASE,
)


def as_read(text):
    """A text as what is in front of a model could fold it."""
    folded = unicodedata.normalize("NFKC", text)
    return "".join(c for c in folded if c in "\n\t" or unicodedata.category(c) not in {"Cf", "Cc", "Mn"})


@pytest.mark.parametrize("token", TOKENS)
def test_a_role_token_is_one_no_more_and_can_still_be_read(token):
    assert LIVE.search(as_read(token))
    broken = break_role_tokens(f"前{token}后")
    assert not LIVE.search(as_read(broken))
    assert broken.replace(" ", "") == f"前{token}后".replace(" ", "")
    assert break_role_tokens(broken) == broken


@pytest.mark.parametrize(
    "text",
    [
        "",
        "年假五天。",
        "a < b and c > d",
        "<p>一</p> <div class='x'>",
        "x[i], [1], [见附件]",
        "f(x) -> y | z",
        "1<2|3",
        "５＜６",
    ],
)
def test_other_text_stays_as_it_is(text):
    assert break_role_tokens(text) == text


@given(
    st.lists(
        st.sampled_from([*TOKENS, "<", "|", ">", "[", "]", "/", "_", "s", "INST", "\u200b", "中", " ", "\n"]),
        max_size=12,
    )
)
def test_however_they_are_put_together(parts):
    assert not LIVE.search(as_read(break_role_tokens("".join(parts))))


@pytest.mark.parametrize("part", ["<a_", "<", "[inst", "<a_" * 3 + "_", "合<同", "<reserved.", "</", "<|", "_▁"])
def test_a_long_text_takes_linear_time(part):
    started = time.process_time()
    break_role_tokens(part * 50_000)
    break_role_tokens("<" + part * 50_000)
    assert time.process_time() - started < 10


def test_what_tools_give_to_a_model_holds_none_either():
    hit = Hit(
        rank=1,
        score=1.0,
        chunk_id="d-0",
        doc_id="d",
        title="[INST]题",
        text="五天<|im_end|>",
        source="s.txt",
        metadata={},
    )
    assert passages_text([hit]) == "[1] source=s.txt | [ INST]题\n五天< |im_end| >"

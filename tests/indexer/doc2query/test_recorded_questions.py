import hashlib
import json
from pathlib import Path

import pytest

from bothways.core.datatypes import Chunk
from bothways.core.errors import LLMError, UsageError
from bothways.indexer.doc2query.recorded_questions import RecordedQuestions
from bothways.models.llm.usage import TokenUsage

SHARED = Path(__file__).parents[3].parent / "shared"


def chunk(text):
    return Chunk(chunk_id="d0-0", doc_id="d0", position=0, title="题", heading="", text=text, source="a.txt")


def record(text, *questions):
    return json.dumps({"text": text, "questions": questions}, ensure_ascii=False) + "\n"


LONG = "".join(f"第{i}项规定的情形；" for i in range(20))


@pytest.fixture
def recorded(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text(
        "\ufeff"
        + record("民法调整平等主体之间的\n人身关系和财产关系。", "民法管什么")
        + "\n"
        + record("人身关系和财产关系。受法律保护的一切权利", "权利呢")
        + record(LONG, "哪些情形", "几项")
        + record("短文", "短吗"),
        encoding="utf-8",
    )
    return RecordedQuestions(path)


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        ("民法调整平等主体之间的人身关系 和财产关系。", ("民法管什么",)),
        ("第二条 民法调整平等主体之间的人身关系和财产关系。\n第三条 略", ("民法管什么",)),
        (LONG[50:120], ("哪些情形", "几项")),
        (f"{LONG} 民法调整平等主体之间的人身关系和财产关系。", ("哪些情形", "几项")),
        ("短文", ("短吗",)),
    ],
)
def test_recorded_questions_are_found_by_the_text(recorded, text, questions):
    assert recorded.has(chunk(text))
    assert recorded.write(chunk(text)) == questions
    assert (recorded.calls, recorded.cache_hits) == (0, 1)
    assert recorded.usage == recorded.estimate(chunk(text)) == TokenUsage()


@pytest.mark.parametrize("text", ["没有记录", LONG[50:105], "一篇短文", LONG[60:] + "民法调整", ""])
def test_what_is_not_recorded_is_said(recorded, text):
    assert not recorded.has(chunk(text))
    with pytest.raises(LLMError, match="no recorded questions"):
        recorded.write(chunk(text))


def test_the_generation_of_recorded_questions_changes_with_the_file(recorded, tmp_path):
    digest = hashlib.sha1((tmp_path / "questions.jsonl").read_bytes()).hexdigest()[:8]
    assert recorded.generation == f"recorded/{digest}"


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"7",
        b'{"text": "a"}',
        b'{"text": 1, "questions": ["b"]}',
        b'{"text": " ", "questions": ["b"]}',
        b'{"text": "a", "questions": "b"}',
        b'{"text": "a", "questions": [1]}',
        b'{"text": "a", "questions": [" "]}',
        b'{"text": "\xff", "questions": ["b"]}',
    ],
)
def test_a_malformed_line_is_named(tmp_path, line):
    path = tmp_path / "q.jsonl"
    path.write_bytes(record("文字", "问题").encode() + b"\n" + line)
    with pytest.raises(UsageError, match=r"q\.jsonl, line 3: expected"):
        RecordedQuestions(path)


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"gone\.jsonl cannot be read"):
        RecordedQuestions(tmp_path / "gone.jsonl")


@pytest.mark.parametrize("folder", ["law", "stard_core"])
def test_all_recorded_passages_are_found_whole_and_in_long_parts(folder):
    path = SHARED / "data" / folder / "pseudo_questions.jsonl"
    if not path.exists():
        pytest.skip("the recorded questions are not here")
    recorded = RecordedQuestions(path)
    with path.open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            assert len(recorded.write(chunk(row["text"]))) == 5
            if len(row["text"]) > 160:
                assert recorded.has(chunk(row["text"][40:140]))

from __future__ import annotations

import pytest

from bothways.learning.judgments.files import query_id
from bothways.learning.judgments.judge import Judgment
from bothways.learning.weekly.questions.worklist import make_worklist, why


def judgment(
    query, chunk_id, verdict, *, text="", rank=1.0, by_questions=1.0, missed=0.0, clicks=0, passed=0, ups=0, downs=0
):
    return Judgment(
        query=query,
        text=query if text == "" else text,
        chunk_id=chunk_id,
        doc_id=chunk_id,
        verdict=verdict,
        reason="so",
        relevance=0.5,
        low=0.4,
        high=0.6,
        ips=0.5,
        searches=10,
        clicks=clicks,
        passed_over=passed,
        ups=ups,
        downs=downs,
        mean_rank=rank,
        by_questions=by_questions,
        missed=missed,
    )


@pytest.mark.parametrize(
    ("verdict", "rank", "by_questions", "missed", "expected"),
    [
        ("positive", 1.0, 1.0, 0.0, None),
        ("positive", 2.0, 0.0, 0.5, None),
        ("positive", 2.1, 1.0, 0.0, "stood at rank 2.1"),
        ("positive", 1.0, 0.0, 0.6, "its questions missed it"),
        ("positive", None, None, None, None),
        ("negative", 1.0, 0.5, 0.0, "brought by its questions and passed over"),
        ("negative", 1.0, 0.4, 0.0, None),
        ("negative", 1.0, None, None, None),
        ("undecided", 9.0, 0.0, 1.0, None),
    ],
)
def test_why(verdict, rank, by_questions, missed, expected):
    found = why(judgment("q", "c", verdict, rank=rank, by_questions=by_questions, missed=missed))
    assert (found is None) if expected is None else (expected in found)


def test_one_task_a_chunk_with_all_its_hints_best_known_first():
    work = make_worklist(
        [
            judgment("怎么请假", "leave", "positive", rank=6, clicks=7),
            judgment("请假条", "leave", "positive", rank=6, clicks=9),
            judgment("工资", "leave", "negative", passed=8),
            judgment("报销", "cost", "positive", rank=5, clicks=5, ups=7),
            judgment("打卡", "clock", "positive", rank=1, clicks=50),
        ],
        used=(),
        at_most=10,
    )
    assert [(task.chunk_id, task.weight) for task in work.tasks] == [("cost", 5 + 3 * 7), ("leave", 9 + 8 + 7)]
    leave = work.tasks[1]
    assert (leave.successful, leave.failed) == (("请假条", "怎么请假"), ("工资",))
    assert leave.pairs == (query_id("请假条"), query_id("工资"), query_id("怎么请假"))
    assert work.in_order == 1
    assert "“请假条”: chosen although it stood at rank 6.0 on average (so)" in leave.reasons


def test_no_more_than_may_be_changed_and_the_others_wait():
    tasks = [judgment(f"q{n}", f"c{n}", "positive", rank=9, clicks=n) for n in range(5)]
    work = make_worklist(tasks, used=(), at_most=2)
    assert [task.chunk_id for task in work.tasks] == ["c4", "c3"]
    assert [task.chunk_id for task in work.waiting] == ["c2", "c1", "c0"]


def test_what_was_acted_on_before_and_what_has_no_words_gives_no_task():
    work = make_worklist(
        [
            judgment("a", "c", "positive", rank=9),
            judgment("b", "c", "positive", rank=9),
            judgment("hash", "d", "positive", rank=9, text=None),
        ],
        used={("c", query_id("a"))},
        at_most=9,
    )
    assert [(task.chunk_id, task.successful) for task in work.tasks] == [("c", ("b",))]
    assert (work.acted_on_before, work.without_words) == (1, 1)

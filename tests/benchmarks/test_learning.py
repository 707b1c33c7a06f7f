"""The pure parts of the simulation of weekly learning: who answers what. What it measures is measured, not tested."""

from __future__ import annotations

import json

from benchmarks.learning.people import Article, Baiter, ScriptedModel
from bothways.learning.weekly.questions.rewriting import REWRITE, Known, material_of
from bothways.learning.weekly.questions.worklist import Task

PAY = Article(
    key=("劳动法", "第一条"),
    text="用人单位应当按月支付工资。",
    first="按月支付工资",
    asked="老板不给钱",
    evaluated="何时发薪",
    written=("欠薪", "拖欠"),
)
WED = Article(
    key=("婚姻法", "第二条"),
    text="夫妻应当互相忠实。",
    first="夫妻互相忠实",
    asked="老公出轨",
    evaluated="外遇",
    written=("出轨赔偿", "忠诚"),
)


def asked(model, *, answered=(), failed=()):
    chunk = Known(
        chunk_id="c",
        title="",
        heading="劳动法 第一条",
        text=PAY.text,
        content_hash="h",
        generation="g",
        questions=(PAY.first,),
    )
    task = Task(
        chunk_id="c", doc_id="c", successful=tuple(answered), failed=tuple(failed), reasons=(), pairs=(), weight=1
    )
    return json.loads(model.generate(REWRITE.fill(material_of(task, chunk), like=PAY.text, n=7)))["questions"]


def test_it_answers_with_what_is_recorded_and_never_with_what_is_evaluated():
    model = ScriptedModel([PAY, WED])
    assert asked(model, answered=[PAY.asked]) == ["欠薪", "拖欠", "按月支付工资"]
    assert PAY.evaluated not in asked(model, failed=[WED.asked])


def test_told_only_what_it_does_not_answer_it_keeps_to_the_passage():
    assert asked(ScriptedModel([PAY, WED]), failed=[WED.asked])[0] == "按月支付工资"


def test_the_misled_one_believes_its_hints():
    assert asked(ScriptedModel([PAY, WED], misled=True), answered=[WED.asked]) == ["出轨赔偿", "忠诚"]


def test_a_baiter_clicks_one_rank():
    assert Baiter(2).react(["a", "b", "c"], {}, None) == [("b", "click")]
    assert Baiter(4).react(["a", "b", "c"], {}, None) == []

"""The pure parts of the simulation of weekly learning: who answers what. What it measures is measured, not tested."""

from __future__ import annotations

import json

from benchmarks.learning_people import Article, Baiter, ScriptedModel
from learning.rewriting import REWRITE, Known, material_of
from learning.worklist import Task

PAY = Article(
    ("劳动法", "第一条"), "用人单位应当按月支付工资。", "按月支付工资", "老板不给钱", "何时发薪", ("欠薪", "拖欠")
)
WED = Article(("婚姻法", "第二条"), "夫妻应当互相忠实。", "夫妻互相忠实", "老公出轨", "外遇", ("出轨赔偿", "忠诚"))


def asked(model, *, answered=(), failed=()):
    chunk = Known("c", "", "劳动法 第一条", PAY.text, "h", "g", (PAY.first,))
    task = Task("c", "c", tuple(answered), tuple(failed), (), (), 1)
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

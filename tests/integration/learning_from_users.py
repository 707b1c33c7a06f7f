"""A small collection with questions, users whose clicks are written down directly, and a language model of a test."""

from __future__ import annotations

import json
import time
import uuid

from bothways.learning.feedback.rows import Row, at, event_row
from bothways.models.llm.usage import TokenUsage

TEXTS = {
    "leave": "员工请假应当提前三天提交申请，由主管批准。",
    "sick": "员工病假应当提交医院开具的证明。",
    "pay": "员工工资于每月十日发放到银行账户。",
    "refund": "商品签收后七天内可以无理由退货。",
    "travel": "出差的交通费凭票据在一个月内报销。",
    "visit": "访客进入大楼须在前台登记并佩戴胸牌。",
    "fire": "发生火灾时应当走楼梯，不得乘坐电梯。",
    "meet": "会议室须提前一天在系统中预订。",
}
QUESTIONS = {
    "leave": ["请假要提前几天", "谁批准请假"],
    "sick": ["生病要交什么", "病假证明"],
    "pay": ["哪天发工资", "工资发到哪里"],
    "refund": ["买的东西能退吗", "退货期限"],
    "travel": ["车票怎么报销", "出差费用"],
    "visit": ["客人来了要登记吗", "访客胸牌"],
    "fire": ["着火了能坐电梯吗", "火灾逃生"],
    "meet": ["怎么订会议室", "会议室预订"],
}
BEFORE = time.time() - 2 * 86_400


def write_corpus(folder):
    """Write documents and their recorded questions; gives both paths."""
    docs = folder / "docs"
    docs.mkdir()
    rows = [{"_id": name, "text": text} for name, text in TEXTS.items()]
    (docs / "corpus.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    recorded = folder / "questions.jsonl"
    rows = [{"text": text, "questions": QUESTIONS[name]} for name, text in TEXTS.items()]
    recorded.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return docs, recorded


def searches(collection, question, clicked, *, low=True, times=12, start=BEFORE, by_questions=()):
    """Give rows of searches for a question in which one chunk was clicked: at rank 5 if `low`, else at rank 1.

    Chunks in `by_questions` stood first in the leg of the questions. They are passed over where they stand above.
    """
    others = [name for name in TEXTS if name != clicked and name not in by_questions]
    rest = [*by_questions, *others]
    shown = [*rest[:4], clicked, *rest[4:]] if low else [clicked, *rest]
    rows = []
    for number in range(times):
        now = start + number * 1200
        query_id = uuid.uuid4().hex
        hits = [
            {"chunk_id": f"{name}-0", "doc_id": name, "rank": rank, "score": 1.0,
             "legs": {"bm25": rank, **({"questions": 1} if name in by_questions else {})}}
            for rank, name in enumerate(shown, 1)
        ]  # fmt: skip
        source = {
            "kind": "query", "application": collection, "query_id": query_id, "timestamp": at(now),
            "user_query": question, "query_attributes": {"text": "plain", "strategy": "hybrid"}, "hits": hits,
        }  # fmt: skip
        rows.append(Row(query_id, source))
        rows.append(event_row(query_id, f"{clicked}-0", "click", shown=(collection, shown.index(clicked) + 1), now=now))
    return rows


class Model:
    """A language model that answers each passage with what a test says, or raises it; keeps the prompts."""

    address = ""
    name = "told"
    usage = TokenUsage()

    def __init__(self, answers):
        self.answers = answers
        self.prompts = []

    def generate(self, prompt, *, json_schema=None, timeout_s=None):
        self.prompts.append(prompt)
        for name, text in TEXTS.items():
            if text in prompt:
                answer = self.answers.get(name, [f"关于{text[:6]}的事情怎么办", f"{text[2:5]}规定"])
                if isinstance(answer, BaseException):
                    raise answer
                return json.dumps({"questions": answer}, ensure_ascii=False)
        raise AssertionError("no passage of this test")

    def close(self):
        pass

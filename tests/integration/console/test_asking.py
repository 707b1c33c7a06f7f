"""Answers as they stream in, citations that lead to their passage, and what is said where there is no answer."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.elasticsearch

TEXTS = ["员工请假应当提前三天提交申请。", "病假可以事后补交证明。"]


def passage(n):
    named = {"n": n, "chunk_id": f"c{n}", "doc_id": f"d{n}", "title": f"规定{n}", "source": "rules.md", "metadata": {}}
    return named, named | {"chunk_ids": [f"c{n}"], "text": TEXTS[n - 1], "rank": n, "score": 0.9, "highlights": []}


def done(collection, *, answer="提前三天 [1]。\n\n病假除外 [2]。", status="answered", cited=(1, 2)):
    """The last event of an answer, as docs and contract have it."""
    whole = {
        "query": "请假提前几天",
        "standalone": None,
        "pseudo_doc": None,
        "contexts": [passage(n)[1] for n in (1, 2)],
        "answer": answer,
        "status": status,
        "note": None,
        "citations": [passage(n)[0] for n in cited],
        "removed_citations": 0,
        "strategy": "hybrid_rerank",
        "collection": collection,
        "index": f"bothways-{collection}-v1",
        "degraded": [],
        "timings_ms": {"encode": 1.0, "retrieve": 2.0, "total": 9.0},
        "facets": {},
        "self_query": None,
    }
    return ("done", whole)


@pytest.fixture
def answers(server):
    script = server.answers
    script.asked.clear()
    script.go.clear()
    script.left.clear()
    return script


def ask(page, question="请假提前几天"):
    page.get_by_label("要问的问题").fill(question)
    page.keyboard.press("Enter")


def test_an_answer_streams_in_and_its_citations_lead_to_passages(open_page, server, filled, answers):
    answers.events = [("delta", {"text": "提前三天"}), "wait", ("delta", {"text": " [1]。"}), done(filled)]
    page = open_page(f"{server.url}#/ask?collection={filled}", height=500)
    ask(page)
    expect(page.locator(".answer")).to_contain_text("提前三天")
    expect(page.locator(".passage")).to_have_count(0)  # the rest is yet to come
    answers.go.set()
    expect(page.locator(".passage")).to_have_count(2)
    page.get_by_role("button", name="引用：段落 2").click()
    second = page.locator("#passage-0-2")
    expect(second).to_be_focused()
    expect(second).to_be_in_viewport()
    expect(second).to_contain_text(TEXTS[1])
    ask(page, "那病假呢")
    expect(page.locator(".turn")).to_have_count(2)
    expect(page.locator(".turn").nth(1).locator(".passage")).to_have_count(2)
    assert answers.asked[0]["stream"] is True
    assert answers.asked[0]["history"] == []
    assert answers.asked[1]["history"] == [
        {"role": "user", "content": "请假提前几天"},
        {"role": "assistant", "content": "提前三天 [1]。\n\n病假除外 [2]。"},
    ]


def test_stopping_ends_the_request(open_page, server, filled, answers):
    answers.events = [("delta", {"text": "提前"}), "wait", done(filled)]
    page = open_page(f"{server.url}#/ask?collection={filled}")
    ask(page)
    expect(page.locator(".answer")).to_contain_text("提前")
    page.get_by_role("button", name="停止").click()
    expect(page.locator(".answer")).to_contain_text("已停止")
    assert answers.left.wait(10)


def test_without_a_language_model_the_passages_stand_alone(open_page, server, filled, answers):
    answers.events = [done(filled, answer=None, status="no_model", cited=())]
    page = open_page(f"{server.url}#/ask?collection={filled}")
    ask(page)
    expect(page.locator(".answer")).to_contain_text("没有配置语言模型")
    expect(page.locator(".passage")).to_have_count(2)


def test_an_error_in_the_stream_and_a_server_without_the_route(open_page, server, filled, answers):
    answers.events = [
        ("delta", {"text": "提"}),
        ("error", {"status": 502, "title": "Bad Gateway", "detail": "The model fell silent."}),
    ]
    page = open_page(f"{server.url}#/ask?collection={filled}")
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text("The model fell silent.")
    page.route(
        "**/api/v1/ask",
        lambda route: route.fulfill(status=404, json={"title": "Not Found", "status": 404, "detail": "Not Found"}),
    )
    page.get_by_role("button", name="重试").click()
    expect(page.get_by_text("此服务器没有问答接口")).to_be_visible()


SPLIT = """async (pieces) => {
  const api = await import("/console/js/api.js");
  const encoder = new TextEncoder();
  const all = encoder.encode(pieces.join(""));
  const stream = new ReadableStream({start(controller) {
    for (const byte of all) controller.enqueue(Uint8Array.of(byte));
    controller.close();
  }});
  const found = [];
  for await (const one of api.serverSentEvents(stream)) found.push([one.event, one.data]);
  return found;
}"""


def test_events_are_read_whatever_pieces_they_come_in(open_page, server):
    page = open_page(f"{server.url}icon.svg")
    told = [
        ": hello\r\n\r\n",
        "event: delta\r\ndata: 甲\r\n\r\n",
        "data: one\ndata: two\n\n",
        "event:done\ndata:{}\n\n",
    ]
    assert page.evaluate(SPLIT, told) == [["delta", "甲"], ["message", "one\ntwo"], ["done", "{}"]]

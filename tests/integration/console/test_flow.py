"""The console's main flow in a real Chromium: search, explain, feedback, upload, watch the job, search what is new."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import expect

from bothways.learning.feedback.store import FeedbackStore
from tests.console_server import WAITS

pytestmark = pytest.mark.elasticsearch

DROP = """(zone, [name, text]) => {
  const dropped = new DataTransfer();
  dropped.items.add(new File([text], name, {type: "text/plain"}));
  for (const kind of ["dragenter", "dragover", "drop"])
    zone.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: dropped}));
}"""


def actions(es, collection):
    es[0].indices.refresh(index="bothways-feedback-*.*", ignore_unavailable=True)
    return {row["action_name"] for row in FeedbackStore(es[0]).stream("event", collection=collection)}


def test_search_explain_and_feedback(open_page, server, filled, es):
    page = open_page(f"{server.url}#/search?collection={filled}")
    page.get_by_label("要搜索的问题").fill("请假提前几天")
    page.get_by_role("button", name="搜索", exact=True).click()
    first = page.locator(".hit").first
    expect(first.locator(".hit-title")).to_have_text("请假规定")
    assert "请假" in first.locator("mark").all_text_contents()
    expect(first.locator(".leg")).to_have_count(5)  # three legs, their fusion, the reranker
    expect(first.locator(".leg-text_sem .leg-rank")).to_have_text("#1")
    expect(first.locator(".matched q")).to_have_text(re.compile("^(问 员工请假应当|怎么办 )"))
    # Six characters in common: a logit of 6, and 1 / (1 + e^-6) = 0.998.
    expect(first.locator(".leg-cross_encoder .leg-value")).to_have_text(re.compile(r"^0\.99\d$|^1\.000$"))
    expect(page.locator(".timing-total")).to_have_text(re.compile(r"(ms|s)$"))
    first.get_by_role("button", name="有用", exact=True).click()
    expect(first.locator(".said")).to_have_text("已记录，谢谢")
    expect(first.locator(".thumb-up")).to_have_attribute("aria-pressed", "true")
    first.locator(".hit-title").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".chunk-here")).to_contain_text("员工请假应当提前三天提交申请")
    expect(dialog.locator(".learnt li")).to_have_count(2)
    dialog.get_by_role("button", name="关闭").click()
    expect(first.locator(".hit-title")).to_be_focused()
    deadline = time.monotonic() + 30
    while actions(es, filled) < {"click", "up"}:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_upload_by_dropping_a_file_and_find_it(open_page, server, fresh):
    page = open_page(f"{server.url}#/collections")
    page.get_by_label("上传到知识库").fill(fresh)
    page.locator(".drop").evaluate(DROP, ["gym.txt", "健身房每天早上六点开门，晚上十点关门。"])
    card = page.locator(".uploads .job")
    expect(card.locator(".state")).to_have_text("完成")
    expect(card).to_contain_text("gym.txt")
    expect(page.locator(f'.card[data-collection="{fresh}"]')).to_be_visible()
    card.get_by_role("link", name="搜索此知识库").click()
    page.get_by_label("要搜索的问题").fill("健身房几点开门")
    page.keyboard.press("Enter")
    expect(page.locator(".hit").first).to_contain_text("健身房每天早上六点开门")


def test_a_running_job_is_watched_and_cancelled(open_page, server, fresh):
    page = open_page(f"{server.url}#/collections")
    page.get_by_label("上传到知识库").fill(fresh)
    page.locator("#upload-files").set_input_files(
        {"name": "slow.txt", "mimeType": "text/plain", "buffer": f"{WAITS}。".encode()}
    )
    expect(page.locator(".uploads .state")).to_have_text(re.compile("排队中|进行中"))
    page.get_by_role("link", name="任务").click()
    job = page.locator(".job").filter(has_text=fresh)
    expect(job.locator(".state")).to_have_text("进行中")
    job.get_by_role("button", name="取消").click()
    expect(job.locator(".state")).to_have_text(re.compile("已取消|进行中"))
    server.writer.go.set()
    expect(job.locator(".state")).to_have_text("已取消")
    server.writer.go.clear()


def test_a_refused_upload_says_why(open_page, server):
    page = open_page(f"{server.url}#/collections")
    page.get_by_label("上传到知识库").fill("Not A Name")
    page.locator("#upload-files").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"text"})
    expect(page.get_by_role("alert").filter(has_text="cannot be a collection's name")).to_be_visible()


def test_two_strategies_side_by_side_and_the_link_to_them(open_page, server, filled):
    page = open_page(f"{server.url}#/search?collection={filled}&q=密码错误&strategy=hybrid")
    expect(page.locator(".hit").first).to_be_visible()
    page.get_by_label("A/B 对比").check()
    expect(page.locator(".column")).to_have_count(2)
    expect(page.get_by_label("A 方结果").locator(".beside").first).to_be_visible()
    page.locator("#strategy-b").focus()
    page.locator("#strategy-b").select_option("dense")
    expect(page.get_by_label("B 方结果").locator(".leg-text_sem").first).to_be_visible()
    expect(page.locator("#strategy-b")).to_be_focused()
    assert "compare=dense" in page.url
    other = open_page(page.url)
    expect(other.locator(".column")).to_have_count(2)
    expect(other.locator("#strategy-a")).to_have_value("hybrid")
    expect(other.locator("#strategy-b")).to_have_value("dense")
    expect(other.get_by_label("要搜索的问题")).to_have_value("密码错误")
    titles = other.get_by_label("B 方结果").locator(".hit-title")
    expect(titles.first).to_have_text("账号锁定")


def test_a_link_to_a_search_does_not_wait_for_the_list_of_collections(open_page, server, filled):
    page = open_page("about:blank")
    held = []  # requests that are not answered
    page.route("**/api/v1/collections", lambda route: held.append(route))
    page.goto(f"{server.url}#/search?collection={filled}&q=账号锁定三十分钟&strategy=bm25")
    expect(page.locator(".hit-title").first).to_have_text("账号锁定")
    held[0].abort()
    expect(page.get_by_role("alert")).to_contain_text("连接不到服务器")


def test_what_is_typed_stays_while_the_collections_come(open_page, server, filled):
    page = open_page("about:blank")
    held = []
    page.route("**/api/v1/collections*", lambda route: held.append(route))
    page.route(f"**/api/v1/collections/{filled}", lambda route: held.append(route))
    page.goto(f"{server.url}#/search?collection={filled}&strategy=bm25")
    page.get_by_label("要搜索的问题").fill("账号锁定三十分钟")
    page.get_by_label("解释排名").focus()
    for route in held:
        route.continue_()
    expect(page.locator(".empty")).to_be_visible()
    page.get_by_role("button", name="搜索", exact=True).click()
    expect(page.locator(".hit-title").first).to_have_text("账号锁定")


def test_facets_are_filters(open_page, server, filled):
    page = open_page(f"{server.url}#/search?collection={filled}&q=规定")
    page.locator(".facet-value").filter(has_text="门店").click()
    expect(page.locator(".hit-title")).to_have_text(["退货规定"])
    assert "f.department=" in page.url
    page.get_by_role("button", name="去掉筛选 department：门店").click()
    expect(page.locator(".hit")).to_have_count(4)
    page.go_back()
    expect(page.locator(".hit-title")).to_have_text(["退货规定"])


def test_what_did_not_run_is_said(open_page, server, filled):
    page = open_page(f"{server.url}#/search?collection={filled}&q=请假&strategy=hybrid_q2d")
    notice = page.get_by_role("status").filter(has_text="query2doc")
    expect(notice).to_contain_text("按原问题检索")
    expect(page.locator(".hit").first).to_be_visible()

"""How the console reads: keyboard, phone, dark, two languages, keys, trouble, and documents that attack it."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from tests.console_server import ConsoleServer
from tests.integration.console.conftest import EVIL

pytestmark = pytest.mark.elasticsearch

VIEWS = ("search", "ask", "collections", "jobs", "evaluation")


def test_by_keyboard_alone(open_page, server, filled):
    page = open_page(f"{server.url}#/search?collection={filled}")
    expect(page.locator(".empty")).to_be_visible()
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="跳到正文")
    expect(skip).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("/")
    box = page.get_by_label("要搜索的问题")
    expect(box).to_be_focused()
    page.keyboard.insert_text("请假 规定")
    page.keyboard.press("Enter")
    titles = page.locator(".hit-title")
    expect(titles.first).to_have_text("请假规定")
    page.keyboard.press("ArrowDown")
    expect(titles.nth(0)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(titles.nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("病假可以事后补交证明")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(titles.nth(0)).to_be_focused()
    outline = titles.nth(0).evaluate("title => getComputedStyle(title).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("ArrowUp")
    expect(box).to_be_focused()


def test_single_keys_can_be_switched_off(open_page, server, filled):
    page = open_page(f"{server.url}#/search?collection={filled}")
    page.get_by_role("button", name="键盘快捷键").click()
    page.get_by_label("启用单键快捷键").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_label("要搜索的问题")).not_to_be_focused()


def test_a_phone_never_scrolls_sideways(open_page, server, filled, tmp_path):
    page = open_page(f"{server.url}#/search?collection={filled}&q=规定", width=360, height=740, dark=True)
    expect(page.locator(".hit").first).to_be_visible()
    wide = "document.documentElement.scrollWidth"
    assert page.evaluate(wide) == 360
    page.get_by_label("A/B 对比").check()
    expect(page.locator(".column")).to_have_count(2)
    assert page.evaluate(wide) == 360
    for view in VIEWS[1:]:
        page.goto(f"{server.url}#/{view}?collection={filled}")
        expect(page.locator(f".view-{view}")).to_be_visible()
        expect(page.locator(".loading")).to_have_count(0)
        assert page.evaluate(wide) == 360, view


def test_dark_by_the_system_and_by_choice(open_page, server, filled):
    page = open_page(f"{server.url}#/search?collection={filled}", dark=True)
    ground = "getComputedStyle(document.body).backgroundColor"
    expect(page.locator("main .search-form")).to_be_visible()
    dark = page.evaluate(ground)
    page.locator(".theme").click()
    light = page.evaluate(ground)
    assert sum(map(int, dark[4:-1].split(","))) < 100
    assert sum(map(int, light[4:-1].split(","))) > 700
    page.reload()
    expect(page.locator(".theme")).to_be_visible()
    assert page.evaluate(ground) == light
    page.locator(".theme").click()
    assert page.evaluate(ground) == dark
    page.locator(".theme").click()
    assert page.evaluate("document.documentElement.dataset.theme ?? 'auto'") == "auto"


def test_two_languages(open_page, server, filled):
    page = open_page(f"{server.url}#/search?collection={filled}&q=请假", language="en-GB")
    expect(page.get_by_role("link", name="Collections")).to_be_visible()
    expect(page.locator(".hit").first).to_be_visible()
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("link", name="知识库")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    expect(page.locator(".hit").first).to_be_visible()  # what was found stays
    page.reload()
    expect(page.get_by_role("link", name="知识库")).to_be_visible()


def test_documents_cannot_become_part_of_the_page(open_page, server, filled):
    page = open_page(f"{server.url}#/search?collection={filled}&q=恶意 攻击 %3Cimg src=x onerror=alert(1)%3E")
    hit = page.locator(".hit").filter(has_text="恶意文档")
    expect(hit.locator(".hit-title")).to_have_text(f"{EVIL}攻击")
    expect(hit.locator(".hit-text")).to_contain_text(f"恶意文档{EVIL}说&lt;em&gt;攻击&lt;/em&gt;，<em>攻击</em>无效。")
    assert set(hit.locator("mark").all_text_contents()) <= {"恶意", "攻击", "img", "src", "x", "onerror"}
    hit.locator(".hit-title").click()
    expect(page.get_by_role("dialog")).to_contain_text(EVIL)
    assert page.evaluate("window.hacked ?? null") is None
    assert page.locator("main img, main script, dialog img, dialog script").count() == 0


def test_an_api_key_stays_in_the_tab(open_page, es, segmenter, filled, tmp_path):
    guarded = ConsoleServer(es, segmenter, tmp_path / "cache", api_keys="the-key-of-a-test", feedback=False)
    try:
        page = open_page(f"{guarded.url}#/search?collection={filled}&q=请假")
        expect(page.get_by_role("alert")).to_contain_text("需要 API 密钥")
        page.get_by_role("button", name="输入密钥").click()
        page.get_by_label("密钥", exact=True).fill("密钥")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_contain_text("密钥只能由")
        page.get_by_label("密钥", exact=True).fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("需要 API 密钥")
        page.get_by_role("button", name="输入密钥").click()
        page.get_by_label("密钥", exact=True).fill("the-key-of-a-test")
        page.keyboard.press("Enter")
        expect(page.locator(".hit").first).to_be_visible()
        page.locator(".thumb-up").first.click()
        expect(page.locator(".said").first).to_contain_text("BOTHWAYS_FEEDBACK")  # this server records none
        assert page.evaluate("sessionStorage.getItem('bothways.key')") == "the-key-of-a-test"
        assert "the-key-of-a-test" not in page.evaluate("JSON.stringify(localStorage)")
        assert "the-key-of-a-test" not in page.url
        assert page.context.cookies() == []
    finally:
        guarded.close()


def test_without_elasticsearch_the_reason_is_shown(open_page, es, segmenter, tmp_path):
    down = ConsoleServer(es, segmenter, tmp_path / "cache", down=True)
    try:
        page = open_page(f"{down.root}/")
        expect(page).to_have_url(f"{down.url}")
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("服务暂时不可用")
        expect(alert).to_contain_text("No Elasticsearch answers at http://127.0.0.1:1")
        expect(alert.get_by_role("button", name="重试")).to_be_visible()
    finally:
        down.close()


def test_without_any_collection_there_is_a_way_on(open_page, server):
    page = open_page("about:blank")
    page.route("**/api/v1/collections", lambda route: route.fulfill(json=[]))
    page.goto(server.url)
    expect(page.get_by_role("heading", name="还没有知识库")).to_be_visible()
    page.get_by_role("link", name="上传文件").click()
    expect(page.locator(".drop")).to_be_visible()


@pytest.mark.parametrize(
    ("text", "highlights", "marked"),
    [
        ("员工请假要申请", ["员工<em>请假</em>要申请"], [[2, 4]]),
        ("a < b & c", ["a &lt; <em>b</em> &amp; c"], [[4, 5]]),
        ("说<em>攻击</em>", ["说&lt;em&gt;<em>攻击</em>&lt;/em&gt;"], [[5, 7]]),
        ("甲乙。丙甲。", ["丙<em>甲</em>。", "<em>甲</em>乙。"], [[0, 1], [4, 5]]),
        ("另一段", ["<em>不在</em>其中"], []),
    ],
)
def test_highlights_become_ranges_of_the_text(open_page, server, text, highlights, marked):
    page = open_page(f"{server.url}icon.svg")
    script = "async ([text, all]) => (await import('/console/js/highlight.js')).ranges(text, all)"
    assert page.evaluate(script, [text, highlights]) == marked


REPORT = {
    "collection": "law",
    "queries": 60,
    "measure": "ndcg@10",
    "baseline": "bm25",
    "strategies": {
        "bm25": {"hit@10": 0.883, "ndcg@10": 0.822, "ndcg@3": 0.804, "p50_ms": 3.1, "p95_ms": 7.0},
        "hybrid": {"hit@10": 0.967, "ndcg@10": 0.881, "ndcg@3": 0.871, "p50_ms": 12.0, "p95_ms": 20.0},
    },
    "confidence_95": {
        "bm25": {"hit@10": [0.8, 0.95], "ndcg@10": [0.728, 0.907]},
        "hybrid": {"hit@10": [0.917, 1.0], "ndcg@10": [0.813, 0.940]},
    },
    "comparisons": [
        {
            "name": "hybrid",
            "baseline": "bm25",
            "measure": "ndcg@10",
            "difference": {"mean": 0.06, "low": 0.019, "high": 0.102},
            "better": 11,
            "worse": 1,
            "equal": 48,
            "test": "randomisation",
            "p": 0.0048,
            "p_adjusted": 0.0096,
            "significant": True,
        }
    ],
    "slices": [],
    "gold_not_in_index": {"documents": 2, "named": [], "queries_without_any": []},
    "degraded": {"hybrid": {"text_sem": 3}},
}


def test_a_report_is_read_in_the_browser_alone(open_page, server):
    page = open_page(f"{server.url}#/evaluation")
    asked = []
    expect(page.locator(".drop")).to_be_visible()
    page.on("request", lambda request: asked.append(request.url))
    choose = page.locator("#report-file").set_input_files
    choose({"name": "report.json", "mimeType": "application/json", "buffer": json.dumps(REPORT).encode()})
    row = page.get_by_role("row").filter(has_text="0.813–0.940")
    expect(row).to_contain_text("0.967")
    expect(row).to_contain_text("0.881")
    expect(page.locator(".chart")).to_have_count(2)
    expect(page.get_by_role("img", name="bm25 0.822, hybrid 0.881")).to_be_visible()
    expect(page.locator(".whisker")).to_have_count(6)
    expect(page.locator(".notice-warn")).to_contain_text("有 2 个应找到的文档不在索引中")
    expect(page.get_by_text("显著")).to_be_visible()
    page.locator("#measure").select_option("ndcg@3")  # not in the table, since it has no interval
    expect(page.get_by_role("img", name="bm25 0.804, hybrid 0.871")).to_be_visible()
    choose({"name": "other.json", "mimeType": "application/json", "buffer": b'{"strategies": []}'})
    expect(page.get_by_role("alert")).to_contain_text("other.json 不是 bothways eval 的 report.json")
    choose({"name": "text.json", "mimeType": "application/json", "buffer": b"no"})
    expect(page.get_by_role("alert")).to_contain_text("text.json 不是 JSON")
    assert [url for url in asked if not url.endswith("icon.svg")] == []

"""axe-core finds nothing on any view, serious or not, light and dark, in both languages."""

from __future__ import annotations

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.integration.console.test_asking import done
from tests.integration.console.test_reading import REPORT

pytestmark = pytest.mark.elasticsearch


def violations(page):
    told = Axe().run(page).response
    assert {"color-contrast", "button-name"} <= {one["id"] for one in told["passes"]}  # it did look
    return [
        f"{one['impact']} {one['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for one in told["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(("dark", "language"), [(False, "zh-CN"), (True, "en-GB")], ids=["light", "dark"])
def test_every_view(open_page, server, filled, dark, language):
    page = open_page(f"{server.url}#/search?collection={filled}&q=请假&compare=bm25", dark=dark, language=language)
    found = {}
    expect(page.locator(".column")).to_have_count(2)
    expect(page.locator(".loading")).to_have_count(0)
    found["compare"] = violations(page)
    page.locator("#compare").uncheck()
    page.locator(".thumb-up").first.click()
    page.locator("#q").press("Enter")
    expect(page.locator(".column")).to_have_count(1)
    expect(page.locator(".hit").first).to_be_visible()
    found["search"] = violations(page)
    page.locator(".hit-title").first.click()
    expect(page.locator(".chunk-here")).to_be_visible()
    found["document"] = violations(page)
    page.keyboard.press("Escape")
    server.answers.events = [done(filled)]
    page.goto(f"{server.url}#/ask?collection={filled}")
    page.locator("#ask-q").fill("请假提前几天")
    page.keyboard.press("Enter")
    expect(page.locator(".passage")).to_have_count(2)
    found["ask"] = violations(page)
    for view in ("collections", "jobs"):
        page.goto(f"{server.url}#/{view}")
        expect(page.locator(f".view-{view}")).to_be_visible()
        expect(page.locator(".loading")).to_have_count(0)
        found[view] = violations(page)
    page.goto(f"{server.url}#/evaluation")
    report = {"name": "report.json", "mimeType": "application/json", "buffer": json.dumps(REPORT).encode()}
    page.locator("#report-file").set_input_files(report)
    expect(page.locator(".chart")).to_have_count(2)
    found["evaluation"] = violations(page)
    assert {view: wrong for view, wrong in found.items() if wrong} == {}

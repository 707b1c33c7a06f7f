"""The pages of the API's description in a real Chromium: shown from our own files, nothing asked of other hosts."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.elasticsearch


@pytest.mark.parametrize(
    ("path", "shows"),
    [
        ("docs", '[data-path="/api/v1/search"]'),
        ("redoc", "text=Find the chunks that answer a question."),
    ],
)
def test_a_page_shows_the_api_and_asks_no_other_host(browser, server, path, shows):
    asked, wrong = [], []
    context = browser.new_context()
    try:
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.goto(f"{server.root}/{path}")
        expect(page.locator(shows).first).to_be_visible()
        page.wait_for_load_state("networkidle")
    finally:
        context.close()
    assert any(url.endswith("/openapi.json") for url in asked)
    assert [url for url in asked if not url.removeprefix("blob:").startswith(server.root)] == []
    assert wrong == []


def test_a_request_can_be_tried_from_there(open_page, server):
    page = open_page(f"{server.root}/docs#/health/health_live")
    page.get_by_role("button", name="Try it out").dispatch_event("click")
    page.get_by_role("button", name="Execute").dispatch_event("click")
    expect(page.locator(".live-responses-table .highlight-code")).to_contain_text('"status": "live"')

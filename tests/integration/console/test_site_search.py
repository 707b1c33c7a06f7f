"""The search of the documentation's site finds Chinese inside longer runs of characters."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import expect

from docs._tools.__main__ import build


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):  # noqa: A002
        pass


@pytest.fixture
def address(tmp_path):
    site, problems = build(tmp_path)
    assert problems == []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()


def test_chinese_is_found_by_words_in_the_middle_of_sentences(browser, address):
    page = browser.new_page()
    page.goto(address)
    page.locator("body").press("/")
    for words in ("混合检索", "过滤"):
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(words)
        expect(page.locator("a[href*='zh/']").filter(has_text=words).first).to_be_visible()
    page.close()

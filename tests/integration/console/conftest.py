"""One browser and one server for all tests of the console, and a collection that all may read."""

from __future__ import annotations

import json
import os
import uuid

import pytest
from playwright.sync_api import expect, sync_playwright

from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from tests import chromium
from tests.console_server import ConsoleServer
from tests.fakes import FixedWriter, make_parts

TIMEOUT_MS = 60_000
"""Of each step; on an idle machine the slowest takes a second."""

EVIL = "<img src=x onerror='window.hacked = 1'><script>window.hacked = 2</script>"


def row(name, title, text, department):
    return {"_id": name, "title": title, "text": text, "metadata": {"department": department}}


ROWS = [
    row("leave", "请假规定", "员工请假应当提前三天提交申请。病假可以事后补交证明。", "人事"),
    row("refund", "退货规定", "签收后七天内可以无理由退货，定制商品除外。", "门店"),
    row("lock", "账号锁定", "连续五次输入错误密码的，账号锁定三十分钟后自动恢复。", "技术"),
    row("evil", f"{EVIL}攻击", f"恶意文档{EVIL}说&lt;em&gt;攻击&lt;/em&gt;，<em>攻击</em>无效。", f'">{EVIL}'),
]


@pytest.fixture(scope="package")
def browser():
    """Chromium; without one the tests fail under CI and are skipped elsewhere, saying what is missing."""
    path = chromium.find()
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(chromium.MISSING)
    expect.set_options(timeout=TIMEOUT_MS)
    # Chromium's sandbox refuses to run as root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=arguments, timeout=TIMEOUT_MS)
        yield started
        started.close()


def removed(es, name):
    client, _ = es
    for index in client.indices.get(index=f"bothways-{name}-v*").body:
        client.indices.delete(index=index)
    for rows, field in (("bothways-jobs", "collection"), ("bothways-feedback-*.*", "application")):
        client.indices.refresh(index=rows, ignore_unavailable=True)
        client.options(ignore_status=404).delete_by_query(
            index=rows, query={"term": {field: name}}, conflicts="proceed", refresh=True
        )


@pytest.fixture(scope="package")
def filled(es, segmenter, tmp_path_factory):
    """A collection of the rows above, with questions."""
    name = f"test-{uuid.uuid4().hex}"
    path = tmp_path_factory.mktemp("console") / "rows.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), "utf-8")
    parts = make_parts(es, segmenter, writer=FixedWriter())
    assert index_path(path, JobOptions(collection=name), parts).succeeded
    yield name
    removed(es, name)


@pytest.fixture
def fresh(es):
    """A name for a collection that a test makes; it is removed."""
    name = f"test-{uuid.uuid4().hex}"
    yield name
    removed(es, name)


@pytest.fixture(scope="package")
def server(es, segmenter, tmp_path_factory):
    running = ConsoleServer(es, segmenter, tmp_path_factory.mktemp("cache"), feedback=True)
    yield running
    running.close()


@pytest.fixture
def open_page(browser):
    """Open an address: `open_page(url, width=..., language=..., dark=...)`; no page may fail or break the policy."""
    contexts = []
    wrong = []

    def told(message):
        if "Content Security Policy" in message.text or "Trusted" in message.text:
            wrong.append(message.text)

    def start(url, *, width=1280, height=900, language="zh-CN", dark=False):
        context = browser.new_context(
            viewport={"width": width, "height": height},
            locale=language,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", told)
        page.goto(url)
        return page

    yield start
    for context in contexts:
        context.close()
    assert wrong == []

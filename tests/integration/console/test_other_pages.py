"""A page of elsewhere, in a real Chromium, tries to drive a server without keys on this machine, and cannot."""

from __future__ import annotations

import os
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

import pytest

from tests import chromium
from tests.console_server import ConsoleServer
from tests.http_server import LocalServer

pytestmark = pytest.mark.elasticsearch

ATTACKS = """async ([root, collection]) => {
  const said = {};
  const attempt = async (name, path, options) => {
    try {
      const answer = await fetch(root + path, options);
      said[name] = [answer.type, answer.status, (await answer.text()).slice(0, 200)];
    } catch (error) { said[name] = ["error", 0, String(error)]; }
  };
  const form = new FormData();
  form.append("files", new Blob(["planted by another page"]), "planted.txt");
  await attempt("upload", `/api/v1/collections/${collection}/documents`, {method: "POST", mode: "no-cors", body: form});
  await attempt("rollback", `/api/v1/collections/${collection}/rollback`, {method: "POST", mode: "no-cors"});
  await attempt("delete", `/api/v1/collections/${collection}`, {method: "DELETE"});
  await attempt("read", "/api/v1/collections", {});
  await attempt("search", "/api/v1/search", {
    method: "POST", headers: {"content-type": "application/json"},
    body: JSON.stringify({query: "请假", collection: `${collection}-none`}),
  });
  await attempt("metrics", "/metrics", {});
  return said;
}"""


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"<!doctype html><title>elsewhere</title><p>elsewhere"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def elsewhere():
    running = LocalServer(Page)
    yield running.url
    running.close()


@pytest.fixture
def own(es, segmenter, tmp_path, monkeypatch):
    """Start a server whose pages are the only ones that may call it: `own(**settings)` gives it."""
    monkeypatch.delenv("BOTHWAYS_ALLOWED_HOSTS")
    running = []

    def start(**options):
        running.append(ConsoleServer(es, segmenter, tmp_path / "cache", **options))
        return running[-1]

    yield start
    for server in running:
        server.close()


def attacked(browser, page_at, root, collection):
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(page_at)
        return page.evaluate(ATTACKS, [root, collection])
    finally:
        context.close()


def jobs(es, collection):
    es[0].indices.refresh(index="bothways-jobs", ignore_unavailable=True)
    return es[0].count(index="bothways-jobs", query={"term": {"collection": collection}})["count"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_on_another_port_or_name_of_this_machine(browser, own, elsewhere, es, fresh, filled, host):
    server = own()
    page_at = elsewhere.replace("127.0.0.1", host)
    said = attacked(browser, page_at, server.root, fresh)
    assert {kind for kind, *_ in said.values()} == {"error"}
    assert jobs(es, fresh) == 0
    attacked(browser, page_at, server.root, filled)
    assert es[0].indices.exists_alias(name=f"bothways-{filled}")


def test_the_same_page_gets_in_where_its_origin_is_allowed(browser, own, elsewhere, es, fresh):
    """Or the test above would prove nothing."""
    server = own(cors_origins=elsewhere)
    said = attacked(browser, elsewhere, server.root, fresh)
    assert said["metrics"][:2] == ["cors", 200]
    assert said["search"][:2] == ["cors", 404]
    assert jobs(es, fresh) == 1


def test_a_name_that_is_made_to_point_to_this_machine(own, es, fresh, browser):
    server = own()
    port = urlsplit(server.root).port
    arguments = ["--host-resolver-rules=MAP evil.example 127.0.0.1", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    rebound = browser.browser_type.launch(executable_path=chromium.find(), args=arguments)
    try:
        # The page itself would come from the attacker's server, by the same name and port, and with no policy.
        page = rebound.new_context(bypass_csp=True).new_page()
        page.goto(f"http://evil.example:{port}/page")
        said = page.evaluate(ATTACKS, ["", fresh])
    finally:
        rebound.close()
    assert {status for _, status, _ in said.values()} == {421}
    assert jobs(es, fresh) == 0


def test_a_link_of_another_site_leads_to_the_console_and_to_no_answer(browser, own, elsewhere):
    server = own()
    context = browser.new_context()
    try:
        page = context.new_page()
        for path, status in (("/console/", 200), ("/docs", 200), ("/api/v1/collections", 403), ("/metrics", 403)):
            page.goto(elsewhere)
            with page.expect_navigation() as navigated:
                page.evaluate("address => { location.href = address; }", server.root + path)
            assert navigated.value.status == status, path
    finally:
        context.close()

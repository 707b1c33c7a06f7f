"""What is taken and refused by Host, Origin and Sec-Fetch-Site."""

from __future__ import annotations

import pytest

from bothways.client.origins import Origins

HERE = ("host", "127.0.0.1:8000")


def refused(origins, *headers, method="POST", path="/api/v1/search", version="1.1"):
    """Give the status of the refusal, or None."""
    scope = {
        "method": method,
        "path": path,
        "http_version": version,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    refusal = origins.refusal(scope)
    return refusal.status if refusal else None


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8000", "127.0.0.1", "localhost:8000", "localhost", "LOCALHOST:8000", "localhost.:8000", "[::1]:8000",
        "[::1]", "[::ffff:127.0.0.1]:80", "10.1.2.3:8000", "[fd00::8]:8000",
    ],
)  # fmt: skip
def test_this_machine_and_addresses_are_known(host):
    assert refused(Origins(), ("host", host)) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "xlocalhost",
        "api:8000", "evil.localhost", "2130706433", "0x7f.0.0.1", "127.1", "127.0.0.1.", "\xe9vil.example",
    ],
)  # fmt: skip
def test_other_names_are_not(host):
    expected = None if host == "127.0.0.1." else 421
    assert refused(Origins(), ("host", host)) == expected
    assert refused(Origins(hosts=["*"]), ("host", host)) is None


@pytest.mark.parametrize(
    "host",
    [
        "", "a b", "localhost:", "localhost:x", "localhost:8000:1", "[::1", "user@localhost", "localhost/x",
        "localhost,evil", "localhost#", "localhost?x", "http://localhost", "localhost:999999",
        "localhost\\evil", "localhost\tx",
    ],
)  # fmt: skip
def test_what_is_no_host_is_a_bad_request(host):
    assert refused(Origins(), ("host", host)) == 400
    assert refused(Origins(hosts=["*"]), ("host", host)) == 400


def test_one_host_and_no_more():
    assert refused(Origins(), HERE, HERE) == 400
    assert refused(Origins(), HERE, ("host", "evil.example")) == 400
    assert refused(Origins()) == 400
    assert refused(Origins(), version="1.0") is None


def test_names_that_are_allowed():
    some = Origins(hosts=["Search.Example.com", "*.corp.example", "other.example:8443", "::1"])
    for host in ("search.example.com", "SEARCH.example.com.:8000", "a.corp.example", "a.b.corp.example:1"):
        assert refused(some, ("host", host)) is None
    assert refused(some, ("host", "other.example:8443")) is None
    for host in ("corp.example", "xcorp.example", "other.example", "other.example:80", "a.search.example.com"):
        assert refused(some, ("host", host)) == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, None),
        ({"sec-fetch-site": "same-origin"}, None),
        ({"sec-fetch-site": "none"}, None),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),  # another port of this machine
        ({"sec-fetch-site": "SAME-SITE"}, 403),
        ({"sec-fetch-site": "new-word"}, 403),
        ({"origin": "http://127.0.0.1:8000"}, None),
        ({"origin": "https://127.0.0.1:8000"}, None),  # TLS ends before us
        ({"origin": "http://127.0.0.1:3000"}, 403),
        ({"origin": "http://127.0.0.1"}, 403),
        ({"origin": "http://localhost:8000"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:8000.evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "file://"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "ftp://127.0.0.1:8000"}, 403),
        ({"origin": "http://evil.example", "sec-fetch-site": "cross-site"}, 403),
        ({"origin": "http://evil.example", "sec-fetch-site": "none"}, 403),
        # A proxy in front may have changed Host; the browser knows what page it was.
        ({"origin": "https://search.example.com", "sec-fetch-site": "same-origin"}, None),
        ({"origin": "https://intranet.example.com", "sec-fetch-site": "cross-site"}, None),
        ({"origin": "HTTPS://intranet.example.com"}, None),
        ({"origin": "http://intranet.example.com"}, 403),
        ({"origin": "https://intranet.example.com:444"}, 403),
    ],
)
def test_pages(headers, status):
    origins = Origins(origins=["https://intranet.example.com"])
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert refused(origins, HERE, *headers.items(), method=method) == status


def test_two_origins_or_two_words_are_nobodys():
    ours = ("origin", "http://127.0.0.1:8000")
    assert refused(Origins(), HERE, ours, ours) == 403
    assert refused(Origins(), HERE, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")) == 403


def test_the_port_of_the_scheme():
    assert refused(Origins(), ("host", "localhost"), ("origin", "http://localhost:80")) is None
    assert refused(Origins(), ("host", "localhost:443"), ("origin", "https://localhost")) is None
    assert refused(Origins(), ("host", "localhost:80"), ("origin", "https://localhost")) == 403


def test_links_of_other_sites_lead_to_pages_alone():
    origins = Origins(pages=["/", "/console", "/docs"])
    link = [HERE, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]
    for path, status in [
        ("/", None), ("/console", None), ("/console/", None), ("/docs", None), ("/docs/x", None), ("/docsx", 403),
        ("/api/v1/collections", 403), ("/metrics", 403), ("/health/live", 403), ("/consolex", 403), ("//", 403),
    ]:  # fmt: skip
        assert refused(origins, *link, method="GET", path=path) == status, path
    assert refused(origins, *link, method="POST", path="/") == 403
    framed = [*link[:-1], ("sec-fetch-dest", "iframe")]
    assert refused(origins, *framed, method="GET", path="/console/") == 403
    assert refused(origins, *link[:2], method="GET", path="/console/") == 403

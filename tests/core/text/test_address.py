import pytest

from bothways.core.text.address import public_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://elastic:p%40ss@es.example:9200/x", "https://es.example:9200/x"),
        ("http://127.0.0.1:9200", "http://127.0.0.1:9200"),
        ("http://me@with@[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("https://llm.example/v1?key=hush#hush", "https://llm.example/v1"),
    ],
)
def test_nothing_secret_is_shown(url, shown):
    assert public_url(url) == shown


def test_what_is_no_address_is_an_error():
    with pytest.raises(ValueError, match="IPv6"):
        public_url("http://[::1/v1")

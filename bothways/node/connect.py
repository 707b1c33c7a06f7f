"""A client of Elasticsearch: at `BOTHWAYS_ES_URL`, else of the node that `bothways es up` started."""

from __future__ import annotations

from urllib.parse import urlsplit

from elasticsearch import Elasticsearch

from bothways.core.elastic.client import Server, probe
from bothways.core.elastic.json_serializers import serializers
from bothways.core.errors import ElasticsearchUnavailableError, SettingsError
from bothways.core.settings import Settings
from bothways.core.text.address import public_url
from bothways.node.local import find_login, resolve_url


def connect(settings: Settings) -> tuple[Elasticsearch, Server]:
    """Open a client and check the server's version and licence; raise `ElasticsearchError` if it cannot be used."""
    url = settings.es_url or resolve_url(settings)
    if url is None:
        raise ElasticsearchUnavailableError(
            "No Elasticsearch is running: start one with `bothways es up`, or set BOTHWAYS_ES_URL."
        )
    client = _client(settings, url)
    return client, probe(client, public_url(url))


def _client(settings: Settings, url: str) -> Elasticsearch:
    if urlsplit(url).scheme not in {"http", "https"}:
        raise SettingsError(f"BOTHWAYS_ES_URL must begin with http:// or https://, not {public_url(url)[:80]!r}.")
    options: dict[str, object] = {
        "request_timeout": settings.es_timeout_s,
        "retry_on_timeout": False,
        "max_retries": 2,
        "connections_per_node": 32,
        "serializers": serializers(),
        "meta_header": False,  # versions of Python and of the client, which hosted Elasticsearch reports
    }
    if settings.es_api_key:
        options["api_key"] = settings.es_api_key.get_secret_value()
    elif bool(settings.es_user) != bool(settings.es_password):
        raise SettingsError("BOTHWAYS_ES_USER and BOTHWAYS_ES_PASSWORD go together: set both or none.")
    elif settings.es_user and settings.es_password:
        options["basic_auth"] = (settings.es_user, settings.es_password.get_secret_value())
    elif "@" not in urlsplit(url).netloc and (login := find_login(settings, url)):
        options["basic_auth"] = (login.user, login.password)
    if settings.es_ca_certs:
        options["ca_certs"] = str(settings.es_ca_certs)
    try:
        return Elasticsearch(url, **options)  # type: ignore[arg-type]
    except (ValueError, OSError) as error:
        raise SettingsError(f"BOTHWAYS_ES_URL or its certificate cannot be used: {error}.") from error

"""The way to Elasticsearch: a client that has been probed, and its errors in our words.

The order of places is the contract's: `BOTHWAYS_ES_URL`, then the node that `bothways es up` left running.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import elasticsearch
from elastic_transport import ConnectionTimeout, SerializationError
from elastic_transport import TransportError as WireError
from elasticsearch import ApiError, Elasticsearch
from elasticsearch.helpers import ScanError

from core.address import public_url
from core.errors import (
    ElasticsearchError,
    ElasticsearchUnavailableError,
    ElasticsearchVersionError,
    SettingsError,
    UsageError,
)
from core.json_serializers import serializers
from core.node import resolve_url
from core.settings import Settings

OLDEST = (8, 19)
"""The oldest server that has all we use (dense_vector in nested fields with filters, `synonym_graph` reload)."""

PACKED_VECTORS_SINCE = (9, 3)
"""From this server on a `dense_vector` may be sent as base64 text, which is a fifth of the bytes of a JSON list."""


@dataclass(frozen=True, slots=True)
class Server:
    """What the server said of itself: its version, its licence, and where it is."""

    url: str
    version: str
    licence: str

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor version."""
        major, minor, *_ = self.version.split(".")
        return int(major), int(minor)

    @property
    def takes_packed_vectors(self) -> bool:
        """Whether vectors may be sent packed."""
        return self.release >= PACKED_VECTORS_SINCE


@contextmanager
def elasticsearch_errors(doing: str) -> Iterator[None]:
    """Turn the client's errors into ours; `doing` completes the sentence "Elasticsearch failed while …"."""
    try:
        yield
    except ConnectionTimeout as error:
        raise ElasticsearchUnavailableError(
            f"Elasticsearch did not answer in time while {doing}; see `bothways es status`, "
            "or give it longer with BOTHWAYS_ES_TIMEOUT_S."
        ) from error
    except SerializationError as error:
        raise UsageError(f"What was sent while {doing} is not valid text: {error.message}.") from error
    except WireError as error:
        raise ElasticsearchUnavailableError(
            f"Elasticsearch cannot be reached while {doing}; start it with `bothways es up` or set BOTHWAYS_ES_URL."
        ) from error
    except ApiError as error:
        raise ElasticsearchError(f"Elasticsearch failed while {doing}: {reason(error)}") from error
    except ScanError as error:
        raise ElasticsearchError(f"Elasticsearch failed while {doing}: {error}") from error


def reason(error: ApiError) -> str:
    """Give the one sentence in which Elasticsearch says what was wrong, with the HTTP status."""
    body = error.body
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        causes = body["error"].get("root_cause") or [body["error"]]
        text = "; ".join(str(cause.get("reason")) for cause in causes[:2])
        inner = body["error"].get("caused_by")
        if isinstance(inner, dict) and inner.get("reason") and str(inner["reason"]) not in text:
            text += f" ({inner['reason']})"
        return f"{text} [HTTP {error.status_code}]"
    return f"{error.message or 'no reason given'} [HTTP {error.status_code}]"


def connect(settings: Settings) -> tuple[Elasticsearch, Server]:
    """Open a client and probe the server's version and licence; raises a clear error when either will not do."""
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
    }
    if settings.es_api_key:
        options["api_key"] = settings.es_api_key.get_secret_value()
    elif bool(settings.es_user) != bool(settings.es_password):
        raise SettingsError("BOTHWAYS_ES_USER and BOTHWAYS_ES_PASSWORD go together: set both or none.")
    elif settings.es_user and settings.es_password:
        options["basic_auth"] = (settings.es_user, settings.es_password.get_secret_value())
    if settings.es_ca_certs:
        options["ca_certs"] = str(settings.es_ca_certs)
    try:
        return Elasticsearch(url, **options)  # type: ignore[arg-type]
    except (ValueError, OSError) as error:
        raise SettingsError(f"BOTHWAYS_ES_URL or its certificate cannot be used: {error}.") from error


def probe(client: Elasticsearch, url: str) -> Server:
    """Ask the server for version and licence; refuse one that is too old or not of the client's major version.

    `url` is only for messages: give it as `public_url`.
    """
    ours = elasticsearch.__version__[0]
    try:
        with elasticsearch_errors(f"asking {url} for its version"):
            version = str(client.info()["version"]["number"])
    except ElasticsearchUnavailableError as error:
        raise ElasticsearchUnavailableError(
            f"No Elasticsearch answers at {url}: start one with `bothways es up`, or correct BOTHWAYS_ES_URL."
        ) from error
    except ElasticsearchError as error:
        if "media-type" in str(error) or "Accept version" in str(error):
            raise ElasticsearchVersionError(_other_major(url, "another major version", ours)) from error
        if "HTTP 401" in str(error) or "HTTP 403" in str(error):
            raise ElasticsearchError(
                f"{url} refuses the credentials; set BOTHWAYS_ES_API_KEY, or BOTHWAYS_ES_USER and BOTHWAYS_ES_PASSWORD."
            ) from error
        raise
    server = Server(url, version, _licence(client))
    if server.release[0] != ours:
        raise ElasticsearchVersionError(_other_major(url, version, ours))
    if server.release < OLDEST:
        raise ElasticsearchVersionError(
            f"{url} is Elasticsearch {version}; Bothways needs {'.'.join(map(str, OLDEST))} or newer."
        )
    return server


def _other_major(url: str, version: str, ours: int) -> str:
    return (
        f"{url} is Elasticsearch {version}, but the installed client is of version {ours}: install the client of the "
        'server\'s major version, for example `pip install "elasticsearch>=8.19,<9"` for a server 8.x.'
    )


def _licence(client: Elasticsearch) -> str:
    try:
        return str(client.license.get()["license"]["type"])
    except ApiError:
        # A key without the monitor privilege may still search and index; Basic is all we need.
        return "unknown"

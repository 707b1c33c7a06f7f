"""What Elasticsearch says: its version and licence, and its errors as ours. Clients are opened by node/connect.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import elasticsearch
from elastic_transport import ConnectionTimeout, SerializationError
from elastic_transport import TransportError as WireError
from elasticsearch import ApiError, Elasticsearch
from elasticsearch.helpers import ScanError

from bothways.core.errors import (
    CollectionGoneError,
    ElasticsearchError,
    ElasticsearchUnavailableError,
    ElasticsearchVersionError,
    IndexFullError,
    IndexReadOnlyError,
    UsageError,
)

OLDEST = (8, 19)
"""The oldest server that has all we use (dense_vector in nested fields with filters, `synonym_graph` reload)."""

PACKED_VECTORS_SINCE = (9, 3)
"""From this server on a `dense_vector` may be sent as base64 text, which is a fifth of the bytes of a JSON list."""

NO_ROOM_NOW = frozenset({429, 502, 503, 504})
"""Statuses of a server, or of a proxy before it, that is overloaded or unavailable at the moment."""

_NO_WRITES = {f"index.blocks.{block}" for block in ("read_only_allow_delete", "read_only", "write")}
_VERSION = re.compile(r"bothways-(.+)-v\d+")


@dataclass(frozen=True, slots=True)
class Server:
    """A server: its address, version and licence."""

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
    except ApiError as error:
        raise of_answer(error, doing) from error
    except WireError as error:
        raise _of_wire(error, doing) from error
    except ScanError as error:
        raise ElasticsearchError(f"Elasticsearch failed while {doing}: {error}") from error


def _of_wire(error: WireError, doing: str) -> ElasticsearchError | UsageError:
    """Return our error for a request without a usable answer."""
    if isinstance(error, ConnectionTimeout):
        return ElasticsearchUnavailableError(
            f"Elasticsearch did not answer in time while {doing}; see `bothways es status`, "
            "or give it longer with BOTHWAYS_ES_TIMEOUT_S."
        )
    if isinstance(error, SerializationError):
        if error.message.startswith("Unable to serialize"):
            return UsageError(f"What was sent while {doing} is not valid text: {error.message[:200]}.")
        # The message holds the whole answer, which may be large and secret.
        return ElasticsearchError(
            f"Elasticsearch, or a proxy before it, sent an answer that cannot be read while {doing}: look at "
            "what BOTHWAYS_ES_URL points to."
        )
    return ElasticsearchUnavailableError(
        f"Elasticsearch cannot be reached while {doing}; start it with `bothways es up` or set BOTHWAYS_ES_URL."
    )


def of_answer(error: ApiError, doing: str) -> ElasticsearchError:
    """Return our error for an answer that says that the request failed."""
    kind, index = _kind(error.body)
    said = f"Elasticsearch failed while {doing}: {reason(error)}"
    if kind == "cluster_block_exception" and (blocked := blocked_by(error.status_code, reason(error))):
        return blocked
    if error.status_code in NO_ROOM_NOW:
        return ElasticsearchUnavailableError(f"{said}. It is overloaded or starting: try again in a moment.")
    if error.status_code == 404 and kind == "index_not_found_exception" and (gone := _VERSION.fullmatch(index)):
        return CollectionGoneError(
            f"The collection {gone[1]!r}, or the version of it that was in use, was removed while {doing}; "
            "see `bothways collections`."
        )
    return ElasticsearchError(said)


def blocked_by(status: int, why: str) -> IndexReadOnlyError | None:
    """Return the error for an index that takes no writes; None for a block that ends by itself in a moment.

    `status` and `why` are Elasticsearch's: 429 for a full disk, 403 for a block that a person has set, 503 for a
    cluster that has no master yet.
    """
    if status == 429 or "read-only-allow-delete" in why or "read-only / allow delete" in why:
        return IndexFullError(
            f"Elasticsearch takes no more writes ({why}): its disk is full. Make room on it, or delete a collection; "
            "the block goes away when there is room. Then try again: what is indexed stays and is not done twice."
        )
    if status == 403:
        return IndexReadOnlyError(
            f"An index takes no writes ({why}): it was set read-only. Remove the block "
            "(its settings `index.blocks.*`), then try again; before that, no retry helps."
        )
    return None


def require_writable(client: Elasticsearch, index: str) -> None:
    """Raise `IndexReadOnlyError` if one of the indices (separated by commas) takes no writes.

    Update and delete by query do not report it well: the server retries for half a minute and then fails differently.
    """
    with elasticsearch_errors(f"asking whether {index} takes writes"):
        found = client.indices.get_settings(index=index, name="index.blocks.*", flat_settings=True)
    for name, body in found.body.items():
        blocks = {block for block, value in body["settings"].items() if value == "true"}
        full = "index.blocks.read_only_allow_delete" in blocks
        why = f"{name} has {', '.join(sorted(blocks))}"
        if blocks & _NO_WRITES and (blocked := blocked_by(429 if full else 403, why)):
            raise blocked


def _kind(body: object) -> tuple[str, str]:
    """Return the type of an error that Elasticsearch answers, and the index that it names; "" where it names none."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return "", ""
    return str(error.get("type") or ""), str(error.get("index") or "")


def reason(error: ApiError) -> str:
    """Return the reason that Elasticsearch gives, with the HTTP status."""
    body = error.body
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        causes = body["error"].get("root_cause") or [body["error"]]
        text = "; ".join(str(cause.get("reason")) for cause in causes[:2])
        inner = body["error"].get("caused_by")
        if isinstance(inner, dict) and inner.get("reason") and str(inner["reason"]) not in text:
            text += f" ({inner['reason']})"
        return f"{text} [HTTP {error.status_code}]"
    if isinstance(body, str) and body:
        return f"an answer that is no JSON, as of a proxy [HTTP {error.status_code}]"
    return f"{error.message or 'no reason given'} [HTTP {error.status_code}]"


def probe(client: Elasticsearch, url: str) -> Server:
    """Ask the server for version and licence; refuse one that is too old or not of the client's major version.

    `url` is only for messages: give it as `public_url`.
    """
    ours = elasticsearch.__version__[0]
    try:
        with elasticsearch_errors(f"asking {url} for its version"):
            version = str(client.info()["version"]["number"])
    except ElasticsearchUnavailableError as error:
        if isinstance(error.__cause__, ApiError):
            raise  # something answers there
        raise ElasticsearchUnavailableError(
            f"No Elasticsearch answers at {url}: start one with `bothways es up`, or correct BOTHWAYS_ES_URL."
        ) from error
    except ElasticsearchError as error:
        if "media-type" in str(error) or "Accept version" in str(error):
            raise ElasticsearchVersionError(_other_major(url, "another major version", ours)) from error
        if "HTTP 401" in str(error) or "HTTP 403" in str(error):
            raise ElasticsearchError(
                f"{url} refuses the credentials; set BOTHWAYS_ES_API_KEY, or BOTHWAYS_ES_USER and BOTHWAYS_ES_PASSWORD "
                "(`bothways es status` says how a node of our own is entered)."
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
        # A key without the monitor privilege may still search and index; a Basic licence is enough.
        return "unknown"

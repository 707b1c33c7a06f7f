"""Saved objects into a Kibana, by its import API: one multipart request, answered object by object.

`POST /api/saved_objects/_import`, or behind `/s/{space}`; https://www.elastic.co/docs/api/doc/kibana
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from bothways.core.errors import KibanaError, UsageError
from bothways.core.text.address import public_url

TIMEOUT_S = 60.0
_SPACE = re.compile(r"[a-z0-9_-]{1,100}")


@dataclass(frozen=True, slots=True)
class Refused:
    """An object that Kibana refused, and the reason."""

    type: str
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Imported:
    """The result of an import: how many objects were taken, and the refused ones."""

    taken: int
    refused: Sequence[Refused] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Kibana:
    """The address of a Kibana and its login: an API key, else a user with a password, else none.

    `ca_certs` has the authority of its certificate, if it is not a public one.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_certs: Path | None = None

    def import_objects(self, ndjson: str, *, overwrite: bool, space: str = "") -> Imported:
        """Send the file; raise `KibanaError` if Kibana cannot be reached or refuses the whole file."""
        headers = {"kbn-xsrf": "bothways"}
        if self.api_key:
            headers["Authorization"] = f"ApiKey {self.api_key}"
        login = httpx.BasicAuth(self.user, self.password or "") if self.user and not self.api_key else None
        sent = {"file": ("bothways.ndjson", ndjson.encode(), "application/ndjson")}
        address = import_address(self.url, space)
        try:
            with httpx.Client(timeout=TIMEOUT_S, verify=self._verify(), trust_env=False, auth=login) as http:
                answer = http.post(address, params={"overwrite": str(overwrite).lower()}, headers=headers, files=sent)
        except httpx.HTTPError as error:
            raise KibanaError(
                f"Kibana cannot be reached at {public_url(self.url)} ({error}): see --url or BOTHWAYS_KIBANA_URL."
            ) from error
        return _read(answer, self.url)

    def _verify(self) -> ssl.SSLContext | bool:
        if self.ca_certs is None or urlsplit(self.url).scheme != "https":
            return True
        context = ssl.create_default_context()
        context.load_verify_locations(self.ca_certs)
        return context


def import_address(url: str, space: str = "") -> str:
    """Return the import API's address in a space of a Kibana, which may be behind a base path."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UsageError(f"{url[:100]!r} is no address: {error}.") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(f"{public_url(url)!r} is no address of a Kibana, as in http://127.0.0.1:5601.")
    if space and not _SPACE.fullmatch(space):
        raise UsageError(f"{space[:40]!r} is no space: its id has small letters, digits, - and _ (see its address).")
    inside = f"/s/{space}" if space and space != "default" else ""
    return f"{url.rstrip('/')}{inside}/api/saved_objects/_import"


def _read(answer: httpx.Response, url: str) -> Imported:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not answer.is_success or not isinstance(body, dict) or "success" not in body:
        raise KibanaError(f"Kibana at {public_url(url)} did not take the objects: {_why(answer, body)}")
    refused = [
        Refused(str(one.get("type")), str(one.get("id")), _reason(one.get("error") or {}))
        for one in body.get("errors", [])
    ]
    return Imported(int(body.get("successCount", 0)), refused)


def _why(answer: httpx.Response, body: object) -> str:
    message = body.get("message") if isinstance(body, Mapping) else None
    said = f"{message[:300].rstrip('.')}." if isinstance(message, str) else ""
    match answer.status_code:
        case 401:
            hint = "It wants an API key (BOTHWAYS_KIBANA_API_KEY) or a user (BOTHWAYS_ES_USER, BOTHWAYS_ES_PASSWORD)."
        case 403:
            hint = "This key or user may not write saved objects in that space."
        case 404:
            hint = "There is no such address: is it a Kibana, and is its base path in the URL?"
        case 502 | 503:
            hint = "It is not ready yet; try again in a minute."
        case code if 300 <= code < 400:
            hint = f"It sends elsewhere ({answer.headers.get('location', '')[:100]}): give the address behind that."
        case code if 200 <= code < 300:
            hint = "What answered is no Kibana."
        case _:
            hint = ""
    return " ".join(part for part in (f"HTTP {answer.status_code}.", said, hint) if part)


def _reason(error: Mapping[str, Any]) -> str:
    """Return why an object was refused, by the kinds of errors that the API documents."""
    match error.get("type"):
        case "conflict":
            return "it is there already: import it with --overwrite"
        case "ambiguous_conflict":
            return "several objects there could be meant: remove them, or import into a space of its own"
        case "unsupported_type":
            return "this Kibana has no such type: is it 8.19 or newer?"
        case "missing_references":
            missing = [f"{one.get('type')}/{one.get('id')}" for one in error.get("references", [])]
            return f"it refers to what is not there: {', '.join(missing)}"
        case kind:
            return str(error.get("message") or kind or "no reason was given")[:300]

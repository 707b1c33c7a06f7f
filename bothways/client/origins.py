"""Which requests a server takes that browsers can reach, so that no foreign web page drives it through its reader.

A page from anywhere may send requests to `http://127.0.0.1:8000`: forms and uploads without being asked, and, once its
own name is made to point there (DNS rebinding), whatever it likes. Browsers say three things that a page cannot forge:

- `Host`, the name in the address. A rebinding page needs a name of its own there, so names have to be known ones. IP
  addresses are taken: there is no name that could be made to point elsewhere, and load balancers probe by address.
- `Sec-Fetch-Site`, whether the page that asks is ours; newer browsers send it to `https` and to this machine.
- `Origin`, what page that is, with everything but plain reading.

Programs that are no browsers send neither of the latter two and are not hindered.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, MutableMapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

ANY = "*"

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s\[\]:/@?#,\\]+)(?::(\d{1,5}))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_READING = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not taken: an HTTP status, and what to do in a sentence."""

    status: int
    detail: str


class Origins:
    """The hosts by which a server may be called, and the origins whose pages may call it."""

    def __init__(
        self, *, hosts: Iterable[str] = (), origins: Iterable[str] = (), pages: Collection[str] = (), settings: str = ""
    ) -> None:
        """Take names with or without a port (`*.example.com` for all below, `*` for any) and whole origins.

        `pages` are paths, and what is below them, to which links of other sites may lead. `settings` says in errors
        where hosts and origins are set.
        """
        names = [host.lower().removesuffix(".") for host in hosts]
        self._any_host = ANY in names
        self._names = frozenset(("localhost", *names))
        self._endings = tuple(name[1:] for name in names if name.startswith("*."))
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        self._pages = tuple(pages)
        self._settings = f" ({settings})" if settings else ""

    def refusal(self, scope: MutableMapping[str, Any]) -> Refusal | None:
        """Return why the request of an ASGI scope is not taken, or None where it is."""
        sent = _sent(scope["headers"])
        hosts = sent.get(b"host", [])
        if not hosts and scope.get("http_version") == "1.0":
            hosts = ["127.0.0.1"]  # a program from before `Host`, which is no browser
        authority = _AUTHORITY.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if authority is None:
            return Refusal(400, "Send one header Host, with the name or address of this server and its port.")
        if not self._is_known(authority):
            return Refusal(
                421,
                f"This server is not known as {hosts[0][:100]!r}: call it by its address or by localhost, or add the "
                f"name to the allowed hosts{self._settings}.",
            )
        return self._of_elsewhere(scope, sent, authority)

    def allows(self, origin: str | None) -> bool:
        """Return whether pages of a foreign origin may call and read."""
        return origin is not None and origin.lower() in self._origins

    @property
    def has_origins(self) -> bool:
        """Whether any foreign origin is allowed."""
        return bool(self._origins)

    def _is_known(self, authority: re.Match[str]) -> bool:
        name, port = _name(authority), authority[2]
        return (
            self._any_host
            or name in self._names
            or f"{name}:{port}" in self._names
            or name.endswith(self._endings)
            or _is_address(name)
        )

    def _of_elsewhere(
        self, scope: MutableMapping[str, Any], sent: dict[bytes, list[str]], authority: re.Match[str]
    ) -> Refusal | None:
        """Return why a request comes from a page of elsewhere, by what its browser says."""
        site = ", ".join(sent.get(b"sec-fetch-site", [])).lower()
        origins = sent.get(b"origin", [])
        if site == "same-origin" or (not origins and site in {"", "none"}):
            return None
        if origins:
            if len(origins) == 1 and (
                self.allows(origins[0]) or (site in {"", "none"} and _same(origins[0], authority))
            ):
                return None
            named = f"Pages of {origins[0][:100]!r}"
        elif self._is_link(scope, sent):
            return None
        else:
            named = "Pages of other sites"
        return Refusal(403, f"{named} may not call this server: add their origin to the allowed ones{self._settings}.")

    def _is_link(self, scope: MutableMapping[str, Any], sent: dict[bytes, list[str]]) -> bool:
        """Return whether a link of another site leads to one of the pages, in a tab and not in a frame."""
        if scope["method"] not in _READING or sent.get(b"sec-fetch-mode") != ["navigate"]:
            return False
        path = scope["path"]
        is_page = path in self._pages or any(path.startswith(f"{page}/") for page in self._pages if page != "/")
        return is_page and sent.get(b"sec-fetch-dest") == ["document"]


def preflight(scope: MutableMapping[str, Any]) -> tuple[bool, str | None]:
    """Return whether a browser asks what a page may send, before it sends it, and the page's origin."""
    sent = _sent(scope["headers"])
    origin = sent.get(b"origin", [None])[0]
    return scope["method"] == "OPTIONS" and b"access-control-request-method" in sent, origin


_LOOKED_AT = frozenset(
    {b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"access-control-request-method"}
)


def _sent(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, list[str]]:
    found: dict[bytes, list[str]] = {}
    for name, value in headers:
        if name in _LOOKED_AT:
            found.setdefault(name, []).append(value.decode("latin-1").strip())
    return found


def _name(authority: re.Match[str]) -> str:
    return authority[1].lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        IPv6Address(name[1:-1]) if name.startswith("[") else IPv4Address(name)
    except ValueError:
        return False
    return True


def _same(origin: str, authority: re.Match[str]) -> bool:
    """Return whether an origin has the host and port that are called; the default port is the scheme's."""
    scheme, _, rest = origin.lower().partition("://")
    theirs = _AUTHORITY.fullmatch(rest)
    if theirs is None or scheme not in _DEFAULT_PORTS:
        return False
    default = _DEFAULT_PORTS[scheme]
    return _name(theirs) == _name(authority) and (theirs[2] or default) == (authority[2] or default)

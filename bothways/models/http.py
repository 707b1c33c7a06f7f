"""What the clients of language models and rerankers share: checked addresses and keys, bounded answers, short messages.

Nothing that a service sends is trusted: neither its size nor what it repeats of the request.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from urllib.parse import SplitResult, urlsplit

import httpx

from bothways.core.errors import SettingsError

_LONGEST_MESSAGE = 200
_READ_OF_A_MESSAGE = 20_000


def check_address(url: str, setting: str, *, example: str) -> SplitResult:
    """Return the parts of an http address; raise `SettingsError` naming the setting if it is not one."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises if it is not a number
    except ValueError as error:
        raise SettingsError(f"{setting} is not an address: {error}.") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(f"{setting} has to be a whole address, as in {example}.")
    return parts


def check_key(key: str, setting: str) -> None:
    """Raise `SettingsError` for a key that cannot be sent in a header."""
    if not (key.isascii() and key.isprintable()):
        raise SettingsError(f"{setting} holds characters that no key has: was it copied whole?")


def hushed(text: str, key: str, *, longest: int = _LONGEST_MESSAGE) -> str:
    """Return a service's message as one short line without the key, which some services repeat in their errors."""
    text = text[:_READ_OF_A_MESSAGE].replace(key, "***") if key else text[:_READ_OF_A_MESSAGE]
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


async def bounded_body(
    response: httpx.Response, most: int, too_long: Callable[[], Exception]
) -> AsyncGenerator[bytes, None]:
    """Yield a body as it comes; raise `too_long()` after `most` bytes.

    A compressed body, which no request of ours asks for, could grow without bound: it is a `ValueError`.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise ValueError(f"its answer is compressed ({encoding[:20]}), which it was not asked for")
    taken = 0
    async for piece in response.aiter_raw():
        taken += len(piece)
        if taken > most:
            raise too_long()
        yield piece

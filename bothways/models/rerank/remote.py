"""A cross-encoder behind an address: pairs out over HTTP, logits in, within a deadline.

Requests run on an event loop of their own (bothways/models/client_thread.py), where each ends at its deadline, whatever
the service does. Their number is limited, and after some failures in a row no request is made for a while.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from typing import Literal

import httpx

from bothways.core.errors import ModelError, SettingsError
from bothways.core.text.address import public_url
from bothways.models.circuit import Circuit
from bothways.models.client_thread import ClientThread, ClosedError
from bothways.models.http import bounded_body, check_key, hushed
from bothways.models.rerank.protocols import MOST_PASSAGES, Protocol, endpoint, read_answer, request_body

AT_ONCE = 16
"""Requests at the same time; further searches run without the reranker."""
MAX_ANSWER_BYTES = 4 << 20
ANSWER_BYTES = 16 << 10
ROW_BYTES = 512
"""An answer may have so many bytes, and so many a passage beside the passage itself, which some services send back, six
bytes a character where they escape it; and never more than `MAX_ANSWER_BYTES`."""
UNHURRIED_S = 60.0
"""Seconds for `score`, which is called outside of searches."""


def check_remote(
    url: str, protocol: Protocol | Literal["auto"], model: str | None, api_key: str = ""
) -> tuple[str, Protocol]:
    """Return the whole address and the protocol; raise `SettingsError` for what cannot be asked."""
    address, spoken = endpoint(url, protocol)
    if model is None and spoken != "tei":
        raise SettingsError(f"The {spoken} protocol wants a model's name: set BOTHWAYS_RERANKER_MODEL.")
    check_key(api_key, "BOTHWAYS_RERANKER_API_KEY")
    return address, spoken


class RemoteCrossEncoder:
    """Asks a reranking service over the Cohere, Jina or text-embeddings-inference protocol. Threads may share it.

    `url` is the whole address or its base. Raise `SettingsError` if it is not an address, or if the protocol needs a
    model and none is given. The key is sent as a bearer token and appears in no message.
    """

    def __init__(
        self,
        url: str,
        *,
        protocol: Protocol | Literal["auto"] = "auto",
        model: str | None = None,
        api_key: str = "",
        circuit: Circuit | None = None,
    ) -> None:
        self._url, self._protocol = check_remote(url, protocol, model, api_key)
        self._model = model
        self._key = api_key
        self._address = public_url(self._url)
        self._circuit = circuit or Circuit(event="reranker.down")
        self._places = threading.BoundedSemaphore(AT_ONCE)
        headers = {"Accept-Encoding": "identity", **({"Authorization": f"Bearer {api_key}"} if api_key else {})}
        limits = httpx.Limits(max_connections=AT_ONCE)
        self._http = ClientThread(lambda: httpx.AsyncClient(headers=headers, limits=limits, follow_redirects=False))

    @property
    def name(self) -> str:
        """The address and the model, without user and password: scores of two services do not mix in a cache."""
        return f"{self._address} {self._model or ''}".strip()

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """Logits, one a text, in the order of `texts`; raise `ModelError`."""
        return self.score_within(query, texts, timeout_s=UNHURRIED_S)

    def score_within(self, query: str, texts: Sequence[str], *, timeout_s: float) -> list[float]:
        """Logits, one a text, in the order of `texts`, within `timeout_s` seconds; raise `ModelError`.

        A time-out counts as a failure: a service that is always late costs each search its whole budget.
        """
        deadline = time.monotonic() + timeout_s
        most = MOST_PASSAGES[self._protocol]
        logits: list[float] = []
        for start in range(0, len(texts), most):
            logits += self._asked(query, texts[start : start + most], deadline)
        return logits

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _asked(self, query: str, texts: Sequence[str], deadline: float) -> list[float]:
        if not self._circuit.admits():
            raise ModelError(f"{self._describe()} was down a moment ago and is not asked again yet.")
        if not self._places.acquire(blocking=False):
            raise ModelError(f"{self._describe()} has not answered {AT_ONCE} earlier requests yet.")
        try:
            logits = self._http.run(lambda client: self._request(client, query, texts, deadline))
        except TimeoutError as error:
            self._circuit.record(ok=False)
            raise ModelError(f"{self._describe()} gave no answer in time (BOTHWAYS_RERANK_BUDGET_MS).") from error
        except ClosedError as error:
            raise ModelError(f"{self._describe()} was closed.") from error
        except (httpx.HTTPError, httpx.InvalidURL, ModelError, ValueError, RecursionError) as error:
            self._circuit.record(ok=False)
            reason = hushed(str(error) or type(error).__name__, self._key).rstrip(".")
            raise ModelError(f"{self._describe()} cannot be used: {reason}.") from error
        finally:
            self._places.release()
        self._circuit.record(ok=True)
        return logits

    async def _request(
        self, client: httpx.AsyncClient, query: str, texts: Sequence[str], deadline: float
    ) -> list[float]:
        """Ask once, until `deadline`; raise `TimeoutError` there."""
        left = max(0.001, deadline - time.monotonic())
        body = request_body(self._protocol, self._model, query, texts)
        most = min(MAX_ANSWER_BYTES, ANSWER_BYTES + sum(ROW_BYTES + 6 * len(text) for text in texts))
        async with asyncio.timeout(left), client.stream("POST", self._url, json=body, timeout=left) as response:
            pieces = bounded_body(response, most, lambda: ModelError("its answer is too long"))
            content = b"".join([piece async for piece in pieces])
        if response.status_code != httpx.codes.OK:
            raise ModelError(self._refusal(response.status_code, content))
        return read_answer(self._protocol, json.loads(content), len(texts))

    def _describe(self) -> str:
        return f"The reranker at {self._address} ({self._protocol})"

    def _refusal(self, status: int, content: bytes) -> str:
        hint = {401: "API_KEY", 403: "API_KEY", 404: "URL and BOTHWAYS_RERANKER_PROTOCOL", 422: "PROTOCOL"}.get(status)
        said = hushed(content.decode("utf-8", "replace"), self._key, longest=120)
        look = f"; look at BOTHWAYS_RERANKER_{hint}" if hint else ""
        return f"HTTP {status}{f' ({said})' if said else ''}{look}"

"""Language models that write answers for people: asynchronous, piece by piece, and stopped when the reader leaves.

`bothways/models/llm/language_model.py` is for work in threads, which needs whole answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Protocol

from bothways.core.settings import Settings
from bothways.models.llm.language_model import LanguageModel, endpoint_options


class ChatModel(Protocol):
    """A prompt in, its answer out, whole or in pieces. A cancelled call leaves nothing behind. For one event loop."""

    def stream(self, prompt: str, *, timeout_s: float) -> AsyncGenerator[str, None]:
        """Return the answer's pieces as they come, none of them empty, all within `timeout_s` seconds.

        Raise `LLMError`, also after some pieces, if the answer is empty, cut off or late.
        """
        ...

    async def complete(self, prompt: str, *, timeout_s: float) -> str:
        """Return the whole answer, never an empty one, within `timeout_s` seconds; raise `LLMError`."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


class LocalChat:
    """A model of this process as a `ChatModel`: its answer comes as one piece.

    It cannot be interrupted: after a caller has left, it goes on to the end of its time.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    async def stream(self, prompt: str, *, timeout_s: float) -> AsyncGenerator[str, None]:
        """See `ChatModel.stream`."""
        yield await self.complete(prompt, timeout_s=timeout_s)

    async def complete(self, prompt: str, *, timeout_s: float) -> str:
        """See `ChatModel.complete`."""
        return await asyncio.to_thread(self._model.generate, prompt, timeout_s=timeout_s)

    async def aclose(self) -> None:
        """See `ChatModel.aclose`."""
        await asyncio.to_thread(self._model.close)


def load_chat(settings: Settings) -> ChatModel | None:
    """Return the language model that the settings name: the endpoint, else the local model, else None."""
    if settings.llm_base_url:
        from bothways.models.llm.chat_endpoint import ChatEndpoint

        return ChatEndpoint(settings.llm_base_url, **endpoint_options(settings))
    if settings.llm_local_model:
        from bothways.models.llm.local import LocalModel  # torch takes seconds to import

        return LocalChat(LocalModel(settings.llm_local_model))
    return None

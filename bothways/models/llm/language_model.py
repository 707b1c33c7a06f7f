"""Language models: what one is, and which one the settings ask for. Prompt in, answer out.

An OpenAI-compatible endpoint (bothways/models/llm/endpoint.py), or a local one (bothways/models/llm/local.py).
"""

from __future__ import annotations

from typing import Any, Protocol

from bothways.core.settings import Settings
from bothways.models.llm.usage import TokenUsage
from bothways.models.rate_limit import Pace


class LanguageModel(Protocol):
    """A prompt in, its answer out; used by several threads at once."""

    @property
    def address(self) -> str:
        """Where it answers, without secrets; "" for a model in this process."""
        ...

    @property
    def name(self) -> str:
        """What stands for the model in cache keys and in the index. Raise `LLMError` if it has to be asked for."""
        ...

    @property
    def usage(self) -> TokenUsage:
        """Tokens of all answers so far."""
        ...

    def generate(
        self, prompt: str, *, json_schema: dict[str, Any] | None = None, timeout_s: float | None = None
    ) -> str:
        """Answer within `timeout_s`, retries included, as JSON of that schema where the model can be held to one.

        Never gives an empty text. Raise `LLMUnavailableError` where nobody answers or what answers is no language
        model, which says nothing about the prompt; any other `LLMError` is the model's answer to this prompt.
        """
        ...

    def close(self) -> None:
        """Let go of connections and end waits; later calls raise `LLMUnavailableError`."""
        ...


def load_llm(settings: Settings, *, temperature: float | None = None, pace: Pace | None = None) -> LanguageModel | None:
    """Return the language model that is set: the endpoint, else the local model, else None. Asks no endpoint yet.

    `temperature` is for those who want several answers to one prompt; None: as the endpoint has it, greedy locally.
    `pace` is the rate limit that it shares with others; None: the one of the settings, for itself.
    """
    if settings.llm_base_url:
        from bothways.models.llm.endpoint import EndpointModel

        key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else ""
        return EndpointModel(
            settings.llm_base_url,
            api_key=key,
            model=settings.llm_model,
            timeout_s=settings.llm_timeout_s,
            max_retries=settings.llm_max_retries,
            per_minute=settings.llm_requests_per_minute,
            pace=pace,
            temperature=temperature,
        )
    if settings.llm_local_model:
        from bothways.models.llm.local import LocalModel  # torch takes seconds to import

        return LocalModel(settings.llm_local_model, temperature=temperature)
    return None

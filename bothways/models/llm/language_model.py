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
        """The model's name in cache keys and in the index. Raise `LLMError` if the endpoint is asked and fails."""
        ...

    @property
    def usage(self) -> TokenUsage:
        """Tokens of all answers so far."""
        ...

    def generate(
        self, prompt: str, *, json_schema: dict[str, Any] | None = None, timeout_s: float | None = None
    ) -> str:
        """Return the answer, never an empty one, within `timeout_s`, retries included.

        It is JSON of that schema if the model supports schemas. Raise `LLMUnavailableError` if nothing answers or it is
        not a language model, which says nothing about the prompt; any other `LLMError` is about this prompt.
        """
        ...

    def close(self) -> None:
        """Close the connections and end waits; later calls raise `LLMUnavailableError`."""
        ...


def endpoint_options(settings: Settings) -> dict[str, Any]:
    """Return the options of an endpoint that the settings name."""
    return {
        "api_key": settings.llm_api_key.get_secret_value() if settings.llm_api_key else "",
        "model": settings.llm_model,
        "timeout_s": settings.llm_timeout_s,
        "max_retries": settings.llm_max_retries,
        "per_minute": settings.llm_requests_per_minute,
    }


def load_llm(settings: Settings, *, temperature: float | None = None, pace: Pace | None = None) -> LanguageModel | None:
    """Return the language model that is set: the endpoint, else the local model, else None. Asks no endpoint yet.

    `temperature` is for several answers to one prompt; None: the endpoint's default, greedy locally. `pace` is a rate
    limit that several models share; None: the one of the settings, for this model alone.
    """
    if settings.llm_base_url:
        from bothways.models.llm.endpoint import EndpointModel

        return EndpointModel(settings.llm_base_url, pace=pace, temperature=temperature, **endpoint_options(settings))
    if settings.llm_local_model:
        from bothways.models.llm.local import LocalModel  # torch takes seconds to import

        return LocalModel(settings.llm_local_model, temperature=temperature)
    return None

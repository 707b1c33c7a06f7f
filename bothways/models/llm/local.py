"""A transformers causal language model in this process, for where there is no endpoint: slow, but needs only torch."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import structlog

from bothways.core.errors import LLMError, LLMUnavailableError, MissingExtraError, ModelError
from bothways.models.llm.usage import TokenUsage, UsageCounter

log = structlog.get_logger()


class LocalModel:
    """A causal LM by the hub's name or by folder; one prompt at a time, by greedy search, so that answers repeat.

    With a `temperature` above 0 they are sampled instead.

    It cannot be held to a JSON schema: the prompt has to ask for JSON. An answer that reaches `max_new_tokens` or
    the end of its time is given as far as it came.
    """

    def __init__(self, name_or_folder: str, *, max_new_tokens: int = 512, temperature: float | None = None) -> None:
        self._name = name_or_folder
        self._max_new_tokens = max_new_tokens
        self._sampling = {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}
        self._lock = threading.Lock()
        self._closed = False
        self._usage = UsageCounter()
        self._tokenizer, self._model = _load(name_or_folder)

    @property
    def address(self) -> str:
        """Nowhere: it runs in this process."""
        return ""

    @property
    def name(self) -> str:
        """The name or folder as set."""
        return self._name

    @property
    def usage(self) -> TokenUsage:
        """Tokens of all answers so far, as the model's own tokenizer counts them."""
        return self._usage.total

    def generate(
        self,
        prompt: str,
        *,
        json_schema: dict[str, Any] | None = None,  # noqa: ARG002 – part of the interface, see the class
        timeout_s: float | None = None,
    ) -> str:
        """See `LanguageModel.generate`; the wait for other threads' prompts counts against `timeout_s`, too."""
        if not self._lock.acquire(timeout=-1 if timeout_s is None else timeout_s):
            raise LLMUnavailableError(f"The local language model was busy for {timeout_s:g} s.")
        try:
            text = self._generate(prompt, timeout_s)
        finally:
            self._lock.release()
        if not text:
            raise LLMError(f"The local language model {self._name} gave an empty answer.")
        return text

    def close(self) -> None:
        """Let go of the model's memory."""
        with self._lock:
            self._closed = True
            self._model = None

    def _generate(self, prompt: str, timeout_s: float | None) -> str:
        if self._closed:
            raise LLMUnavailableError("The language model was closed.")
        inputs = self._encoded(prompt)
        length = inputs["input_ids"].shape[1]
        room = self._room(length)
        try:
            output = self._model.generate(
                **inputs,
                **self._sampling,
                max_new_tokens=room,
                max_time=timeout_s,
                pad_token_id=self._tokenizer.pad_token_id or self._tokenizer.eos_token_id or 0,
            )
        except (RuntimeError, ValueError, IndexError) as error:
            raise LLMError(f"The local language model {self._name} failed: {error}") from error
        self._usage.add(TokenUsage(length, output.shape[1] - length))
        return str(self._tokenizer.decode(output[0, length:], skip_special_tokens=True)).strip()

    def _encoded(self, prompt: str) -> Any:  # noqa: ANN401 – transformers' BatchEncoding
        if self._tokenizer.chat_template:
            text = self._tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False
            )
            encoded = self._tokenizer(text, add_special_tokens=False, return_tensors="pt")
        else:
            encoded = self._tokenizer(prompt, return_tensors="pt")
        encoded.pop("token_type_ids", None)
        return encoded.to(self._model.device)

    def _room(self, length: int) -> int:
        """Tokens that may follow a prompt of `length`; raise `LLMError` if the model's window is full already."""
        window = getattr(self._model.config, "max_position_embeddings", None)
        room = self._max_new_tokens if window is None else min(self._max_new_tokens, window - length)
        if room <= 0:
            raise LLMError(f"The prompt has {length} tokens, more than the local language model takes ({window}).")
        return room


def _load(name_or_folder: str) -> tuple[Any, Any]:
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise MissingExtraError(
            "BOTHWAYS_LLM_LOCAL_MODEL needs torch and transformers: pip install 'bothways[torch]'."
        ) from error
    folder = Path(name_or_folder).expanduser()
    source = str(folder) if folder.is_dir() else name_or_folder
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
    except (OSError, ValueError, KeyError) as error:
        first_line = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise ModelError(f"The local language model {name_or_folder} cannot be loaded: {first_line}") from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    log.debug("llm.local", model=name_or_folder, device=device)
    return tokenizer, model.to(device).eval()

"""All settings, read from the environment (prefix `BOTHWAYS_`) and `.env`; docs/reference/settings.md lists them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from platformdirs import user_cache_path
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from bothways.core.datatypes import ChunkerName, QueryText
from bothways.core.errors import SettingsError
from bothways.core.fixed import Fixed
from bothways.schemas.options import FixedOptions, SearchDefaults, SearchOptions

_HOST = re.compile(r"\*|(\*\.)?[^\s/:*\[\]]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")
_ORIGIN = re.compile(r"https?://([^\s/:*\[\]]+|\[[0-9A-Fa-f:.]+\])(:\d+)?/?")


FIXED: Mapping[str, FieldInfo] = {**Fixed.model_fields, **FixedOptions.model_fields}
"""What was a setting once, and what never was one: the environment cannot change it."""


class _Settable(PydanticBaseSettingsSource):
    """A source without what is fixed."""

    def __init__(self, source: PydanticBaseSettingsSource) -> None:
        super().__init__(source.settings_cls)
        self._source = source

    def __call__(self) -> dict[str, Any]:
        return {name: value for name, value in self._source().items() if name not in FIXED}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._source.get_field_value(field, field_name)


class Settings(SearchDefaults, FixedOptions, Fixed, BaseSettings):
    """What can be set from outside. The descriptions stand in docs/reference/settings.md."""

    model_config = SettingsConfigDict(
        env_prefix="BOTHWAYS_", env_file=".env", env_ignore_empty=True, extra="ignore", allow_inf_nan=False, frozen=True
    )

    es_url: str | None = Field(None, description="address of an Elasticsearch to use instead of a node of our own")
    es_api_key: SecretStr | None = Field(None, description="API key for that Elasticsearch")
    es_user: str | None = Field(None, description="user name, where no API key is used")
    es_password: SecretStr | None = Field(None, description="that user's password")
    es_ca_certs: Path | None = Field(None, description="CA file that signed the cluster's certificate")
    es_timeout_s: float = Field(30.0, gt=0, description="seconds after which a request to Elasticsearch is given up")
    es_port: int = Field(9200, ge=1, le=65535, description="port of the local node that `bothways es up` starts")
    es_heap: str = Field("1g", pattern=r"^\d+[mg]$", description="heap of the local node, as in `1g` or `512m`")

    kibana_url: str = Field("http://127.0.0.1:5601", description="Kibana, for `bothways kibana`")
    kibana_api_key: SecretStr | None = Field(None, description="its API key; unset: entered as Elasticsearch is")

    embedding_model: str = Field("BAAI/bge-small-zh-v1.5", description="sentence-transformers model: name or folder")
    reranker_model: str | None = Field(None, description="cross-encoder: name or folder, or its name behind an address")
    reranker_url: str | None = Field(
        None, description="a reranker behind an address, as in `http://127.0.0.1:8080/rerank`"
    )
    reranker_api_key: SecretStr | None = Field(None, description="its key")
    reranker_protocol: Literal["auto", "cohere", "jina", "tei"] = Field(
        "auto", description="what it speaks; `auto` goes by the address: `/v2/rerank`, `/v1/rerank`, `/rerank`"
    )
    reranker_precision: Literal["auto", "fp32", "int8"] = Field(
        "auto", description="`int8`: 8-bit weights, a third of the time; `auto`: int8 with `onnx`, fp32 with others"
    )
    model_backend: Literal["torch", "onnx", "openvino"] = Field("onnx", description="what runs the models")
    query_prompt: str | None = Field(None, description="text put in front of a query; unset: as the model says")

    llm_base_url: str | None = Field(None, description="OpenAI-compatible endpoint, as in `http://127.0.0.1:11434/v1`")
    llm_api_key: SecretStr | None = Field(None, description="its key")
    llm_model: str | None = Field(None, description="its model; unset: the first that the endpoint lists")
    llm_local_model: str | None = Field(None, description="a transformers causal LM, where there is no endpoint")
    llm_timeout_s: float = Field(60.0, gt=0, description="seconds for one answer of the language model")
    llm_concurrency: int = Field(8, ge=1, le=256, description="requests to the language model at once")
    llm_requests_per_minute: float | None = Field(
        None, gt=0, description="rate limit of each process, retries included; unset: none"
    )
    llm_price_prompt: float | None = Field(None, ge=0, description="what a million tokens that it reads cost")
    llm_price_completion: float | None = Field(None, ge=0, description="what a million tokens that it writes cost")
    questions_per_chunk: int = Field(5, ge=1, le=40, description="pseudo-questions that are asked for a chunk")
    filter_questions: Literal["none", "round-trip", "cross-encoder"] = Field(
        "none", description="which pseudo-questions are dropped after a build (docs/decisions/pseudo-questions.md)"
    )

    chunker: ChunkerName = Field("sentence", description="where documents are cut (docs/decisions/chunking.md)")
    chunk_max_chars: int = Field(300, ge=50, le=8000, description="longest chunk, in characters")
    segmentation_model: str | None = Field(
        None, description="document-segmentation model for `semantic`: name or folder; unset: sentence vectors"
    )
    max_file_mb: float = Field(200.0, gt=0, description="a larger single file (other than JSON lines) is refused")
    user_dict_path: Path | None = Field(None, description="jieba user dictionary: a word a line")
    stopwords_path: Path | None = Field(None, description="stop words, one a line; unset: none are removed")
    synonyms_path: Path | None = Field(None, description="synonyms file; unset: es_mappings/synonyms.txt")

    expansion_rule: Path | None = Field(
        None, description="when `rewrite: auto` asks the language model: a rule of `bothways learn expansion`"
    )
    search_concurrency: int = Field(
        8,
        ge=1,
        le=1000,
        description="searches that the API works on at once (docs/decisions/deadlines-and-overload.md)",
    )
    ask_collection: str | None = Field(None, description="where `POST /ask` looks; unset: `default`, or the only one")
    ask_context_tokens: int = Field(
        2000, ge=100, le=200_000, description="tokens of passages that the language model reads for an answer"
    )

    feedback: bool = Field(True, description="record searches of the API, and what users do with the answers")
    feedback_query_text: QueryText = Field("plain", description="what is kept of a question: `plain`, `hashed`, `none`")
    feedback_retention_days: int = Field(
        90, ge=1, le=3650, description="months of feedback that ended so long ago are removed"
    )

    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="keys of admins, by commas, 16 characters or more (`openssl rand -hex 32`); unset: none needed",
    )
    api_keys_file: Path | None = Field(
        None, description="TOML file (mode 600) of hashed keys with their access groups; read again when it changes"
    )
    host: str = Field("127.0.0.1", description="address that the API listens on")
    port: int = Field(8000, ge=1, le=65535, description="its port")
    without_keys: bool = Field(False, description="serve without API keys on an address that other machines reach, too")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="names by which the API may be called, by commas; unset: localhost, and any where keys are set"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="origins whose web pages may call the API, by commas, as in `https://intranet.example.com`"
    )
    server_url: str | None = Field(None, description="the API that clients of ours ask, as `bothways mcp` does")
    server_api_key: SecretStr | None = Field(None, description="the API key that they bring")
    max_upload_mb: float = Field(100.0, gt=0, description="a larger upload of documents is refused with 413")
    cache_dir: Path = Field(
        default_factory=lambda: user_cache_path("bothways"), description="models, node, LLM answers"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("warning", description="log lines on stderr")

    @property
    def search(self) -> SearchOptions:
        """How to search where a request does not say otherwise."""
        names = SearchDefaults.model_fields.keys() | FixedOptions.model_fields.keys()
        return SearchOptions(**{name: getattr(self, name) for name in names})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 – pydantic passes all of them by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment, then `.env`; what is fixed is read from neither."""
        return init_settings, _Settable(env_settings), _Settable(dotenv_settings)

    @field_validator("api_keys", "allowed_hosts", "cors_origins", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        return tuple(key.strip() for key in value.split(",") if key.strip()) if isinstance(value, str) else value

    @field_validator("allowed_hosts")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not _HOST.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a host: write it as in `search.example.com`, without http://")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin: write each as in `https://intranet.example.com`")
        return value

    @field_validator("cache_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()


SETTABLE: Mapping[str, FieldInfo] = {n: field for n, field in Settings.model_fields.items() if n not in FIXED}
"""The settings: what the environment may change, by the names of the fields."""


def load_settings(**overrides: object) -> Settings:
    """Read the settings, with `overrides` on top; a wrong value is a `SettingsError` that names the variable."""
    try:
        changed = _fixed_otherwise() | {name: value for name, value in overrides.items() if value is not None}
        return Settings(**changed)  # type: ignore[arg-type]
    except UnicodeDecodeError as error:
        raise SettingsError(f"The file .env is not UTF-8 ({error.reason}).") from error
    except ValidationError as error:
        problems = "; ".join(f"BOTHWAYS_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"A setting cannot be used: {problems}.") from error


def ignored_settings() -> list[str]:
    """Return a line for each variable that was a setting, is set, and changes nothing any more."""
    given = _environment()
    return [
        f"BOTHWAYS_{name.upper()} is no longer a setting; it is fixed at {field.default}"
        for name, field in FIXED.items()
        if given.get(f"BOTHWAYS_{name.upper()}")
    ]


def _fixed_otherwise() -> dict[str, object]:
    """Return what BOTHWAYS_FIXED changes; raises `SettingsError` where it is no JSON object of what is fixed."""
    text = _environment().get("BOTHWAYS_FIXED")
    try:
        changed = json.loads(text) if text else {}
    except ValueError as error:
        raise SettingsError("BOTHWAYS_FIXED is no JSON.") from error
    if not isinstance(changed, dict) or changed.keys() - FIXED.keys():
        raise SettingsError("BOTHWAYS_FIXED has to be a JSON object of what is fixed (bothways/core/fixed.py).")
    return changed


def _environment() -> Mapping[str, str | None]:
    return {**dotenv_values(".env"), **os.environ}


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the process-wide settings, read once."""
    return load_settings()

"""Tiny, randomly initialised models, saved as their libraries save them: real files, made in a second."""

from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from bothways.models.onnx.export import quiet

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz合同违约金请求减少见死不救"]
TEXTS = ["合同", "a B c", "违约金请求减少" * 20, "", "违约金", "x", "合同"]


def _config(**other: Any) -> BertConfig:
    return BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.3,
        **other,
    )


def _save(model: Any, folder: Path) -> Path:
    with quiet():
        model.save_pretrained(folder)
        BertTokenizerFast(vocab={token: i for i, token in enumerate(VOCABULARY)}).save_pretrained(folder)
    return folder


def transformers_folder(folder: Path) -> Path:
    torch.manual_seed(1)
    return _save(BertModel(_config()), folder)


def sentence_transformers_folder(folder: Path, *, pooling: str, normalize: bool, query: str = "") -> Path:
    plain = transformers_folder(folder.with_name(f"{folder.name}-plain"))
    with quiet():
        modules = [Transformer(str(plain)), Pooling(32, pooling_mode=pooling), *([Normalize()] if normalize else [])]
        SentenceTransformer(modules=modules, prompts={"query": query}).save(str(folder), create_model_card=False)
    return folder


def cross_encoder_folder(folder: Path, *, labels: int = 1) -> Path:
    torch.manual_seed(2)
    return _save(BertForSequenceClassification(_config(num_labels=labels)), folder)


def causal_folder(folder: Path, *, words: tuple[str, ...] = ("yes", "no")) -> Path:
    """A language model that knows `words` beside single letters."""
    vocabulary = [*VOCABULARY, *words]
    torch.manual_seed(3)
    config = Qwen3Config(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        intermediate_size=64,
        max_position_embeddings=512,
        initializer_range=0.3,
    )
    with quiet():
        Qwen3ForCausalLM(config).save_pretrained(folder)
        BertTokenizerFast(vocab={token: i for i, token in enumerate(vocabulary)}).save_pretrained(folder)
    return folder

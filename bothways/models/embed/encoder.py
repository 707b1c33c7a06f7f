"""The encoder that the settings ask for: any of the three backends, one protocol, the same vectors."""

from __future__ import annotations

from bothways.core.settings import Settings
from bothways.models.embed.onnx_encoder import TOKEN_VECTORS, OnnxEncoder
from bothways.models.embed.torch_encoder import TorchEncoder
from bothways.models.files.folder import read_pooling, read_query_prompt
from bothways.models.files.resolve import onnx_file, resolve_model
from bothways.models.onnx.export import export_graph
from bothways.models.onnx.first_token import first_token_graph
from bothways.models.onnx.graph import open_graph
from bothways.models.protocols import Encoder

TOKENS_A_TEXT = 32
"""What `embedding_batch_size` counts on the ONNX backends: texts of this many tokens; of shorter ones more fit in."""


def load_encoder(settings: Settings) -> Encoder:
    """Load the embedding model, fetching it first where it is not on this machine.

    Queries get `settings.query_prompt`; where that is unset, the prompt named `query` in the model's folder, if any.
    Raise `ModelError` if the model cannot be found or loaded, `MissingExtraError` if its backend is missing.
    """
    name, backend = settings.embedding_model, settings.model_backend
    folder = resolve_model(name, cache_dir=settings.cache_dir, weights="torch" if backend == "torch" else "onnx")
    prompt = read_query_prompt(folder) if settings.query_prompt is None else settings.query_prompt
    if backend == "torch":
        return TorchEncoder(name, folder, query_prompt=prompt, batch_size=settings.embedding_batch_size)
    pooling = read_pooling(folder)
    path = onnx_file(folder) or export_graph(folder, "encoder", cache_dir=settings.cache_dir)
    if pooling.mode == "cls":
        path = first_token_graph(path, cache_dir=settings.cache_dir)
    return OnnxEncoder(
        name,
        folder,
        open_graph(path, backend=backend, outputs=TOKEN_VECTORS),
        pooling,
        query_prompt=prompt,
        max_batch_tokens=settings.embedding_batch_size * TOKENS_A_TEXT,
    )

"""A BERT whose last layer computes only what is used of it, where that is the first token's vector.

With CLS pooling the last layer needs the keys and values of all tokens, but a query, an output projection and a
feed-forward network for the first one alone: of 4 layers that is a fifth of all arithmetic, and the vectors are the
same. It is done to ONNX graphs, and to torch models before they are exported or trained.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from bothways.core.errors import ModelError
from bothways.models.onnx.derived import derived_graph
from bothways.models.onnx.graph import open_graph
from bothways.models.onnx.tokens import Batch

log = structlog.get_logger(__name__)

MAX_EDITED_BYTES = 1 << 30
"""A larger graph is run as it is: an edit holds it in memory twice."""
BERT_LAYERS = frozenset({"BertLayer", "RobertaLayer", "XLMRobertaLayer", "ElectraLayer", "CamembertLayer"})
_QUERY_BIAS = re.compile(r"encoder\.layer\.(\d+)\.attention\.self\.query\.bias$")
_NAME = "model.first_token.onnx"
_FIRST = "bothways.first_token"
_INDEX = "bothways.first_token.index"


def first_token_graph(path: Path, *, cache_dir: Path) -> Path:
    """Return the copy in the cache that computes the first token's vector alone, shape (texts, 1, d).

    If the graph is not a BERT's, or the cache cannot be written, it is the graph at `path` itself.
    """
    if path.stat().st_size > MAX_EDITED_BYTES or any(path.parent.glob(f"{path.name}[._]data")):
        return path
    try:
        copy = derived_graph(path, _NAME, _write_smaller, cache_dir=cache_dir)
    except OSError as error:
        log.warning("model.not_cut", graph=str(path), reason=str(error))
        return path
    return copy if copy.stat().st_size else path


def _write_smaller(path: Path, copy: Path) -> None:
    """Write the smaller graph; an empty file if there is none, so that later starts do not try it again."""
    import onnx  # here: it takes 17 MB, and only the first start needs it
    from google.protobuf.message import DecodeError

    copy.touch()
    try:
        model = onnx.load(path)
        if not keep_first_token(model.graph):
            return
        onnx.save(model, copy)
        ones = np.ones((2, 3), np.int64)
        batch = Batch(positions=(0, 1), ids=ones, mask=ones, types=np.zeros_like(ones))
        shape = open_graph(copy, backend="onnx", outputs=()).run(batch).shape
    except (DecodeError, ModelError):  # no ONNX file, or a graph that computes its shapes in another way
        shape = ()
    if shape[:2] != (2, 1):
        copy.write_bytes(b"")


def keep_first_token(graph: Any) -> bool:  # noqa: ANN401 - onnx is untyped here
    """Change a graph so that its output has shape (texts, 1, d); return False if it is not a BERT's.

    Callers check that shape: a graph may compute its shapes in a way that this does not foresee.
    """
    found = _last_layer(graph)
    if found is None:
        return False
    from onnx import helper, numpy_helper

    hidden, readers = found
    gather = helper.make_node("Gather", [hidden, _INDEX], [_FIRST], axis=1)
    graph.node.insert(min(list(graph.node).index(node) for node in readers), gather)
    graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.int64), _INDEX))
    for node in readers:
        node.input[:] = [_FIRST if name == hidden else name for name in node.input]
    del graph.value_info[:]  # shapes that the export noted and that hold no longer
    return True


def _last_layer(graph: Any) -> tuple[str, list[Any]] | None:  # noqa: ANN401
    """Return the last layer's input, and the two nodes that need only its first token: the query and the residual."""
    biases = {name: int(m[1]) for node in graph.node for name in node.input if (m := _QUERY_BIAS.search(name))}
    if not biases:
        return None
    last = max(biases, key=biases.__getitem__)
    sums = [node for node in graph.node if last in node.input]
    products = [node for node in graph.node if any(name in total.input for total in sums for name in node.output)]
    if len(products) != 1 or products[0].op_type != "MatMul":
        return None
    hidden = products[0].input[0]
    residuals = [node for node in graph.node if node.op_type == "Add" and hidden in node.input]
    return (hidden, [products[0], residuals[0]]) if len(residuals) == 1 else None


def compute_first_token_only(model: Any) -> None:  # noqa: ANN401 - torch stays an extra
    """Let the last layer of a torch BERT compute only what its head reads, the first token.

    The parameters stay where they are, so that what is saved is the same. Models of other families stay as they are.
    """
    layers = getattr(getattr(model.base_model, "encoder", None), "layer", None)
    if layers and type(layers[-1]).__name__ in BERT_LAYERS:
        layers[-1].forward = partial(_first_token, layers[-1])


def _first_token(layer: Any, hidden: Any, mask: Any = None, *_: Any, **__: Any) -> Any:  # noqa: ANN401
    """Return the first token's hidden states, shape (texts, 1, d), of all tokens', shape (texts, tokens, d)."""
    import torch

    attention, output = layer.attention.self, layer.attention.output
    first = hidden[:, :1]
    query, key, value = (
        states.unflatten(-1, (attention.num_attention_heads, -1)).transpose(1, 2)
        for states in (attention.query(first), attention.key(hidden), attention.value(hidden))
    )
    context = torch.nn.functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=None if mask is None else mask[:, :, :1],
        dropout_p=attention.dropout.p if layer.training else 0.0,
    )
    attended = output(context.transpose(1, 2).flatten(2), first)
    return layer.output(layer.intermediate(attended), attended)

"""A BERT whose last layer computes only what is used of it, where that is the first token's vector.

With CLS pooling the last layer needs the keys and values of all tokens, but a query, an output projection and a
feed-forward network for the first one alone: of 4 layers that is a fifth of all arithmetic, and the vectors are the
same. An ONNX file's bytes go in, those of the smaller graph come out (or a torch model, before it is exported). The
edit is made on the protobuf wire format, since the `onnx` package is no dependency: a graph is a row of nodes, and two
of them get another input.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from bothways.models.onnx.wire import (
    GRAPH_INITIALIZER,
    GRAPH_NODE,
    GRAPH_VALUE_INFO,
    MODEL_GRAPH,
    NODE_ATTRIBUTE,
    NODE_INPUT,
    NODE_OP,
    NODE_OUTPUT,
    Field,
    message,
    number,
    read_fields,
    text,
)

QUERY_BIAS = re.compile(r"encoder\.layer\.(\d+)\.attention\.self\.query\.bias$")
BERT_LAYERS = frozenset({"BertLayer", "RobertaLayer", "XLMRobertaLayer", "ElectraLayer", "CamembertLayer"})
_FIRST = "bothways.first_token"
_INDEX = "bothways.first_token.index"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    field: Field
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    op: str


def keep_first_token(model: bytes) -> bytes | None:
    """Give the graph whose output has shape (texts, 1, d), or None where the model is not a BERT that can be told so.

    Whoever runs it has to check that shape: a graph may compute its shapes in a way that this does not foresee.
    """
    try:
        top = list(read_fields(memoryview(model)))
        graph = list(read_fields(next(field.value for field in top if field.number == MODEL_GRAPH)))
        edited = _edit(graph)
    except (IndexError, StopIteration, ValueError):  # not an ONNX file: the runtime will say so
        return None
    if edited is None:
        return None
    body = b"".join(edited)
    return b"".join(message(MODEL_GRAPH, body) if field.number == MODEL_GRAPH else field.raw for field in top)


def compute_first_token_only(model: Any, torch: Any) -> bool:  # noqa: ANN401 - torch stays an extra
    """Replace the last layer of a torch cross-encoder of BERT's family, whose head reads the first token alone.

    Tells whether it did; a model of another family is left as it is.
    """
    layers = getattr(getattr(model.base_model, "encoder", None), "layer", None)
    if not layers or type(layers[-1]).__name__ not in BERT_LAYERS:
        return False
    layer = layers[-1]
    whole, attention = layer.attention, layer.attention.self

    class FirstTokenLayer(torch.nn.Module):  # type: ignore[misc]
        """Hidden states of shape (texts, tokens, d) in, those of the first token (texts, 1, d) out."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, hidden: Any, mask: Any = None, *_: Any, **__: Any) -> Any:  # noqa: ANN401
            first = hidden[:, :1]
            query, key, value = (
                states.unflatten(-1, (attention.num_attention_heads, -1)).transpose(1, 2)
                for states in (attention.query(first), attention.key(hidden), attention.value(hidden))
            )
            context = torch.nn.functional.scaled_dot_product_attention(
                query, key, value, attn_mask=None if mask is None else mask[:, :, :1]
            )
            attended = whole.output(context.transpose(1, 2).flatten(2), first)
            return self.layer.output(self.layer.intermediate(attended), attended)

    layers[-1] = FirstTokenLayer()
    return True


def _edit(graph: list[Field]) -> list[bytes | memoryview] | None:
    nodes = {i: _read_node(field) for i, field in enumerate(graph) if field.number == GRAPH_NODE}
    place = _find(list(nodes.values()))
    if place is None:
        return None
    hidden, (query, residual) = place
    parts: list[bytes | memoryview] = []
    pending = True
    for i, field in enumerate(graph):
        if field.number == GRAPH_VALUE_INFO:  # shapes that the export noted and that hold no longer
            continue
        if nodes.get(i) not in (query, residual):
            parts.append(field.raw)
            continue
        if pending:
            parts.append(_gather(hidden))
            pending = False
        parts.append(_redirect(field, hidden))
    return [*parts, _zero_index()]


def _find(nodes: list[_Node]) -> tuple[str, tuple[_Node, _Node]] | None:
    """Find the last layer's input, and the two nodes that need only its first token: the query and the residual."""
    biases = {name: int(m[1]) for node in nodes for name in node.inputs if (m := QUERY_BIAS.search(name))}
    if not biases:
        return None
    last = max(biases, key=biases.__getitem__)
    producers = {name: node for node in nodes for name in node.outputs}
    sums = [node for node in nodes if last in node.inputs]
    products = [producers[name] for node in sums for name in node.inputs if name in producers]
    if len(products) != 1 or products[0].op != "MatMul":
        return None
    hidden = products[0].inputs[0]
    residuals = [node for node in nodes if node.op == "Add" and hidden in node.inputs]
    return (hidden, (products[0], residuals[0])) if len(residuals) == 1 else None


def _read_node(field: Field) -> _Node:
    texts: dict[int, list[str]] = {NODE_INPUT: [], NODE_OUTPUT: [], NODE_OP: []}
    for part in read_fields(field.value):
        if part.number in texts:
            texts[part.number].append(str(part.value, "utf-8"))
    return _Node(
        field=field, inputs=tuple(texts[NODE_INPUT]), outputs=tuple(texts[NODE_OUTPUT]), op="".join(texts[NODE_OP])
    )


def _redirect(field: Field, hidden: str) -> bytes:
    parts = [
        text(NODE_INPUT, _FIRST) if part.number == NODE_INPUT and part.value == hidden.encode() else part.raw
        for part in read_fields(field.value)
    ]
    return message(GRAPH_NODE, b"".join(parts))


def _gather(hidden: str) -> bytes:
    axis = text(1, "axis") + number(3, 1) + number(20, 2)  # name, i, type INT
    node = text(NODE_INPUT, hidden) + text(NODE_INPUT, _INDEX) + text(NODE_OUTPUT, _FIRST)
    return message(GRAPH_NODE, node + text(NODE_OP, "Gather") + message(NODE_ATTRIBUTE, axis))


def _zero_index() -> bytes:
    tensor = number(1, 1) + number(2, 7) + text(8, _INDEX) + message(9, bytes(8))  # dims, INT64, name, raw data
    return message(GRAPH_INITIALIZER, tensor)

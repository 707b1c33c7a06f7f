"""A BERT whose last layer computes only what is used of it, where that is the first token's vector.

With CLS pooling the last layer needs the keys and values of all tokens, but a query, an output projection and a
feed-forward network for the first one alone: of 4 layers that is a fifth of all arithmetic, and the vectors are the
same. An ONNX file's bytes go in, those of the smaller graph come out (or a torch model, before it is exported). The
edit is made on the protobuf wire format, since the `onnx` package is no dependency: a graph is a row of nodes, and two
of them get another input.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

QUERY_BIAS = re.compile(r"encoder\.layer\.(\d+)\.attention\.self\.query\.bias$")
BERT_LAYERS = frozenset({"BertLayer", "RobertaLayer", "XLMRobertaLayer", "ElectraLayer", "CamembertLayer"})
_FIRST = "bothways.first_token"
_INDEX = "bothways.first_token.index"

# Field numbers of onnx.proto3
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_VALUE_INFO = 1, 5, 13
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP, _NODE_ATTRIBUTE = 1, 2, 4, 5
_BYTES = 2  # the wire type of strings and messages


@dataclass(frozen=True, slots=True)
class _Field:
    number: int
    raw: bytes | memoryview
    value: memoryview


@dataclass(frozen=True, slots=True)
class _Node:
    field: _Field
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    op: str


def keep_first_token(model: bytes) -> bytes | None:
    """Give the graph whose output has shape (texts, 1, d), or None where the model is not a BERT that can be told so.

    Whoever runs it has to check that shape: a graph may compute its shapes in a way that this does not foresee.
    """
    try:
        top = list(_fields(memoryview(model)))
        graph = list(_fields(next(field.value for field in top if field.number == _MODEL_GRAPH)))
        edited = _edit(graph)
    except (IndexError, StopIteration, ValueError):  # not an ONNX file: the runtime will say so
        return None
    if edited is None:
        return None
    body = b"".join(edited)
    return b"".join(_message(_MODEL_GRAPH, body) if field.number == _MODEL_GRAPH else field.raw for field in top)


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


def _edit(graph: list[_Field]) -> list[bytes | memoryview] | None:
    nodes = {i: _read_node(field) for i, field in enumerate(graph) if field.number == _GRAPH_NODE}
    place = _find(list(nodes.values()))
    if place is None:
        return None
    hidden, (query, residual) = place
    parts: list[bytes | memoryview] = []
    pending = True
    for i, field in enumerate(graph):
        if field.number == _GRAPH_VALUE_INFO:  # shapes that the export noted and that hold no longer
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


def _read_node(field: _Field) -> _Node:
    texts: dict[int, list[str]] = {_NODE_INPUT: [], _NODE_OUTPUT: [], _NODE_OP: []}
    for part in _fields(field.value):
        if part.number in texts:
            texts[part.number].append(str(part.value, "utf-8"))
    return _Node(field, tuple(texts[_NODE_INPUT]), tuple(texts[_NODE_OUTPUT]), "".join(texts[_NODE_OP]))


def _redirect(field: _Field, hidden: str) -> bytes:
    parts = [
        _text(_NODE_INPUT, _FIRST) if part.number == _NODE_INPUT and part.value == hidden.encode() else part.raw
        for part in _fields(field.value)
    ]
    return _message(_GRAPH_NODE, b"".join(parts))


def _gather(hidden: str) -> bytes:
    axis = _text(1, "axis") + _number(3, 1) + _number(20, 2)  # name, i, type INT
    node = _text(_NODE_INPUT, hidden) + _text(_NODE_INPUT, _INDEX) + _text(_NODE_OUTPUT, _FIRST)
    return _message(_GRAPH_NODE, node + _text(_NODE_OP, "Gather") + _message(_NODE_ATTRIBUTE, axis))


def _zero_index() -> bytes:
    tensor = _number(1, 1) + _number(2, 7) + _text(8, _INDEX) + _message(9, bytes(8))  # dims, INT64, name, raw data
    return _message(_GRAPH_INITIALIZER, tensor)


def _fields(buffer: memoryview) -> Iterator[_Field]:
    at = 0
    while at < len(buffer):
        start = at
        key, at = _varint(buffer, at)
        begin = at
        if key & 7 == _BYTES:
            size, begin = _varint(buffer, at)
            at = begin + size
        elif key & 7 == 0:
            _, at = _varint(buffer, at)
        else:
            at += {1: 8, 5: 4}.get(key & 7) or _stop()
        if at > len(buffer):
            _stop()
        yield _Field(key >> 3, buffer[start:at], buffer[begin:at])


def _stop() -> int:
    raise ValueError("This is not a protobuf message.")


def _varint(buffer: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _encode(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _number(number: int, value: int) -> bytes:
    return _encode(number << 3) + _encode(value)


def _message(number: int, value: bytes) -> bytes:
    return _encode(number << 3 | _BYTES) + _encode(len(value)) + value


def _text(number: int, value: str) -> bytes:
    return _message(number, value.encode())

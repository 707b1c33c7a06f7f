"""The protobuf wire format, as far as ONNX files need it to be edited without the `onnx` package.

Bytes of a message go in, its fields come out as they stand, so that what is not edited is copied byte for byte
(protobuf.dev/programming-guides/encoding; field numbers: onnx.proto3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_OUTPUT, GRAPH_VALUE_INFO = 1, 5, 12, 13
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_OP, NODE_ATTRIBUTE = 1, 2, 3, 4, 5
_BYTES = 2  # the wire type of strings and messages


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its number, the whole of it as it stands, and its value (of a number: the rest of the field)."""

    number: int
    raw: bytes | memoryview
    value: memoryview


def read_fields(buffer: memoryview) -> Iterator[Field]:
    """Read the fields of a message in their order; raises `ValueError` where it is none."""
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
        yield Field(key >> 3, buffer[start:at], buffer[begin:at])


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


def number(field: int, value: int) -> bytes:
    """Write a field that is a number."""
    return _encode(field << 3) + _encode(value)


def message(field: int, value: bytes) -> bytes:
    """Write a field that is a message or a string of bytes."""
    return _encode(field << 3 | _BYTES) + _encode(len(value)) + value


def text(field: int, value: str) -> bytes:
    """Write a field that is a text."""
    return message(field, value.encode())

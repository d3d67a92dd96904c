"""The wire format of protocol buffers, and cleaning the graph of an ONNX model in it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from redact.errors import DependencyError

# What cleaning needs to know of onnx.proto: the tags of the fields that it reads, all of wire type 2, which is
# a length and that many bytes.
_GRAPH = 7 << 3 | 2  # of ModelProto
_INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = (number << 3 | 2 for number in (5, 11, 12, 13))  # of GraphProto
_TENSOR_NAME, _VALUE_NAME = 8 << 3 | 2, 1 << 3 | 2  # of TensorProto and ValueInfoProto
_SHAPE = (2 << 3 | 2, 1 << 3 | 2, 2 << 3 | 2)  # ValueInfoProto.type, TypeProto.tensor_type, Tensor.shape
_DIM, _DIM_PARAM = 1 << 3 | 2, 2 << 3 | 2  # of TensorShapeProto and Dimension


def clean_graph(model: bytes) -> bytes:
    """Return an ONNX model whose constants can be folded and whose picture size is free.

    Inputs that only declare weights are dropped: they stop constant folding. Inputs and outputs of four
    dimensions (batch, channel, row, column) get named sizes in place of all fixed ones but the channels'; notes
    on inner shapes, which held for the fixed size, are dropped. Nodes and weights stay byte for byte. Cleaning
    twice gives the same as cleaning once.

    Raises:
        DependencyError: the bytes are not an ONNX model.
    """
    if [tag for tag, _, _ in fields(model)].count(_GRAPH) != 1:
        raise malformed()
    return edit_fields(model, (_GRAPH,), _clean)


def _clean(graph: bytes) -> bytes:
    """Return a GraphProto without declared weights and without fixed sizes."""
    weights = {_name(payload, _TENSOR_NAME) for tag, _, payload in fields(graph) if tag == _INITIALIZER}
    kept = []
    for tag, raw, payload in fields(graph):
        if tag in (_INPUT, _OUTPUT):
            name = _name(payload, _VALUE_NAME)
            if tag == _OUTPUT or name not in weights:
                kept.append(field(tag, edit_fields(payload, _SHAPE, partial(_free, name))))
        elif tag != _VALUE_INFO:
            kept.append(raw)
    return b"".join(kept)


def _free(name: bytes, shape: bytes) -> bytes:
    """Return a TensorShapeProto with names for all sizes but the channels'; it stays if it has not 4."""
    dims = [raw for tag, raw, _ in fields(shape) if tag == _DIM]
    if len(dims) != 4:
        return shape
    for axis, suffix in ((0, b"_batch"), (2, b"_rows"), (3, b"_columns")):
        dims[axis] = field(_DIM, field(_DIM_PARAM, name + suffix))
    return b"".join(dims)


def _name(message: bytes, tag: int) -> bytes:
    """Return the last value of a field that holds a name, as protocol buffers do."""
    return next((payload for found, _, payload in reversed([*fields(message)]) if found == tag), b"")


def edit_fields(message: bytes, path: tuple[int, ...], change: Callable[[bytes], bytes]) -> bytes:
    """Return a protocol buffer with every sub-message at the end of a path of tags changed."""
    if not path:
        return change(message)
    return b"".join(
        field(tag, edit_fields(payload, path[1:], change)) if tag == path[0] else raw
        for tag, raw, payload in fields(message)
    )


def fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield the fields of a protocol buffer: the tag, all bytes of the field, and the payload alone."""
    at = 0
    while at < len(message):
        start = at
        tag, at = varint(message, at)
        value, at = varint(message, at) if tag & 7 in (0, 2) else (0, at)
        size = {0: 0, 1: 8, 2: value, 5: 4}.get(tag & 7)
        if tag < 8 or size is None or at + size > len(message):
            raise malformed()
        yield tag, message[start : at + size], message[at : at + size]
        at += size


def varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the number that stands at this place, and the place behind it."""
    value = 0
    for place, byte in enumerate(message[at : at + 10]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise malformed()


def field(tag: int, payload: bytes) -> bytes:
    """Return a field of wire type 2."""
    return varint_bytes(tag) + varint_bytes(len(payload)) + payload


def varint_bytes(value: int) -> bytes:
    """Return a number as it stands in a protocol buffer."""
    low = value & 0x7F
    return bytes([low]) if value < 0x80 else bytes([low | 0x80]) + varint_bytes(value >> 7)


def malformed() -> DependencyError:
    """Return the error for bytes that are not an ONNX model."""
    return DependencyError("The weight file is not a readable ONNX model. It must not be used.")

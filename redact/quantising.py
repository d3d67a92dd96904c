"""Making an ONNX model faster: integers in place of floats, one layer in place of several. In the wire format. Pure.

A convolution of bytes takes a processor half the time. Between the layers the graph gets pairs of QuantizeLinear and
DequantizeLinear, which a runtime joins with the layers around them (Jacob et al., Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference, CVPR 2018).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redact.errors import DependencyError
from redact.graphs import edit_fields, field, fields, malformed, varint, varint_bytes

# Seven bits: without special instructions a processor adds two products of bytes in 16 bits, and more would not fit.
WEIGHT_LIMIT = 63
BIAS_LIMIT = 2**30
LARGEST = 1e15  # no network has a weight of this size, and scales of such weights would overflow
OPSET = 13  # the first one with a scale for each channel; the layers of the models here mean the same in it
IR_VERSION = 7  # of ONNX, the one that goes with it
LENGTH, VARINT = 2, 0  # wire types
FLOAT, UINT8, INT8, INT32, INT64, INT, INTS = (
    1,
    2,
    3,
    6,
    7,
    2,
    7,
)  # TensorProto.DataType and AttributeProto.AttributeType
GRAPH, OPSETS = 7, 8  # numbers of the fields of ModelProto
NODE, INITIALIZER, INPUT, OUTPUT, VALUE_INFO = 1, 5, 11, 12, 13  # of GraphProto
NODE_INPUT, NODE_OUTPUT, NODE_TYPE, NODE_ATTRIBUTE = 1, 2, 4, 5
TENSOR_DIMS, TENSOR_TYPE, TENSOR_FLOATS, TENSOR_NAME, TENSOR_RAW = 1, 2, 4, 8, 9
NUMPY = {FLOAT: np.float32, UINT8: np.uint8, INT8: np.int8, INT32: np.int32, INT64: np.int64}
KINDS: dict[Any, int] = {np.dtype(kind): number for number, kind in NUMPY.items()}

Ranges = Mapping[str, tuple[float, float]]
Scale = tuple[NDArray[np.float32], NDArray[np.uint8]]


@dataclass(frozen=True)
class _Node:
    """A layer of the graph."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    rest: bytes  # its other fields, as they are


def quantise_graph(model: bytes, ranges: Ranges, floats: Collection[str] = ()) -> bytes:
    """Return an ONNX model in which convolutions and sums work on eight-bit integers.

    Weights get a scale for each channel. Layers that give an output of the graph stay as they are: scores and sizes
    need the precision.

    Args:
        model: clean (see `graphs.clean_graph`), of floats.
        ranges: the lowest and the highest value of each tensor between layers, by its name.
        floats: outputs of further layers that stay as they are.

    Raises:
        DependencyError: the bytes are not an ONNX model, or one of a kind that cannot be quantised.
    """
    try:
        return b"".join(_convert(tag, raw, payload, ranges, floats) for tag, raw, payload in fields(model))
    except (ValueError, LookupError) as error:
        raise malformed() from error


def without_subnormals(model: bytes) -> bytes:
    """Return an ONNX model whose weights are 0 where they are subnormal, nearer to it than 1.2e-38.

    Training leaves such weights where it found nothing. Nothing that they are multiplied with makes them count, but
    some processors take a hundred times as long for each (docs/performance.md).

    Raises:
        DependencyError: the bytes are not an ONNX model.
    """
    try:
        return edit_fields(model, (GRAPH << 3 | LENGTH, INITIALIZER << 3 | LENGTH), _flushed)
    except ValueError as error:
        raise malformed() from error


def join_heads(model: bytes, heads: Sequence[str], name: str) -> bytes:
    """Return an ONNX model whose only output is that of several convolutions of one tensor, made by one.

    A runtime brings what goes into a convolution into an order of its own: once now, not once for each of them.

    Args:
        model: clean (see `graphs.clean_graph`).
        heads: the outputs of these convolutions, in the order in which their channels shall be.
        name: of the output.

    Raises:
        DependencyError: the bytes are not an ONNX model, or one without such convolutions.
    """
    try:
        return edit_fields(model, (GRAPH << 3 | LENGTH,), lambda graph: _join(graph, heads, name))
    except (ValueError, LookupError) as error:
        raise malformed() from error


def _join(graph: bytes, heads: Sequence[str], name: str) -> bytes:
    """Return a GraphProto that ends with the joined convolution, and holds nothing that it does not need."""
    nodes, weights, _ = _read(graph)
    makers = {output: node for node in nodes for output in node.outputs}
    joined = [makers[head] for head in heads]
    source = joined[0].inputs[0]
    if any((node.kind, node.inputs[0], len(node.inputs)) != ("Conv", source, 3) for node in joined):
        raise ValueError
    needed, layers = {source}, []
    for node in reversed(nodes):
        if needed & {*node.outputs}:
            needed |= {*node.inputs}
            layers.append(make_layer(node.kind, node.inputs, node.outputs, node.rest))
    given = f"{name}_weight", f"{name}_bias"
    parts = [field(NODE << 3 | LENGTH, layer) for layer in reversed(layers)]
    parts.append(field(NODE << 3 | LENGTH, make_layer("Conv", (source, *given), (name,), joined[0].rest)))
    for place, tensor in enumerate(given, start=1):
        value = np.concatenate([weights[node.inputs[place]] for node in joined])
        parts.append(field(INITIALIZER << 3 | LENGTH, make_tensor(tensor, value)))
    return b"".join([*parts, *_rest(graph, (NODE, OUTPUT, VALUE_INFO), weights.keys() - needed), _output(name)])


def _rest(graph: bytes, left_out: Collection[int], weights: Collection[str]) -> Iterator[bytes]:
    """Yield the fields of a GraphProto but for those of some numbers, and for some weights."""
    for tag, raw, payload in fields(graph):
        gone = tag == INITIALIZER << 3 | LENGTH and _text(payload, TENSOR_NAME) in weights
        if not gone and tag >> 3 not in left_out:
            yield raw


def _output(name: str) -> bytes:
    """Return a field of a GraphProto: an output, whose type a runtime infers."""
    return field(OUTPUT << 3 | LENGTH, field(1 << 3 | LENGTH, name.encode()))


def _flushed(tensor: bytes) -> bytes:
    """Return a TensorProto without subnormal floats."""
    if not _floats(tensor).size:
        return tensor
    parts = []
    for tag, raw, payload in fields(tensor):
        if tag in (TENSOR_RAW << 3 | LENGTH, TENSOR_FLOATS << 3 | LENGTH):
            values = np.frombuffer(payload, "<f4")
            raw = field(tag, np.where(np.abs(values) < np.finfo(np.float32).tiny, 0, values).astype("<f4").tobytes())
        parts.append(raw)
    return b"".join(parts)


def _convert(tag: int, raw: bytes, payload: bytes, ranges: Ranges, floats: Collection[str]) -> bytes:
    """Return a field of a quantised ModelProto."""
    if tag == GRAPH << 3 | LENGTH:
        return field(tag, _quantise(payload, ranges, floats))
    if tag == OPSETS << 3 | LENGTH:
        return field(tag, make_number(2, OPSET))
    return raw


def tensor_names(model: bytes, floats: Collection[str] = ()) -> list[str]:
    """Return the names of the tensors whose ranges `quantise_graph` needs."""
    graph = next(payload for tag, _, payload in fields(model) if tag == GRAPH << 3 | LENGTH)
    nodes, weights, outputs = _read(graph)
    return sorted(_between(nodes, weights, outputs, floats))


def layer_outputs(model: bytes) -> list[str]:
    """Return the outputs of the convolutions that `quantise_graph` can turn into integers, in their order."""
    graph = next(payload for tag, _, payload in fields(model) if tag == GRAPH << 3 | LENGTH)
    nodes, weights, outputs = _read(graph)
    return [node.outputs[0] for node in nodes if _is_quantised(node, weights, outputs)]


def show_tensors(model: bytes, names: list[str]) -> bytes:
    """Return the model with tensors as further outputs, so that their ranges can be measured."""
    parts = []
    for tag, raw, payload in fields(model):
        more = b"".join(map(_output, names))
        parts.append(field(tag, payload + more) if tag == GRAPH << 3 | LENGTH else raw)
    return b"".join(parts)


def _quantise(graph: bytes, ranges: Ranges, floats: Collection[str]) -> bytes:
    """Return a GraphProto with quantised layers."""
    nodes, weights, outputs = _read(graph)
    between = _between(nodes, weights, outputs, floats)
    if missing := sorted(between - set(ranges)):
        raise DependencyError(f"The weight file cannot be prepared: no range is known for its tensor {missing[0]!r}.")
    scales = {name: _scale(*ranges[name]) for name in sorted(between)}  # the same bytes in every process
    made: list[bytes] = []
    for name, (scale, zero) in scales.items():
        made += [make_tensor(f"{name}_scale", scale), make_tensor(f"{name}_zero", zero)]
    layers: list[bytes] = []
    produced = {output for node in nodes for output in node.outputs}
    layers += [part for name in sorted(between - produced) for part in _pair(name)]
    replaced: set[str] = set()
    for node in nodes:
        inputs = tuple(f"{name}_back" if name in between else name for name in node.inputs)
        if _is_quantised(node, weights, {*outputs, *floats}):
            inputs, more = _weigh(node, inputs, weights, scales)
            made += more
            layers += _unweigh(node)
            replaced |= set(node.inputs[1:])
        layers.append(make_layer(node.kind, inputs, node.outputs, node.rest))
        layers += [part for name in node.outputs if name in between for part in _pair(name)]
    parts = [field(NODE << 3 | LENGTH, layer) for layer in layers]
    parts += _rest(graph, (NODE, VALUE_INFO), replaced)
    return b"".join(parts + [field(INITIALIZER << 3 | LENGTH, tensor) for tensor in made])


def _read(graph: bytes) -> tuple[list[_Node], dict[str, NDArray[np.float32]], set[str]]:
    """Return the layers, the weights by name, and the names of the outputs of a GraphProto, also before a sigmoid."""
    nodes, weights, outputs = [], {}, set()
    for tag, _, payload in fields(graph):
        if tag == NODE << 3 | LENGTH:
            names = {NODE_INPUT << 3 | LENGTH, NODE_OUTPUT << 3 | LENGTH, NODE_TYPE << 3 | LENGTH}
            rest = b"".join(raw for inner, raw, _ in fields(payload) if inner not in names)
            given, made = (tuple(_texts(payload, number)) for number in (NODE_INPUT, NODE_OUTPUT))
            nodes.append(_Node(_text(payload, NODE_TYPE), given, made, rest))
        elif tag == INITIALIZER << 3 | LENGTH:
            weights[_text(payload, TENSOR_NAME)] = _floats(payload)
        elif tag == OUTPUT << 3 | LENGTH:
            outputs.add(_text(payload, 1))
    outputs |= {name for node in nodes if node.kind == "Sigmoid" for name in node.inputs}
    return nodes, weights, outputs


def _is_quantised(node: _Node, weights: Mapping[str, NDArray[np.float32]], outputs: set[str]) -> bool:
    """Return whether a layer is a convolution that is to work on integers."""
    known = all(name in weights for name in node.inputs[1:])
    return node.kind == "Conv" and known and not outputs & set(node.outputs)


def _between(
    nodes: list[_Node], weights: Mapping[str, NDArray[np.float32]], outputs: set[str], floats: Collection[str]
) -> set[str]:
    """Return the tensors that become integers: what goes into quantised convolutions and sums, and what comes out."""
    activated = {node.inputs[0]: node.outputs[0] for node in nodes if node.kind == "Relu"}
    names: set[str] = set()
    for node in nodes:
        if _is_quantised(node, weights, {*outputs, *floats}):
            names |= {node.inputs[0], activated.get(node.outputs[0], node.outputs[0])}
        elif node.kind == "Add":
            names |= {*node.inputs, activated.get(node.outputs[0], node.outputs[0])}
    return names - set(weights) - outputs


def _scale(low: float, high: float) -> Scale:
    """Return scale and zero point of a range; zero itself is exact."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(high - low, 1e-6) / 255
    return np.array(scale, np.float32), np.array(round(-low / scale), np.uint8)


def _weigh(
    node: _Node, inputs: tuple[str, ...], weights: Mapping[str, NDArray[np.float32]], scales: Mapping[str, Scale]
) -> tuple[tuple[str, ...], list[bytes]]:
    """Return the inputs of a convolution whose weights are integers, and these as tensors."""
    weight = weights[node.inputs[1]]
    flat = np.abs(weight.reshape(len(weight), -1)).max(axis=1)
    scale = (np.maximum(flat, 1e-6) / WEIGHT_LIMIT).astype(np.float32)
    shaped = scale.reshape(-1, *[1] * (weight.ndim - 1))
    name = node.outputs[0]
    made = [
        make_tensor(f"{name}_weight", np.rint(weight / shaped).astype(np.int8)),
        make_tensor(f"{name}_weight_scale", scale),
        make_tensor(f"{name}_weight_zero", np.zeros(len(scale), np.int8)),
    ]
    names = [inputs[0], f"{name}_weight_back"]
    if len(node.inputs) > 2:
        unit = scale * scales[node.inputs[0]][0]
        made += [
            make_tensor(
                f"{name}_bias",
                np.clip(np.rint(weights[node.inputs[2]] / unit), -BIAS_LIMIT, BIAS_LIMIT).astype(np.int32),
            ),
            make_tensor(f"{name}_bias_scale", unit.astype(np.float32)),
            make_tensor(f"{name}_bias_zero", np.zeros(len(scale), np.int32)),
        ]
        names.append(f"{name}_bias_back")
    return tuple(names), made


def _unweigh(node: _Node) -> Iterator[bytes]:
    """Yield the layers that turn integer weights back, one scale for each channel."""
    axis = field(
        NODE_ATTRIBUTE << 3 | LENGTH, field(1 << 3 | LENGTH, b"axis") + make_number(3, 0) + make_number(20, INT)
    )
    for word in ("weight", "bias")[: len(node.inputs) - 1]:
        name = f"{node.outputs[0]}_{word}"
        yield make_layer("DequantizeLinear", (name, f"{name}_scale", f"{name}_zero"), (f"{name}_back",), axis)


def _pair(name: str) -> Iterator[bytes]:
    """Yield the layers that turn a tensor into integers and back."""
    yield make_layer("QuantizeLinear", (name, f"{name}_scale", f"{name}_zero"), (f"{name}_bytes",))
    yield make_layer("DequantizeLinear", (f"{name}_bytes", f"{name}_scale", f"{name}_zero"), (f"{name}_back",))


def identity_model() -> bytes:
    """Return an ONNX model that gives a tensor of floats as it is."""
    floats = field(2 << 3 | LENGTH, field(1 << 3 | LENGTH, make_number(1, FLOAT)))
    given = field(INPUT << 3 | LENGTH, field(1 << 3 | LENGTH, b"in") + floats)
    layer = field(NODE << 3 | LENGTH, make_layer("Identity", ("in",), ("out",)))
    graph = layer + field(2 << 3 | LENGTH, b"identity") + given + _output("out")
    opset = field(OPSETS << 3 | LENGTH, make_number(2, OPSET))
    return make_number(1, IR_VERSION) + field(GRAPH << 3 | LENGTH, graph) + opset


def make_layer(kind: str, inputs: tuple[str, ...], outputs: tuple[str, ...], rest: bytes = b"") -> bytes:
    """Return a NodeProto."""
    parts = [field(NODE_INPUT << 3 | LENGTH, name.encode()) for name in inputs]
    parts += [field(NODE_OUTPUT << 3 | LENGTH, name.encode()) for name in outputs]
    return b"".join([*parts, field(NODE_TYPE << 3 | LENGTH, kind.encode()), rest])


def make_tensor(name: str, value: NDArray[Any]) -> bytes:
    """Return a TensorProto."""
    parts = [make_number(TENSOR_DIMS, size) for size in value.shape]
    parts += [make_number(TENSOR_TYPE, KINDS[value.dtype]), field(TENSOR_NAME << 3 | LENGTH, name.encode())]
    return b"".join([*parts, field(TENSOR_RAW << 3 | LENGTH, value.tobytes())])


def make_attribute(name: str, kind: int, value: bytes) -> bytes:
    """Return an AttributeProto of a kind, with the field that holds its value."""
    return field(1 << 3 | LENGTH, name.encode()) + value + make_number(20, kind)


def make_ints(name: str, values: Iterable[int]) -> bytes:
    """Return an AttributeProto of integers."""
    return make_attribute(name, INTS, b"".join(make_number(8, value) for value in values))


def _floats(tensor: bytes) -> NDArray[np.float32]:
    """Return the values of a TensorProto; those that are not floats are of no use here and come out empty."""
    dims: list[int] = []
    kind, values = 0, b""
    for tag, raw, payload in fields(tensor):
        number, wire = tag >> 3, tag & 7
        if number == TENSOR_DIMS:
            dims += read_numbers(payload) if wire == LENGTH else [varint(raw, len(varint_bytes(tag)))[0]]
        elif number == TENSOR_TYPE:
            kind = varint(raw, len(varint_bytes(tag)))[0]
        elif number in (TENSOR_RAW, TENSOR_FLOATS):
            values += payload
    if kind != FLOAT:
        return np.zeros(0, np.float32)
    floats = np.frombuffer(values, "<f4").reshape(dims)
    if not (np.abs(floats) < LARGEST).all():
        raise malformed()
    return floats


def read_numbers(packed: bytes) -> list[int]:
    """Return packed numbers."""
    found, at = [], 0
    while at < len(packed):
        value, at = varint(packed, at)
        found.append(value)
    return found


def make_number(number: int, value: int) -> bytes:
    """Return a field of wire type 0."""
    return varint_bytes(number << 3 | VARINT) + varint_bytes(value)


def _texts(message: bytes, number: int) -> list[str]:
    """Return the texts of a repeated field."""
    return [payload.decode() for tag, _, payload in fields(message) if tag == number << 3 | LENGTH]


def _text(message: bytes, number: int) -> str:
    """Return the last text of a field, as protocol buffers do."""
    return next(reversed(_texts(message, number)), "")

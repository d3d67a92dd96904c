"""From a frozen graph of TensorFlow to an ONNX model, from one wire format to another. Pure.

Only what convolutional networks that look at pictures of any size are made of is known. TensorFlow has the channels
last and ONNX first: constants are turned, and nothing else has to be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redact.errors import DependencyError
from redact.graphs import field, fields, varint
from redact.quantising import (
    FLOAT,
    INT,
    IR_VERSION,
    LENGTH,
    OPSET,
    make_attribute,
    make_ints,
    make_layer,
    make_number,
    make_tensor,
    read_numbers,
)

VERSION, GRAPH, OPSETS = 1, 7, 8  # numbers of the fields of ModelProto
NODE, INITIALIZER, INPUT, OUTPUT = 1, 5, 11, 12  # of GraphProto
ATTRIBUTE, TEXT = 5, 3  # of NodeProto; AttributeProto.AttributeType
TF_NODE, TF_NAME, TF_KIND, TF_INPUT, TF_ATTRIBUTE = 1, 1, 2, 3, 5  # of GraphDef and NodeDef
TF_TYPE, TF_SHAPE, TF_CONTENT, TF_FLOATS, TF_INTS = 1, 2, 4, 5, 7  # of TensorFlow's TensorProto
INT32 = 3  # TensorFlow's DataType
PADS = {"SAME": "SAME_UPPER", "VALID": "VALID"}
ALIKE = {"Relu": "Relu", "AddV2": "Add", "Sub": "Sub", "RealDiv": "Div"}
# Attributes that must be so where a layer has them, as the file says it.
EXPECTED = {
    "data_format": field(2 << 3 | LENGTH, b"NHWC"),
    "dilations": field(1 << 3 | LENGTH, field(3 << 3 | LENGTH, bytes([1, 1, 1, 1]))),
    "is_training": make_number(5, 0),
    "align_corners": make_number(5, 0),
}

Constant = NDArray[Any]


@dataclass(frozen=True)
class _Node:
    """A layer of TensorFlow's, or one of its constants."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, bytes]


def translate(frozen: bytes, outputs: Sequence[str]) -> bytes:
    """Return the ONNX model of what a frozen graph computes for some of its layers.

    It takes a picture as float32, (batch, 3, height, width); its outputs are those layers, by their names, with the
    channels first. What they do not need is left out.

    Args:
        frozen: a GraphDef of TensorFlow with its weights as constants.
        outputs: names of layers.

    Raises:
        DependencyError: the bytes are no such graph, or one with a layer of a kind that is not known here.
    """
    try:
        read = [_read(payload) for tag, _, payload in fields(frozen) if tag >> 3 == TF_NODE]
        nodes, order = {node.name: node for node in read}, dict[str, None]()
        for name in outputs:
            _visit(name, nodes, order)
        parts = [part for name in order for part in _translate(nodes[name], nodes)]
    except (ValueError, LookupError, ArithmeticError, RecursionError) as error:
        raise _refused(f"is not a graph of TensorFlow with the layers that are wanted: {error}") from error
    parts += [field(OUTPUT << 3 | LENGTH, field(1 << 3 | LENGTH, name.encode())) for name in outputs]
    graph = field(2 << 3 | LENGTH, b"translated") + b"".join(parts)
    opset = field(OPSETS << 3 | LENGTH, make_number(2, OPSET))
    return make_number(VERSION, IR_VERSION) + field(GRAPH << 3 | LENGTH, graph) + opset


def _read(message: bytes) -> _Node:
    """Return the layer that a NodeDef holds."""
    found: dict[int, list[bytes]] = defaultdict(list)
    for tag, _, payload in fields(message):
        found[tag >> 3].append(payload)
    pairs = [{tag >> 3: payload for tag, _, payload in fields(entry)} for entry in found[TF_ATTRIBUTE]]
    name, kind, *inputs = (text.decode() for text in (*found[TF_NAME], *found[TF_KIND], *found[TF_INPUT]))
    return _Node(kind, name, tuple(i.removesuffix(":0") for i in inputs), {p[1].decode(): p[2] for p in pairs})


def _source(name: str, nodes: Mapping[str, _Node]) -> _Node:
    """Return the layer that gives what goes by a name, past those that only pass it on."""
    node = nodes[name]
    return _source(node.inputs[0], nodes) if node.kind == "Identity" else node


def _visit(name: str, nodes: Mapping[str, _Node], order: dict[str, None]) -> None:
    """Put a layer into the order, behind all that it needs."""
    node = _source(name, nodes)
    if node.name in order or node.kind == "Const":
        return
    sized = node.kind == "ResizeNearestNeighbor"  # its second input computes the size: twice that of the first
    for needed in node.inputs[:1] if sized else node.inputs:
        _visit(needed, nodes, order)
    order[node.name] = None


def _translate(node: _Node, nodes: Mapping[str, _Node]) -> Iterator[bytes]:
    """Yield the fields of a GraphProto that a layer becomes."""
    if odd := [key for key, value in EXPECTED.items() if node.attributes.get(key, value) != value]:
        raise _refused(f"has a layer with a {odd[0]} that is not known, {node.name}")
    if node.kind == "Placeholder":
        yield field(INPUT << 3 | LENGTH, _picture(node.name))
        return
    sources = [_source(name, nodes) for name in node.inputs]
    names = [source.name for source in sources if source.kind != "Const"]
    if names != [source.name for source in sources[: len(names)]]:
        raise _refused(f"has a layer with a constant before another layer, {node.name}")
    constants = [_constant(source) for source in sources[len(names) :]]
    kind, made, attributes = _layer(node, constants)
    if kind == "Resize":
        names[1:] = [""]  # instead of a region of interest
    for n, value in enumerate(made):
        names.append(f"{node.name}/{n}")
        yield field(INITIALIZER << 3 | LENGTH, make_tensor(names[-1], value))
    rest = b"".join(field(ATTRIBUTE << 3 | LENGTH, attribute) for attribute in attributes)
    yield field(NODE << 3 | LENGTH, make_layer(kind, tuple(names), (node.name,), rest))


def _layer(node: _Node, constants: list[Constant]) -> tuple[str, list[Constant], list[bytes]]:
    """Return what a layer is in ONNX: its kind, the constants that it takes after other layers, and its attributes."""
    match node.kind, constants:
        case ("Conv2D" | "DepthwiseConv2dNative", [weight]):
            ((_, _, listed),) = fields(node.attributes["strides"])
            _, *strides, _ = read_numbers(next(fields(listed))[2])
            pad = PADS[node.attributes["padding"][2:].decode()]
            each = node.kind == "DepthwiseConv2dNative"  # of its channels has filters of its own
            turned = weight.transpose(2, 3, 0, 1) if each else weight.transpose(3, 2, 0, 1)
            attributes = [make_ints("strides", strides), _text_named("auto_pad", pad)]
            if each:
                attributes.append(_int_named("group", weight.shape[2]))
                turned = turned.reshape(-1, 1, *weight.shape[:2])
            return "Conv", [turned], attributes
        case ("FusedBatchNormV3", [_, _, _, _]):
            return "BatchNormalization", constants, [_float_named("epsilon", node.attributes["epsilon"])]
        case ("BiasAdd", [bias]):
            return "Add", [bias.reshape(-1, 1, 1)], []
        case ("Relu6", []):
            return "Clip", [np.array(0, np.float32), np.array(6, np.float32)], []
        case ("LeakyRelu", []):
            return "LeakyRelu", [], [_float_named("alpha", node.attributes["alpha"])]
        case ("Pad", [sides]):
            return "Pad", [sides[[0, 3, 1, 2]].T.reshape(-1).astype(np.int64)], []
        case ("ConcatV2", [axis]) if int(axis) in (3, -1):
            return "Concat", [], [_int_named("axis", 1)]
        case ("ResizeNearestNeighbor", []):
            how = [_text_named("coordinate_transformation_mode", "asymmetric"), _text_named("nearest_mode", "floor")]
            return "Resize", [np.array([1, 1, 2, 2], np.float32)], how
        case _ if node.kind in ALIKE and all(constant.size == 1 for constant in constants):
            return ALIKE[node.kind], constants, []
    raise _refused(f"has a layer of a kind that is not known, {node.name} ({node.kind})")


def _constant(node: _Node) -> Constant:
    """Return the value of a constant, which may stand in the file as one number for all."""
    ((_, _, tensor),) = fields(node.attributes["value"])
    kind, shape, content, few = 0, list[int](), b"", b""
    for tag, raw, payload in fields(tensor):
        if tag >> 3 == TF_TYPE:
            kind = varint(raw, 1)[0]
        elif tag >> 3 == TF_SHAPE:
            shape = [varint(size, 1)[0] for _, _, size in fields(payload)]
        elif tag >> 3 == TF_CONTENT:
            content = payload
        elif tag >> 3 in (TF_FLOATS, TF_INTS):
            few += payload
    if kind not in (FLOAT, INT32):
        raise _refused(f"has a constant that is neither of floats nor of integers, {node.name}")
    if content:
        return np.frombuffer(content, "<f4" if kind == FLOAT else "<i4").reshape(shape)
    values = (
        np.frombuffer(few, "<f4")
        if kind == FLOAT
        else np.array([n - (n >> 63 << 64) for n in read_numbers(few)], np.int32)
    )
    return np.broadcast_to(values[0] if values.size == 1 else values.reshape(shape), shape)


def _picture(name: str) -> bytes:
    """Return the ValueInfoProto of a picture of any size."""
    sizes = [field(2 << 3 | LENGTH, word) for word in (b"batch", b"rows", b"columns")]
    sizes.insert(1, make_number(1, 3))
    shape = field(2 << 3 | LENGTH, b"".join(field(1 << 3 | LENGTH, size) for size in sizes))
    kind = field(1 << 3 | LENGTH, make_number(1, FLOAT) + shape)
    return field(1 << 3 | LENGTH, name.encode()) + field(2 << 3 | LENGTH, kind)


def _int_named(name: str, value: int) -> bytes:
    return make_attribute(name, INT, make_number(3, value))


def _text_named(name: str, value: str) -> bytes:
    return make_attribute(name, TEXT, field(4 << 3 | LENGTH, value.encode()))


def _float_named(name: str, value: bytes) -> bytes:
    """Return an AttributeProto of a float that is one in TensorFlow's graph: field 2 here, field 4 there."""
    return make_attribute(name, FLOAT, bytes([2 << 3 | 5]) + value[1:])


def _refused(problem: str) -> DependencyError:
    return DependencyError(f"The weight file {problem}. It must not be used.")

"""From a residual network in dlib's own file format to an ONNX model. Pure.

The file has the layers from the input to the output, each with its name and its weights. What it does not have is how
they hang together: that stands in the program that trained it. So only networks are known that are built as the one
that tells faces apart (Davis King, dnn_face_recognition_ex.cpp, 2017): a convolution, pooling, blocks of two
convolutions each with a way around them (He et al., Deep Residual Learning for Image Recognition, CVPR 2016), pooling
over the whole picture, and one product.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as member

import numpy as np
from numpy.typing import NDArray

from redact.errors import DependencyError
from redact.graphs import field
from redact.quantising import FLOAT, IR_VERSION, LENGTH, OPSET, make_ints, make_layer, make_number, make_tensor

LEVELS = np.array([122.782, 117.001, 104.298], np.float32)  # of red, green and blue in dlib: the mean that it takes off
RANGE = 256.0  # and what it divides by then
SIDE = 150  # pixels of the picture's sides
TENSOR = 2  # dlib's version of a tensor
LAYER = re.compile(rb"\x01(?:\x05(con_4)|\x07(affine_)|\x04(fc_2))")
INPUT, OUTPUT = "picture", "vector"

Weights = NDArray[np.float32]


@dataclass(frozen=True)
class _Layer:
    """A convolution with what scales and shifts its channels."""

    filters: Weights
    shift: Weights
    stride: int


@dataclass
class _Graph:
    """A GraphProto that grows; `shape` has for each tensor its channels and its side."""

    parts: list[bytes] = member(default_factory=list)
    shape: dict[str, tuple[int, int]] = member(default_factory=dict)

    def constant(self, value: NDArray[np.float32] | NDArray[np.int64]) -> str:
        """Return the name of a new constant."""
        name = f"c{len(self.parts)}"
        self.parts.append(field(5 << 3 | LENGTH, make_tensor(name, value)))
        return name

    def add(self, kind: str, *inputs: str, made: str = "", shape: tuple[int, int] = (0, 0), **lists: list[int]) -> str:
        """Return the name of what a new layer makes."""
        name = made or f"t{len(self.parts)}"
        rest = b"".join(field(5 << 3 | LENGTH, make_ints(key, values)) for key, values in lists.items())
        self.parts.append(field(1 << 3 | LENGTH, make_layer(kind, inputs, (name,), rest)))
        self.shape[name] = shape
        return name


def translate_dlib(content: bytes) -> bytes:
    """Return the ONNX model of what a network of dlib's computes.

    It takes pictures, "picture": float32, (batch, 3, 150, 150), RGB, 0 to 255; it returns their vectors, "vector":
    float32, (batch, n).

    Args:
        content: a file that dlib's `serialize` wrote.

    Raises:
        DependencyError: the bytes are no such network.
    """
    try:
        layers, product = _read(content)
        return _model(_build(layers, product), product.shape[1])
    except (ValueError, IndexError, LookupError) as error:
        raise DependencyError(
            f"The weight file is not a network of dlib's that is known: {error}. It must not be used."
        ) from error


def _read(content: bytes) -> tuple[list[_Layer], Weights]:
    """Return the convolutions in their order, and the matrix of the product at the end."""
    layers: list[_Layer] = []
    at = 0
    while found := LAYER.search(content, at):
        convolution, affine, _ = found.groups()
        if convolution:
            values, at = _tensor(content, found.end())
            (count, rows, columns, stride), at = _numbers(content, at, 4)
            size = count * rows * columns
            depth = (len(values) - count) // size
            filters = values[: size * depth].reshape(count, depth, rows, columns)
            layers.append(_Layer(filters, values[size * depth :], stride))
        elif affine:
            values, at = _tensor(content, found.end())
            scale, shift = values.reshape(2, -1)
            last = layers.pop()
            scaled = last.filters * scale[:, None, None, None]
            layers.append(_Layer(scaled, last.shift * scale + shift, last.stride))
        else:
            (count, depth), at = _numbers(content, found.end(), 2)
            return layers, _tensor(content, at)[0].reshape(depth, count)
    raise ValueError("it has no product at its end")


def _numbers(content: bytes, at: int, count: int) -> tuple[list[int], int]:
    """Return whole numbers, and the place behind them: of each how many bytes it has, then these, the lowest first."""
    found = []
    for _ in range(count):
        size = content[at]
        if not 1 <= size <= 8:
            raise ValueError("a number is too large")
        found.append(int.from_bytes(content[at + 1 : at + 1 + size], "little"))
        at += 1 + size
    return found, at


def _tensor(content: bytes, at: int) -> tuple[Weights, int]:
    """Return the values of a tensor, and the place behind it."""
    (version, *sizes), at = _numbers(content, at, 5)
    if version != TENSOR:
        raise ValueError("its weights are written in another way")
    end = at + 4 * int(np.prod(sizes))
    return np.frombuffer(content[at:end], "<f4"), end


def _build(layers: list[_Layer], product: Weights) -> _Graph:
    """Return the graph of a network."""
    graph = _Graph(shape={INPUT: (3, SIDE)})
    centred = graph.add("Sub", INPUT, graph.constant(LEVELS.reshape(3, 1, 1)))
    scaled = graph.add("Div", centred, graph.constant(np.array(RANGE, np.float32)), shape=(3, SIDE))
    tensor = graph.add("Relu", first := _convolve(graph, scaled, layers[0]), shape=graph.shape[first])
    tensor = _pool(graph, tensor, "MaxPool", 3)
    for one, two in _pairs(layers[1:]):
        half = _convolve(graph, tensor, one)
        deep = _convolve(graph, graph.add("Relu", half, shape=graph.shape[half]), two)
        around = _pool(graph, tensor, "AveragePool", 2) if one.stride == 2 else tensor
        shape = max(graph.shape[deep][0], graph.shape[around][0]), max(graph.shape[deep][1], graph.shape[around][1])
        both = graph.add("Add", _widen(graph, deep, shape), _widen(graph, around, shape))
        tensor = graph.add("Relu", both, shape=shape)
    pooled = graph.add("Flatten", graph.add("GlobalAveragePool", tensor))
    graph.add("MatMul", pooled, graph.constant(product), made=OUTPUT)
    return graph


def _pairs(layers: list[_Layer]) -> Iterator[tuple[_Layer, _Layer]]:
    """Yield two convolutions of a block after the other."""
    if len(layers) % 2:
        raise ValueError("it has a block of one convolution")
    yield from zip(layers[::2], layers[1::2], strict=True)


def _convolve(graph: _Graph, tensor: str, layer: _Layer) -> str:
    """Return what a convolution makes; dlib leaves out the edge where it takes steps of more than one."""
    count, _, rows, _ = layer.filters.shape
    pad = rows // 2 if layer.stride == 1 else 0
    side = (graph.shape[tensor][1] + 2 * pad - rows) // layer.stride + 1
    names = graph.constant(layer.filters), graph.constant(layer.shift)
    return graph.add("Conv", tensor, *names, shape=(count, side), strides=[layer.stride] * 2, pads=[pad] * 4)


def _pool(graph: _Graph, tensor: str, kind: str, size: int) -> str:
    """Return a tensor with its sides halved."""
    channels, side = graph.shape[tensor]
    halved = channels, (side - size) // 2 + 1
    return graph.add(kind, tensor, shape=halved, kernel_shape=[size] * 2, strides=[2, 2])


def _widen(graph: _Graph, tensor: str, shape: tuple[int, int]) -> str:
    """Return a tensor with noughts behind its channels, rows and columns, so that it has a shape."""
    channels, side = (wanted - had for wanted, had in zip(shape, graph.shape[tensor], strict=True))
    if not channels and not side:
        return tensor
    return graph.add("Pad", tensor, graph.constant(np.array([0, 0, 0, 0, 0, channels, side, side], np.int64)))


def _model(graph: _Graph, length: int) -> bytes:
    """Return the ModelProto of a graph."""
    inputs = field(11 << 3 | LENGTH, _value(INPUT, 3, SIDE, SIDE))
    outputs = field(12 << 3 | LENGTH, _value(OUTPUT, length))
    whole = field(2 << 3 | LENGTH, b"translated") + b"".join(graph.parts) + inputs + outputs
    return make_number(1, IR_VERSION) + field(7 << 3 | LENGTH, whole) + field(8 << 3 | LENGTH, make_number(2, OPSET))


def _value(name: str, *sizes: int) -> bytes:
    """Return the ValueInfoProto of a batch of tensors."""
    dims = [field(2 << 3 | LENGTH, b"batch"), *(make_number(1, size) for size in sizes)]
    shape = field(2 << 3 | LENGTH, b"".join(field(1 << 3 | LENGTH, size) for size in dims))
    kind = field(1 << 3 | LENGTH, make_number(1, FLOAT) + shape)
    return field(1 << 3 | LENGTH, name.encode()) + field(2 << 3 | LENGTH, kind)

"""A frozen graph of TensorFlow becomes an ONNX model that computes the same, or is refused."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redact.errors import DependencyError
from redact.translating import translate
from tests.tiny import field, session

RNG = np.random.default_rng(3)
ONES = field(1, field(3, bytes([1, 1, 1, 1])))
TWICE = field(1, field(3, bytes([1, 2, 2, 1])))
NHWC, SAME, VALID = (field(2, word) for word in (b"NHWC", b"SAME", b"VALID"))
EPSILON, ALPHA = (bytes([4 << 3 | 5]) + np.float32(value).tobytes() for value in (0.001, 0.1))
WEIGHTS = {
    "pads": np.array([[0, 0], [0, 1], [0, 1], [0, 0]], np.int32),
    "filters": RNG.normal(size=(3, 3, 3, 4)).astype(np.float32),
    "each": RNG.normal(size=(3, 3, 4, 1)).astype(np.float32),
    "bias": RNG.normal(size=4).astype(np.float32),
    **{name: RNG.uniform(0.5, 2, 4).astype(np.float32) for name in ("gamma", "beta", "mean", "variance")},
}


def node(name: str, kind: str, inputs: str = "", **attributes: bytes) -> bytes:
    parts = [field(1, name.encode()), field(2, kind.encode())]
    parts += [field(3, given.encode()) for given in inputs.split()]
    parts += [field(5, field(1, key.encode()) + field(2, value)) for key, value in attributes.items()]
    return field(1, b"".join(parts))


def constant(name: str, kind: int, shape: tuple[int, ...], values: bytes) -> bytes:
    sizes = field(2, b"".join(field(2, field(1, size)) for size in shape))
    return node(name, "Const", value=field(8, field(1, kind) + sizes + values))


def whole(name: str, value: np.ndarray) -> bytes:
    return constant(name, 1 if value.dtype == np.float32 else 3, value.shape, field(4, value.tobytes()))


def graph(**changed: bytes) -> bytes:
    """Return a graph with a layer of each kind; some may be put in the place of others."""
    nodes: Mapping[str, bytes] = {
        "x": node("x", "Placeholder"),
        "half": constant("half", 1, (), field(5, np.float32(127.5).tobytes())),
        "one": constant("one", 1, (), field(5, np.float32(1).tobytes())),
        "last": constant("last", 3, (), field(7, b"\xff" * 9 + b"\x01")),  # -1
        **{name: whole(name, value) for name, value in WEIGHTS.items()},
        "scaled": node("scaled", "RealDiv", "x half"),
        "shifted": node("shifted", "Sub", "scaled one"),
        "padded": node("padded", "Pad", "shifted pads"),
        "conv": node("conv", "Conv2D", "padded filters", strides=TWICE, padding=VALID, data_format=NHWC),
        "same": node("same", "Identity", "conv:0"),
        "normal": node("normal", "FusedBatchNormV3", "same gamma beta mean variance", epsilon=EPSILON),
        "six": node("six", "Relu6", "normal"),
        "deep": node("deep", "DepthwiseConv2dNative", "six each", strides=TWICE, padding=SAME, dilations=ONES),
        "biased": node("biased", "BiasAdd", "deep bias"),
        "leaky": node("leaky", "LeakyRelu", "biased", alpha=ALPHA),
        "shape": node("shape", "Shape", "six"),
        "large": node("large", "ResizeNearestNeighbor", "leaky shape"),
        "sum": node("sum", "AddV2", "six large"),
        "relu": node("relu", "Relu", "large"),
        "both": node("both", "ConcatV2", "sum relu last"),
        "unused": node("unused", "NonMaxSuppressionV3", "both"),
    }
    return b"".join({**nodes, **changed}.values())


def convolve(x: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Return a convolution of stride two with TensorFlow's order of axes: rows, columns, channels."""
    rows, columns = ((size - 3) // 2 + 1 for size in x.shape[:2])
    made = np.zeros((rows, columns, filters.shape[3] if filters.shape[2] == 3 else filters.shape[2]))
    for r, c in np.ndindex(rows, columns):
        part = x[2 * r : 2 * r + 3, 2 * c : 2 * c + 3]
        made[r, c] = np.einsum("ijk,ijkl->l" if filters.shape[2] == 3 else "ijk,ijkl->k", part, filters)
    return made


def expected(x: np.ndarray) -> np.ndarray:
    """Return what the graph computes of a picture, (rows, columns, channels)."""
    w = WEIGHTS
    first = convolve(np.pad(x / 127.5 - 1, [(0, 1), (0, 1), (0, 0)]), w["filters"])
    first = (first - w["mean"]) / np.sqrt(w["variance"] + 0.001) * w["gamma"] + w["beta"]
    six = np.clip(first, 0, 6)
    biased = convolve(np.pad(six, [(0, 1), (0, 1), (0, 0)]), w["each"]) + w["bias"]  # even sizes: padded behind
    large = np.where(biased > 0, biased, 0.1 * biased).repeat(2, axis=0).repeat(2, axis=1)
    return np.concatenate([six + large, np.maximum(large, 0)], axis=2)


@pytest.mark.parametrize(("rows", "columns"), [(32, 32), (16, 24)])
def test_the_translation_computes_what_the_graph_does_for_pictures_of_any_size(rows: int, columns: int) -> None:
    picture = RNG.integers(0, 256, (rows, columns, 3)).astype(np.float32)
    network = session(translate(graph(), ["both"]))
    (given,) = network.get_inputs()
    (made,) = network.run(["both"], {given.name: picture.transpose(2, 0, 1)[None]})
    np.testing.assert_allclose(made[0].transpose(1, 2, 0), expected(picture), atol=1e-4)


def test_a_constant_of_one_number_for_all_is_spread() -> None:
    once = graph(bias=constant("bias", 1, (4,), field(5, np.float32(2).tobytes())))
    every = graph(bias=whole("bias", np.full(4, 2, np.float32)))
    assert translate(once, ["both"]) == translate(every, ["both"])


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"six": node("six", "Softmax", "normal")}, "six.*Softmax"),
        ({"scaled": node("scaled", "RealDiv", "half x")}, "before another"),
        ({"half": whole("half", np.ones(3, np.float32))}, "scaled"),
        ({"large": node("large", "ResizeNearestNeighbor", "leaky shape", align_corners=field(5, 1))}, "align_corners"),
        ({"conv": node("conv", "Conv2D", "padded filters", strides=TWICE, padding=SAME, dilations=TWICE)}, "dilations"),
        ({"conv": node("conv", "Conv2D", "padded filters", data_format=field(2, b"NCHW"))}, "data_format"),
        ({"last": constant("last", 3, (), field(7, b"\x01"))}, "both"),
        ({"bias": constant("bias", 2, (4,), field(4, bytes(32)))}, "bias"),
        ({"six": node("six", "Relu6", "nowhere")}, "nowhere"),
        ({"same": node("same", "Identity", "same")}, "not a graph"),
        ({"normal": node("normal", "FusedBatchNormV3", "same gamma", epsilon=EPSILON)}, "normal"),
        ({"both": b""}, "both"),
    ],
)
def test_what_is_not_known_is_refused_and_named(changed: dict[str, bytes], told: str) -> None:
    with pytest.raises(DependencyError, match=rf"{told}.*must not be used"):
        translate(graph(**changed), ["both"])


@given(st.integers(0, len(graph()) - 1), st.integers(0, 255), st.booleans())
@settings(max_examples=200)
def test_no_damage_to_a_graph_crashes_the_translation(at: int, value: int, cut: bool) -> None:
    good = graph()
    try:
        translate(good[:at] if cut else good[:at] + bytes([value]) + good[at + 1 :], ["both"])
    except DependencyError as error:
        assert "must not be used" in str(error)  # noqa: PT017

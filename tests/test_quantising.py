"""A model in integers finds what it finds in floats."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from redact import quantising, weights
from redact.detectors.faces import HEADS, decode
from redact.detectors.models import batch_of
from redact.errors import DependencyError
from redact.geometry import Box
from redact.graphs import field, fields
from redact.quantising import (
    join_heads,
    layer_outputs,
    make_layer,
    make_number,
    make_tensor,
    quantise_graph,
    show_tensors,
    tensor_names,
    without_subnormals,
)
from tests.clips import moving_portrait
from tests.overlap import iou

NARROW = np.linspace(-1, 1, 18, dtype=np.float32).reshape(2, 1, 3, 3)
WIDE = np.linspace(-0.5, 1.5, 2, dtype=np.float32).reshape(1, 2, 1, 1)


def value(name: str, channels: int) -> bytes:
    """Return a ValueInfoProto of a float picture of any size."""
    sizes = [
        field(1 << 3 | 2, make_number(1, size) if size else field(2 << 3 | 2, b"n")) for size in (1, channels, 0, 0)
    ]
    kind = make_number(1, 1) + field(2 << 3 | 2, b"".join(sizes))
    return field(1 << 3 | 2, name.encode()) + field(2 << 3 | 2, field(1 << 3 | 2, kind))


def model_of(graph: list[bytes]) -> bytes:
    """Return a ModelProto of the fields of its graph."""
    return make_number(1, 4) + field(7 << 3 | 2, b"".join(graph)) + field(8 << 3 | 2, make_number(2, 9))


def damage(model: bytes, at: int, byte: int, length: int) -> tuple[bytes, bytes]:
    """Return a model with one byte changed, and the beginning of it."""
    return model[:at] + bytes([byte]) + model[at + 1 :], model[:length]


def small_model() -> bytes:
    """Return a model of two convolutions, a rectifier and a sum, and a last convolution that gives the output."""
    nodes = [
        make_layer("Conv", ("in", "a", "b"), ("one",)),
        make_layer("Relu", ("one",), ("two",)),
        make_layer("Add", ("two", "two"), ("three",)),
        make_layer("Conv", ("three", "c"), ("out",)),
    ]
    graph = [field(1 << 3 | 2, node) for node in nodes] + [field(2 << 3 | 2, b"small")]
    tensors = {"a": NARROW, "b": np.array([0.5, -2], np.float32), "c": WIDE}
    graph += [field(5 << 3 | 2, make_tensor(name, v)) for name, v in tensors.items()]
    graph += [field(11 << 3 | 2, value("in", 1)), field(12 << 3 | 2, value("out", 1))]
    return model_of(graph)


SMALL = small_model()
RANGES = {"in": (0.0, 255.0), "two": (0.0, 1500.0), "three": (0.0, 3000.0)}


def run(model: bytes, given: dict[str, Any]) -> list[Any]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return list(session.run(None, given))


def test_the_layers_give_nearly_the_same() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (1, 1, 12, 16)).astype(np.float32)
    assert tensor_names(SMALL) == sorted(RANGES)
    (before,), (after,) = (run(model, {"in": picture}) for model in (SMALL, quantise_graph(SMALL, RANGES)))
    assert np.abs(before).max() > 500
    assert np.abs(before - after).max() < 0.03 * np.abs(before).max()


def test_ranges_can_be_measured() -> None:
    shown = show_tensors(SMALL, ["two", "three"])
    out, two, three = run(shown, {"in": np.full((1, 1, 5, 5), 9, np.float32)})
    assert (three == 2 * two).all()
    assert out.shape == (1, 1, 3, 3)


def test_layers_that_are_to_stay_in_floats_do() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (1, 1, 12, 16)).astype(np.float32)
    assert layer_outputs(SMALL) == ["one"]
    assert tensor_names(SMALL, ["one"]) == ["three", "two"]  # not "in"
    kept = quantise_graph(SMALL, {name: RANGES[name] for name in ("two", "three")}, ["one"])
    (before,), (after,) = (run(show_tensors(m, ["one"]), {"in": picture})[1:] for m in (SMALL, kept))
    assert (before == after).all()


def test_a_tensor_without_a_range_is_an_error_that_names_it() -> None:
    with pytest.raises(DependencyError, match="'two'"):
        quantise_graph(SMALL, {name: r for name, r in RANGES.items() if name != "two"})


@pytest.mark.parametrize("backwards", [False, True])
def test_the_bytes_do_not_depend_on_the_order_of_sets_which_differs_between_processes(
    backwards: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ordered(set[str]):
        def __iter__(self) -> Iterator[str]:
            return iter(sorted(super().__iter__(), reverse=backwards))

    expected, between = quantise_graph(SMALL, RANGES), quantising._between
    monkeypatch.setattr(quantising, "_between", lambda *given: Ordered(between(*given)))
    assert quantise_graph(SMALL, RANGES) == expected


@settings(max_examples=200)
@example(207, 125, 0)  # a bias of 1e37
@given(st.integers(0, len(SMALL) - 1), st.integers(0, 255), st.integers(0, len(SMALL)))
def test_no_damage_to_a_model_crashes_it(at: int, byte: int, length: int) -> None:
    for model in damage(SMALL, at, byte, length):
        with contextlib.suppress(DependencyError):
            quantise_graph(model, RANGES)


@pytest.mark.usefixtures("real_weights")
def test_the_face_is_found_as_in_floats() -> None:
    floats = join_heads(weights.load("centerface"), HEADS, "maps")
    integers = quantise_graph(floats, *weights.ranges("centerface"))
    assert len(integers) < len(floats) / 3
    for picture, face in moving_portrait(3, 640, 480, 0.6):
        assert face is not None
        x, y, w, h = face
        best = []
        for model in (floats, integers):
            (maps,) = run(model, {"input.1": batch_of(picture, "RGB")})
            best.append(decode(maps[0])[0])
        a, b = (Box.outward(*(float(v) for v in row[:4])) for row in best)
        assert iou(a, b) > 0.85
        assert iou(b, Box(x, y, x + w, y + h)) > 0.4
        assert abs(best[0][4] - best[1][4]) < 0.1


def heads_model() -> bytes:
    """Return a model of which three convolutions look at one tensor; a sigmoid follows one, and another is no use."""
    channels = {"p": 1, "q": 2, "r": 4}
    nodes = [make_layer("Conv", ("in", "a", "b"), ("one",)), make_layer("Relu", ("one",), ("two",))]
    nodes += [make_layer("Conv", ("two", f"{name}w", f"{name}b"), (name,)) for name in channels]
    nodes += [make_layer("Sigmoid", ("p",), ("likely",))]
    graph = [field(1 << 3 | 2, node) for node in nodes] + [field(2 << 3 | 2, b"heads")]
    random = np.random.default_rng(5)
    tensors = {"a": NARROW, "b": np.array([0.5, -2], np.float32)}
    tensors |= {f"{name}w": random.normal(size=(n, 2, 1, 1)).astype(np.float32) for name, n in channels.items()}
    tensors |= {f"{name}b": random.normal(size=n).astype(np.float32) for name, n in channels.items()}
    graph += [field(5 << 3 | 2, make_tensor(name, v)) for name, v in tensors.items()]
    outputs = {"likely": 1, "q": 2, "r": 4}
    graph += [field(11 << 3 | 2, value("in", 1)), *(field(12 << 3 | 2, value(name, n)) for name, n in outputs.items())]
    return model_of(graph)


HEADED = heads_model()


def test_convolutions_of_one_tensor_that_are_joined_give_the_same_and_nothing_is_left_of_others() -> None:
    picture = np.random.default_rng(1).random((1, 1, 12, 16), np.float32)
    joined = join_heads(HEADED, ("q", "p"), "maps")
    (maps,) = run(joined, {"in": picture})
    likely, pair, _ = run(HEADED, {"in": picture})
    assert maps[:, :2] == pytest.approx(pair, rel=1e-5)
    assert 1 / (1 + np.exp(-maps[:, 2:])) == pytest.approx(likely, abs=1e-6)
    assert sorted(floats_of(joined)) == ["a", "b", "maps_bias", "maps_weight"]
    assert tensor_names(joined) == ["in", "two"]


@pytest.mark.parametrize("heads", [("p", "s"), ("p", "one"), ("p", "likely"), ("two", "p")])
def test_what_is_no_convolution_of_the_same_tensor_is_not_joined(heads: tuple[str, ...]) -> None:
    with pytest.raises(DependencyError):
        join_heads(HEADED, heads, "maps")


@settings(max_examples=200)
@given(st.integers(0, len(HEADED) - 1), st.integers(0, 255), st.integers(0, len(HEADED)))
def test_no_damage_to_a_model_whose_convolutions_are_joined_crashes_it(at: int, byte: int, length: int) -> None:
    for model in damage(HEADED, at, byte, length):
        with contextlib.suppress(DependencyError):
            join_heads(model, ("p", "q"), "maps")


@pytest.mark.usefixtures("real_weights")
def test_centerface_gives_the_same_by_one_last_layer_as_by_four() -> None:
    model = weights.load("centerface")
    for picture, _ in moving_portrait(1, 320, 240, 0.6):
        given = {"input.1": batch_of(picture, "RGB")}
        heat, extent, offset, _ = run(model, given)
        (maps,) = run(join_heads(model, HEADS, "maps"), given)
        assert 1 / (1 + np.exp(-maps[0, 0])) == pytest.approx(heat[0, 0], abs=1e-6)
        assert (maps[0, 1:3] == extent[0]).all()
        assert (maps[0, 3:] == offset[0]).all()


def floats_of(model: bytes) -> dict[str, np.ndarray]:
    """Return the floats among the weights of a model, by name."""
    graph = next(payload for tag, _, payload in fields(model) if tag == 7 << 3 | 2)
    return quantising._read(graph)[1]


def test_subnormal_weights_become_zero_and_nothing_else_changes() -> None:
    tiny = np.finfo(np.float32).tiny
    weight = np.array([tiny / 2, -tiny / 1024, tiny, -tiny, 0, 1.5, -2, 1e-30], np.float32)
    graph = field(5 << 3 | 2, make_tensor("w", weight)) + field(5 << 3 | 2, make_tensor("n", np.arange(3)))
    listed = make_number(1, 2) + make_number(2, 1) + field(4 << 3 | 2, weight[:2].tobytes()) + field(8 << 3 | 2, b"l")
    model = make_number(1, 4) + field(7 << 3 | 2, graph + field(5 << 3 | 2, listed))
    made = without_subnormals(model)
    assert floats_of(made)["w"].tolist() == [0, 0, *weight[2:].tolist()]
    assert floats_of(made)["l"].tolist() == [0, 0]
    assert make_tensor("n", np.arange(3)) in made
    assert len(made) == len(model)
    assert without_subnormals(made) == made
    with pytest.raises(DependencyError):
        without_subnormals(model[:-3])


def test_the_model_of_texts_gives_the_same_to_the_last_bit_without_its_many_subnormal_weights() -> None:
    model = weights.load("ppocr-det-v6")
    made = without_subnormals(model)
    tiny = np.finfo(np.float32).tiny
    counts = [sum(int(((np.abs(v) < tiny) & (v != 0)).sum()) for v in floats_of(m).values()) for m in (model, made)]
    assert counts[0] > 200_000
    assert counts[1] == 0
    shown = np.random.default_rng(3).normal(size=(1, 3, 64, 96)).astype(np.float32)
    seen = [
        onnxruntime.InferenceSession(m, providers=["CPUExecutionProvider"]).run(None, {"x": shown})[0]
        for m in (model, made)
    ]
    assert np.array_equal(*seen)

"""A network in dlib's own format becomes an ONNX model that computes the same, or is refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from redact.dlib_networks import LEVELS, RANGE, SIDE, translate_dlib
from redact.errors import DependencyError
from tests.tiny import session

CHANNELS = (2, 2, 4, 4)  # of the first convolution, and of blocks: with what came before, with half of it, and again
STRIDES = (1, 2, 1)
LENGTH = 5  # of a vector
Layer = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]  # filters, bias, scale, shift, stride


def number(value: int) -> bytes:
    size = max(1, (value.bit_length() + 7) // 8)
    return bytes([size]) + value.to_bytes(size, "little")


def text(value: str) -> bytes:
    return number(len(value)) + value.encode()


def tensor(values: np.ndarray, *sizes: int) -> bytes:
    return b"".join(map(number, (2, *sizes))) + values.astype("<f4").tobytes()


def layers(seed: int = 5) -> tuple[list[Layer], np.ndarray]:
    """Return random convolutions, and the matrix at the end."""
    rng = np.random.default_rng(seed)
    shapes = [(CHANNELS[0], 3, 7, 2)]
    for depth, count, stride in zip(CHANNELS, CHANNELS[1:], STRIDES, strict=False):
        shapes += [(count, depth, 3, stride), (count, count, 3, 1)]
    made = []
    for count, depth, size, stride in shapes:
        filters = rng.normal(0, 1 / size, (count, depth, size, size))
        made.append((filters, rng.normal(size=count), rng.uniform(0.5, 2, count), rng.normal(size=count), stride))
    return made, rng.normal(size=(CHANNELS[-1], LENGTH))


def write(convolutions: Sequence[Layer], product: np.ndarray) -> bytes:
    """Return the file of a network, with what lies between the layers only hinted at."""
    parts = [number(1), text("loss_metric_2"), b"\x03\x0a\xd7\xa3\x81\x1c", text("input_rgb_image_sized")]
    for filters, bias, scale, shift, stride in convolutions:
        count, _, size, _ = filters.shape
        weights = np.concatenate([filters.ravel(), bias])
        parts += [text("con_4"), tensor(weights, len(weights), 1, 1, 1)]
        parts += [number(value) for value in (count, size, size, stride, stride, 0, 0)]
        parts += [text("affine_"), tensor(np.concatenate([scale, shift]), 1, 2 * count, 1, 1), text("relu_110")]
    parts += [text("fc_2"), number(product.shape[1]), number(product.shape[0])]
    return b"".join([*parts, tensor(product, *product.shape, 1, 1), number(0)])


def convolve(x: np.ndarray, layer: Layer) -> np.ndarray:
    filters, bias, scale, shift, stride = layer
    size = filters.shape[2]
    pad = size // 2 if stride == 1 else 0
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(x, ((0, 0), (pad, pad), (pad, pad))), (size, size), (1, 2)
    )
    made = np.einsum("dyxij,cdij->cyx", windows[:, ::stride, ::stride], filters)
    return np.asarray(made * scale[:, None, None] + (bias * scale + shift)[:, None, None])


def pooled(x: np.ndarray, size: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))[:, ::2, ::2]


def widened(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.pad(x, [(0, wanted - had) for wanted, had in zip(shape, x.shape, strict=True)])


def run(picture: np.ndarray, convolutions: Sequence[Layer], product: np.ndarray) -> np.ndarray:
    """Return what dlib would compute of a picture (3, 150, 150)."""
    x = (picture - LEVELS[:, None, None]) / RANGE
    x = pooled(np.maximum(convolve(x, convolutions[0]), 0), 3).max(axis=(3, 4))
    for one, two in zip(convolutions[1::2], convolutions[2::2], strict=True):
        deep = convolve(np.maximum(convolve(x, one), 0), two)
        around = pooled(x, 2).mean(axis=(3, 4)) if one[4] == 2 else x
        shape = tuple(map(max, deep.shape, around.shape))
        x = np.maximum(widened(deep, shape) + widened(around, shape), 0)
    return np.asarray(x.mean(axis=(1, 2)) @ product)


def test_the_model_computes_what_the_network_does_also_where_a_block_halves_and_widens() -> None:
    made = layers()
    pictures = np.random.default_rng(2).uniform(0, 255, (2, 3, SIDE, SIDE))
    model = session(translate_dlib(write(*made)))
    (vectors,) = model.run(["vector"], {"picture": pictures.astype(np.float32)})
    assert vectors == pytest.approx(np.stack([run(picture, *made) for picture in pictures]), rel=1e-4, abs=1e-4)


def test_a_file_that_is_cut_off_anywhere_or_is_something_else_is_refused() -> None:
    convolutions, product = layers()
    whole = write(convolutions, product)
    broken = [b"", b"nonsense" * 100, write(convolutions[:-1], product), whole.replace(b"con_4", b"con_9")]
    for content in (*broken, *(whole[: len(whole) * n // 40] for n in range(40))):
        with pytest.raises(DependencyError, match="dlib"):
            translate_dlib(content)

"""What counts as changed, and since when."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redact.geometry import Box
from redact.stillness import HOLD_S, Memory, changed_blocks, to_grey
from tests.clips import Picture, portrait, textured_background

WIDTH, HEIGHT = 320, 240
NOISE = 6.0  # levels: that of a camera at night


def noisy(picture: Picture, seed: int, deviation: float = NOISE) -> Picture:
    noise = np.random.default_rng(seed).normal(0, deviation, picture.shape[:2])
    return np.asarray((picture + noise[..., None]).round().clip(0, 255), np.uint8)


def with_face(background: Picture, size: float, x: int, y: int, share: float = 1.0) -> Picture:
    picture, face = background.copy(), portrait(size)
    place = picture[y : y + face.shape[0], x : x + face.shape[1]]
    place[:] = (share * face[: place.shape[0], : place.shape[1]] + (1 - share) * place).round()
    return picture


BACKGROUND = textured_background(WIDTH, HEIGHT)


def test_noise_alone_is_no_change() -> None:
    for seed in range(5):
        before, now = (to_grey(noisy(BACKGROUND, seed=2 * seed + n)) for n in (0, 1))
        assert not changed_blocks(before, now).any()


@given(st.integers(0, WIDTH - 10), st.integers(0, HEIGHT - 10))
def test_ten_pixels_anywhere_are_a_change_in_noise_and_nothing_else_is(x: int, y: int) -> None:
    after = BACKGROUND.copy()
    place = after[y : y + 10, x : x + 10]
    place[:] = place - 50 if place.mean() > 128 else place + 50
    blocks = changed_blocks(to_grey(noisy(BACKGROUND, 1)), to_grey(noisy(after, 2)))
    assert blocks.any()
    rows, columns = np.nonzero(blocks)
    assert rows.min() >= y // 8
    assert rows.max() <= (y + 9) // 8
    assert columns.min() >= x // 8
    assert columns.max() <= (x + 9) // 8


def test_a_change_that_fills_the_picture_is_not_taken_for_noise() -> None:
    near = np.asarray(np.kron(portrait(0.5), np.ones((2, 2, 1))), np.uint8)
    turned = np.ascontiguousarray(near[:, ::-1])
    assert changed_blocks(to_grey(near), to_grey(turned)).mean() > 0.4
    darker = np.full_like(BACKGROUND, 100), np.full_like(BACKGROUND, 110)
    assert changed_blocks(*map(to_grey, darker)).all()
    loud = [to_grey(noisy(BACKGROUND, seed, deviation=40)) for seed in (1, 2)]
    assert changed_blocks(*loud).any()


def test_a_texture_of_the_same_brightness_is_a_change() -> None:
    board = np.full_like(BACKGROUND, 108)
    board[40:60, 40:60] = 100
    board[40:60:2, 40:60:2] = board[41:60:2, 41:60:2] = 116
    assert changed_blocks(to_grey(np.full_like(BACKGROUND, 108)), to_grey(board)).any()


@pytest.mark.parametrize("light", [0.04, 0.1, 0.3, 1.0])
def test_a_small_face_is_a_change_however_dark_it_is(light: float) -> None:
    room, entered = (
        to_grey(np.asarray((picture * light).round(), np.uint8))
        for picture in (BACKGROUND, with_face(BACKGROUND, 0.2, 200, 150))
    )
    rows, columns = np.nonzero(changed_blocks(room, entered))
    assert len(rows) >= 6
    assert (rows.min() * 8 >= 144, columns.min() * 8 >= 192) == (True, True)


def test_somebody_who_fades_in_over_three_seconds_is_a_change_since_the_last_look_not_since_the_frame_before() -> None:
    shares = [n / 75 for n in range(76)]
    pictures = [to_grey(noisy(with_face(BACKGROUND, 0.4, 100, 60, share), n)) for n, share in enumerate(shares)]
    assert not any(changed_blocks(a, b).any() for a, b in pairwise(pictures))
    memory, looked = Memory(), []
    for n, (grey, share) in enumerate(zip(pictures, shares, strict=True)):
        if memory.changes(grey, (WIDTH, HEIGHT), Fraction(n, 25)) != []:
            looked.append(share)
    assert max(b - a for a, b in zip(looked, [*looked[1:], 1.0], strict=True)) <= 0.2


def test_what_has_changed_is_reported_once_and_lies_in_its_boxes() -> None:
    memory, size = Memory(), (WIDTH, HEIGHT)
    still, face = to_grey(BACKGROUND), to_grey(with_face(BACKGROUND, 0.2, 200, 150))
    assert memory.changes(still, size, Fraction(0)) is None
    assert memory.changes(still, size, Fraction(1, 25)) == []
    (box,) = memory.changes(face, size, Fraction(2, 25)) or []
    assert box.contains(Box(205, 155, 245, 205))
    assert box.area < 100 * 100
    assert memory.changes(face, size, Fraction(3, 25)) == []
    assert memory.changes(still, size, Fraction(4, 25)) == [box]


def test_the_whole_picture_is_looked_at_now_and_then_all_the_same() -> None:
    memory, grey = Memory(), to_grey(BACKGROUND)
    times = [Fraction(n, 25) for n in range(120)]
    whole = [t for t in times if memory.changes(grey, (WIDTH, HEIGHT), t) is None]
    assert whole == [0, HOLD_S, 2 * HOLD_S]


@pytest.mark.parametrize("size", [(1, 1), (9, 30), (2560, 1440), (333, 127)])
def test_pictures_of_any_size_are_compared_to_their_last_pixel(size: tuple[int, int]) -> None:
    wide, tall = size
    memory = Memory()
    before = np.full((tall, wide, 3), 60, np.uint8)
    after = before.copy()
    after[-8:, -8:] = 220
    assert memory.changes(to_grey(before), size, Fraction(0)) is None
    (box,) = memory.changes(to_grey(after), size, Fraction(1, 25)) or []
    assert box.contains(Box(max(0, wide - 8), max(0, tall - 8), wide, tall))
    assert Box(0, 0, wide, tall).contains(box)

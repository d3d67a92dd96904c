"""Pictures in other sizes: nothing that a detector could need may be left out between the pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redact.resizing import at_most, resize, scaled


def test_halves_are_means_of_four() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
    means = picture.astype(float).reshape(24, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(resize(picture, (32, 24)) - means).max() <= 0.5


@pytest.mark.parametrize("factor", [0.9, 0.7, 0.55, 0.5, 0.4, 0.3, 0.24, 0.1])
def test_a_line_of_a_pixel_is_left_out_at_no_size(factor: float) -> None:
    lost = []
    for column in range(40, 60):
        picture = np.zeros((90, 100), np.uint8)
        picture[:, column] = 255
        small = resize(picture, scaled(picture, factor))
        mean = small.astype(float).sum() / small.shape[0]  # of what the line adds to a row
        if not 0.3 * 255 * factor <= mean <= 1.8 * 255 * factor:
            lost.append((column, round(mean / (255 * factor), 2)))
    assert lost == []


@pytest.mark.parametrize("factor", [0.6, 0.37, 0.13])
def test_a_slope_stays_where_it_is(factor: float) -> None:
    slope = np.tile(np.linspace(0, 255, 400).astype(np.uint8), (300, 1))
    small = resize(slope, scaled(slope, factor))
    means = cv2.resize(slope, small.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(float) - means).max() <= 2


@given(st.integers(1, 90), st.integers(1, 90), st.floats(0.01, 3))
def test_the_size_is_the_one_asked_for(width: int, height: int, factor: float) -> None:
    picture = np.full((height, width, 3), 77, np.uint8)
    size = scaled(picture, factor)
    assert resize(picture, size).shape == (*size[::-1], 3)
    assert (resize(picture, size) == 77).all()


def test_a_picture_that_is_small_enough_stays_itself() -> None:
    picture = np.zeros((30, 40), np.uint8)
    assert at_most(picture, 40) is picture
    assert at_most(picture, 20).shape == (15, 20)

"""A box goes where what it holds goes, and where the picture says nothing, nothing is believed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from redact.flow import carry, to_grey
from tests.clips import textured_background
from tests.walks import HEIGHT, SIDE, WIDTH, film

ROW = np.array([100.0, 100, 140, 140])


def carry_one(before: np.ndarray, after: np.ndarray, row: np.ndarray, motion: np.ndarray) -> tuple[np.ndarray, float]:
    moved, trust = carry(before, after, row[None], motion[None])
    return moved[0], float(trust[0])


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (3, -2), (-9, 6), (14, 11)])
def test_a_box_is_carried_with_what_it_holds(dx: int, dy: int) -> None:
    before, after = (to_grey(p) for p in film(2, lambda n: (100 + dx * n, 100 + dy * n)))
    moved, trust = carry_one(before, after, ROW, np.zeros(2))
    assert trust > 0.7
    assert np.abs(moved - ROW - np.tile((dx, dy), 2)).max() < 0.5


def test_a_guess_of_the_motion_brings_a_box_farther() -> None:
    before, after = (to_grey(p) for p in film(2, lambda n: (100 + 120 * n, 100), camera=120))
    assert carry_one(before, after, ROW, np.zeros(2))[1] < 0.7
    moved, trust = carry_one(before, after, ROW, np.array([115.0, 4]))
    assert trust > 0.7
    assert np.abs(moved - ROW - (120, 0, 120, 0)).max() < 0.5


@pytest.mark.parametrize("zoom", [0.93, 1.06])
def test_a_box_grows_and_shrinks_with_what_it_holds(zoom: float) -> None:
    before = to_grey(film(1, lambda n: (100, 100))[0])
    after = cv2.warpAffine(before, cv2.getRotationMatrix2D((119.5, 119.5), 0, zoom), (WIDTH, HEIGHT))
    moved, trust = carry_one(before, after, ROW, np.zeros(2))
    assert trust > 0.7
    assert np.abs((moved[2:] - moved[:2]) / SIDE - zoom).max() < 0.01
    assert np.abs((moved[:2] + moved[2:]) / 2 - 120).max() < 0.5


@pytest.mark.parametrize("kind", ["flat", "another picture", "noise", "became flat"])
def test_where_the_picture_says_nothing_a_box_stays_and_is_not_trusted(kind: str) -> None:
    before = to_grey(film(1, lambda n: (100, 100))[0])
    flat = np.full_like(before, 90)
    after = {
        "flat": flat,
        "another picture": to_grey(textured_background(WIDTH, HEIGHT, 9)),
        "noise": np.random.default_rng(1).integers(0, 256, before.shape, dtype=np.uint8),
        "became flat": flat,
    }[kind]
    moved, trust = carry_one(flat if kind == "flat" else before, after, ROW, np.array([3.0, 1]))
    assert trust == 0
    assert (moved == ROW).all()


@pytest.mark.parametrize("row", [(-30, -30, 10, 10), (470, 350, 510, 390), (-900, 0, -800, 90), (0, 0, 480, 360),
                                 (100, 100, 101, 101), (-500, -500, 1500, 1500)])  # fmt: skip
def test_a_box_of_any_size_and_place_can_be_carried(row: tuple[float, ...]) -> None:
    before, after = (to_grey(p) for p in film(2, lambda n: (100 + n, 100)))
    moved, trust = carry_one(before, after, np.array(row, np.float64), np.array([5.0, -700]))
    assert np.isfinite(moved).all()
    assert 0 <= trust <= 1


def test_boxes_are_carried_together_as_they_are_alone() -> None:
    paths = lambda n: (60 + 3 * n, 60), lambda n: (300, 80 + 5 * n), lambda n: (200 - 4 * n, 250)
    before, after = (to_grey(p) for p in film(2, *paths))
    rows = np.array([(x, y, x + SIDE, y + SIDE) for x, y in (path(0) for path in paths)] + [(-90, -90, -50, -50)])
    motions = np.array([(0, 0), (0, 4), (-9, 3), (0, 0)], np.float64)
    moved, trust = carry(before, after, rows.astype(np.float64), motions)
    for n, path in enumerate(paths):
        alone, sure = carry_one(before, after, rows[n].astype(np.float64), motions[n])
        assert np.abs(moved[n] - alone).max() < 0.1
        assert abs(trust[n] - sure) < 0.1
        assert np.abs(moved[n, :2] - path(1)).max() < 0.5
    assert trust[3] == 0
    assert (moved[3] == rows[3]).all()

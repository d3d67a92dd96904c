"""The bench of what is covered measures what it says: its texts and paths."""

from __future__ import annotations

import numpy as np
import pytest

from bench import covered, marks
from bench.covered import LETTERS

WIDTH, HEIGHT = 64, 48


def test_a_text_lies_whole_in_its_box_and_its_letters_are_as_high_as_asked_for() -> None:
    black = np.zeros((120, 320, 3), np.uint8)
    for right, low in ((False, False), (True, True)):
        drawn, box = covered.draw_text(black, "CAM 07 YARD", right, low, 180)
        inside = np.zeros(drawn.shape[:2], bool)
        inside[box.y0 : box.y1, box.x0 : box.x1] = True
        assert not drawn[~inside].any()
        assert 175 <= drawn.max() <= 180  # the strokes are a pixel wide: not every OpenCV fills one
        assert box.height in (LETTERS, LETTERS + 1)  # round letters reach one row farther
        assert (box.x0 > 160, box.y0 > 60) == (right, low)
    assert not black.any()


def test_a_path_goes_straight_between_its_points_and_is_nowhere_beyond_its_ends() -> None:
    path = ((10, 0, 100), (20, 40, 100))
    assert covered.at_time(path, 15) == (20, 100)
    assert covered.at_time(path, 20) == (40, 100)
    assert covered.at_time(path, 9) is None
    assert covered.at_time(path, 21) is None


def test_a_mark_stands_where_the_path_has_it() -> None:
    corners, _ = marks.place(7, 1, WIDTH, HEIGHT, (33.0, 21.0))
    own, _ = marks.place(7, 1, WIDTH, HEIGHT)
    assert corners.mean(axis=0) == pytest.approx((33, 21), abs=3)
    assert corners - (33, 21) == pytest.approx(own - own.mean(axis=0), abs=3)

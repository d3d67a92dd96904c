"""Boxes round outward and are never empty."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redact.geometry import Box, covered_share, join

SIDE = st.integers(-50, 50)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x, y = draw(SIDE), draw(SIDE)
    return Box(x, y, x + draw(st.integers(1, 60)), y + draw(st.integers(1, 60)))


@given(st.floats(-99, 99), st.floats(-99, 99), st.floats(0, 50), st.floats(0, 50))
def test_every_rounding_goes_outward(x: float, y: float, w: float, h: float) -> None:
    box = Box.outward(x, y, x + w, y + h)
    assert box.x0 <= x
    assert box.y0 <= y
    assert box.x1 >= x + w
    assert box.y1 >= y + h


@pytest.mark.parametrize("sides", [(0, 0, 0, 5), (0, 0, 5, 0), (5, 0, 0, 5)])
def test_an_empty_box_is_refused(sides: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="empty box"):
        Box(*sides)


@given(boxes(), boxes())
def test_overlap_is_symmetric_and_within_bounds(a: Box, b: Box) -> None:
    assert covered_share(a, b) * a.area == pytest.approx(covered_share(b, a) * b.area)
    assert 0 <= covered_share(a, b) <= covered_share(a, a) == 1
    shared = a.intersect(b)
    assert (covered_share(a, b) > 0) == (shared is not None)
    assert join([a, b]).contains(a)
    assert join([a, b]).contains(b)


@given(boxes(), st.floats(0, 2), st.floats(-20, 20))
def test_a_grown_box_holds_the_box_and_a_moved_one_keeps_its_size(a: Box, share: float, step: float) -> None:
    assert a.grow(share, share, share, share).contains(a)
    assert a.shift(step, step).width >= a.width


def test_a_box_outside_the_picture_has_no_part_in_it() -> None:
    assert Box(-9, -9, 0, 5).clip(10, 10) is None
    assert Box(-9, -9, 1, 5).clip(10, 10) == Box(0, 0, 1, 5)

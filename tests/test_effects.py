"""Covering carries nothing, reaches every edge, and changes nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redact.effects import Region, cover, draw_mask
from redact.geometry import Box
from redact.plan import EFFECTS
from redact.tracking import HEAD_RIM, head


@st.composite
def scenes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    width, height = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    regions = []
    for _ in range(draw(st.integers(1, 4))):
        x, y = draw(st.integers(-30, width)), draw(st.integers(-30, height))
        box = Box(x, y, x + draw(st.integers(1, 60)), y + draw(st.integers(1, 60)))
        regions.append(Region(box, draw(st.sampled_from(["head", "region"]))))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    picture = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return picture, draw_mask(regions, width, height), random


@pytest.mark.parametrize("effect", EFFECTS)
@settings(deadline=None, max_examples=60)
@given(scene=scenes())
def test_what_is_covered_is_gone(effect: str, scene: tuple[np.ndarray, np.ndarray, np.random.Generator]) -> None:
    picture, mask, random = scene
    before = picture.copy()
    covered = cover(picture, mask, effect)
    assert (picture == before).all()
    assert (covered[mask == 0] == picture[mask == 0]).all()
    other = picture.copy()
    other[mask > 0] = random.integers(0, 256, (int((mask > 0).sum()), 3))
    assert (cover(other, mask, effect) == covered).all()


@given(scenes())
def test_the_mask_is_made_of_whole_colour_blocks(scene: tuple[np.ndarray, np.ndarray, np.random.Generator]) -> None:
    _, mask, _ = scene
    height, width = mask.shape
    for y in range(0, height, 2):
        for x in range(0, width, 2):
            assert len(np.unique(mask[y : y + 2, x : x + 2])) == 1


@pytest.mark.parametrize(("width", "height"), [(40, 30), (41, 31)])
def test_a_region_reaches_the_last_row_and_column(width: int, height: int) -> None:
    mask = draw_mask([Region(Box(20, 15, width, height), "region")], width, height)
    assert mask[-1, -1] == 255
    assert mask[0, 0] == 0


@given(st.integers(3, 200), st.integers(3, 200), st.integers(0, 359))
def test_the_ellipse_of_a_head_holds_the_face_and_a_margin_all_round(width: int, height: int, angle: int) -> None:
    row = np.array([300, 300, 300 + width, 300 + height], np.float64)
    grown = row + np.tile(0.13 * (row[2:] - row[:2]), 2) * (-1, -1, 1, 1)
    inside = Box(*np.ceil(grown[:2]).astype(int).tolist(), *np.floor(grown[2:]).astype(int).tolist())
    whole = Box.outward(*map(float, head(row, angle, rim=0)))
    face, covered = (draw_mask([Region(box, "head")], 900, 900) for box in (inside, whole))
    assert (covered[face > 0] == 255).all()


@given(st.integers(3, 20), st.integers(3, 20), st.integers(0, 359))
def test_the_ellipse_of_a_small_head_holds_the_whole_box_of_the_face(width: int, height: int, angle: int) -> None:
    face = Box(300, 300, 300 + width, 300 + height)
    row = head(np.array([face.x0, face.y0, face.x1, face.y1], np.float64), angle, HEAD_RIM * 900)
    mask = draw_mask([Region(Box.outward(*map(float, row)), "head")], 900, 900)
    assert (mask[face.y0 : face.y1, face.x0 : face.x1] == 255).all()


def test_the_veil_takes_its_colours_from_around_the_region() -> None:
    picture = np.full((60, 60, 3), (20, 120, 200), np.uint8)
    picture[20:40, 20:40] = 255
    mask = draw_mask([Region(Box(18, 18, 42, 42), "region")], 60, 60)
    assert np.abs(cover(picture, mask, "blur").astype(int) - (20, 120, 200)).max() <= 1


def test_a_mosaic_has_few_blocks_however_large_the_region() -> None:
    ramp = np.tile(np.arange(400, dtype=np.uint8)[:, None, None] // 2, (1, 400, 3))
    mask = draw_mask([Region(Box(40, 40, 360, 360), "region")], 400, 400)
    blocks = cover(ramp, mask, "mosaic")[60:340, 200, 0]
    assert (np.diff(blocks.astype(int)) != 0).sum() <= 10

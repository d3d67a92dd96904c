"""What a look finds is brought back to where it is in the picture, however the picture was shown."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redact.detectors.faces import CenterFace
from redact.detectors.looks import SAME_IOU, Look, once, see
from redact.geometry import Box
from redact.plan import Detection
from redact.tracking import head
from tests.overlap import iou

Row = tuple[float, float, float, float]

ANGLES = range(0, 360, 15)
SIZES = ((160, 120), (161, 121), (121, 160), (97, 64))
ENOUGH = 300  # levels summed over a blob: less than this is a crumb of a cut one


def ellipse(width: int, height: int, middle: tuple[float, float], half: tuple[float, float], turn: float) -> np.ndarray:
    """Return a bright ellipse on black, its axes turned counter-clockwise by some degrees."""
    y, x = np.mgrid[:height, :width] + 0.5
    x, y = x - middle[0], y - middle[1]
    sine, cosine = math.sin(math.radians(turn)), math.cos(math.radians(turn))
    along, across = (x * cosine - y * sine) / half[0], (x * sine + y * cosine) / half[1]
    level = np.clip((1 - np.hypot(along, across)) * min(half) + 0.5, 0, 1) * 255
    return np.repeat(level.round().astype(np.uint8)[..., None], 3, axis=2)


def around(middle: tuple[float, float], half: tuple[float, float], turn: float) -> Row:
    """Return the smallest upright rectangle around that ellipse."""
    sine, cosine = math.sin(math.radians(turn)), math.cos(math.radians(turn))
    reach = math.hypot(half[0] * cosine, half[1] * sine), math.hypot(half[0] * sine, half[1] * cosine)
    return middle[0] - reach[0], middle[1] - reach[1], middle[0] + reach[0], middle[1] + reach[1]


def find_bright(shown: np.ndarray) -> np.ndarray:
    """Return a row for each bright blob, exact to a fraction of a pixel: from its mean and its spread."""
    level = shown[..., 0].astype(np.float64)
    count, labels = cv2.connectedComponents((level > 40).astype(np.uint8))
    rows = []
    for n in range(1, count):
        near = cv2.dilate((labels == n).astype(np.uint8), np.ones((5, 5), np.uint8))
        y, x = np.nonzero(near)
        weight = level[y, x]
        if weight.sum() < ENOUGH:
            continue
        middle = np.array([np.average(v + 0.5, weights=weight) for v in (x, y)])
        half = 2 * np.sqrt(
            [np.average((v + 0.5 - m) ** 2, weights=weight) for v, m in zip((x, y), middle, strict=True)]
        )
        rows.append([*(middle - half), *(middle + half), 0.9])
    return np.array(rows, np.float64).reshape(-1, 5)


def rows_of(picture: np.ndarray, looks: Sequence[Look]) -> list[np.ndarray]:
    """Return what is found, as rows in pixels of the picture."""
    found: list[np.ndarray] = []

    def note(row: np.ndarray, look: Look) -> Detection:
        found.append(row)
        return detection(row, look)

    see(find_bright, picture, looks, note)
    return found


def detection(row: np.ndarray, look: Look) -> Detection:
    return Detection(7, Box.outward(*(float(v) for v in row[:4])), "face", float(row[4]), "fake", look.angle)


def off_by(picture: np.ndarray, truth: Row, look: Look) -> float:
    """Return how far the one thing that a look finds is from where it is, in pixels of the picture."""
    (row,) = rows_of(picture, [look])
    return float(np.abs(row[:4] - truth).max())


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_turned_face_is_found_where_it_is_by_the_look_that_sees_it_upright(
    width: int, height: int, whole: bool, mirrored: bool
) -> None:
    middle, half = (width / 2 + 4.3, height / 2 - 3.6), (7.0, 10.0)
    part = None if whole else Box(width // 2 - 21, height // 2 - 25, width // 2 + 30, height // 2 + 23)
    for angle in ANGLES:
        turn = angle if mirrored else -angle
        picture, truth = ellipse(width, height, middle, half, turn), around(middle, half, turn)
        for side in (max(width, height), 220):
            assert off_by(picture, truth, Look(side, angle, mirrored, part)) < 1.5, (angle, side)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("angle", range(0, 360, 45))
def test_a_look_that_makes_the_picture_smaller_is_exact_to_half_a_pixel_of_what_it_shows(
    angle: int, mirrored: bool
) -> None:
    middle, half = (334.0, 228.0), (50.0, 70.0)
    turn = angle if mirrored else -angle
    picture, truth = ellipse(640, 480, middle, half, turn), around(middle, half, turn)
    assert off_by(picture, truth, Look(160, angle, mirrored)) / 4 < 0.5


@given(
    st.integers(60, 140), st.integers(60, 140), st.sampled_from(ANGLES), st.booleans(), st.integers(90, 200),
    st.floats(-5, 5), st.floats(-5, 5),
)  # fmt: skip
def test_a_round_thing_is_found_where_it_is_by_any_look(
    width: int, height: int, angle: int, mirrored: bool, side: int, dx: float, dy: float
) -> None:
    middle, half = (width / 2 + dx, height / 2 + dy), (9.0, 9.0)
    picture, truth = ellipse(width, height, middle, half, 0), around(middle, half, 0)
    shown = side / max(width, height)
    assert off_by(picture, truth, Look(side, angle, mirrored)) * min(shown, 1) < 1.5


@pytest.mark.parametrize(
    ("angle", "mirrored", "side"),
    [
        (0, False, "y0"), (90, False, "x1"), (180, False, "y1"), (270, False, "x0"), (0, True, "y0"), (180, True, "y1"),
        (90, True, "x0"), (270, True, "x1"),
    ],
)  # fmt: skip
def test_the_hair_is_covered_where_the_look_saw_it(
    angle: int, mirrored: bool, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A face with its hair at one side of it is seen upright by a look: the head reaches farther on that side."""
    middle = np.array([150.0, 150.0])
    hair = middle + {"x0": (-60, 0), "x1": (60, 0), "y0": (0, -60), "y1": (0, 60)}[side]
    picture = ellipse(300, 300, (150, 150), (30, 30), 0) + ellipse(300, 300, (hair[0], hair[1]), (12, 12), 0)

    def find(_: CenterFace, shown: np.ndarray) -> np.ndarray:
        rows = find_bright(shown)
        large, small = rows[np.argsort(rows[:, 0] - rows[:, 2])]
        assert small[3] < large[1]
        return large[None]

    monkeypatch.setattr(CenterFace, "_find", find)
    (seen,) = CenterFace.__new__(CenterFace).detect(picture, 7, [Look(300, angle, mirrored)])
    face = np.array([seen.box.x0, seen.box.y0, seen.box.x1, seen.box.y1], np.float64)
    reach = dict(zip(("x0", "y0", "x1", "y1"), np.abs(head(face, seen.angle, rim=0) - face), strict=True))
    assert max(reach, key=lambda name: reach[name]) == side


def corners(width: int, height: int) -> np.ndarray:
    """Return a black picture with a bright square in each corner."""
    picture = np.zeros((height, width, 3), np.uint8)
    for rows in (np.s_[:8], np.s_[-8:]):
        for columns in (np.s_[:8], np.s_[-8:]):
            picture[rows, columns] = 255
    return picture


@pytest.mark.parametrize("angle", ANGLES)
def test_the_corners_of_the_whole_picture_are_shown_at_every_turn(angle: int) -> None:
    seen = rows_of(corners(120, 80), [Look(120, angle)])
    middles = {(round((r[0] + r[2]) / 2 / 60), round((r[1] + r[3]) / 2 / 40)) for r in seen}
    assert middles == {(0, 0), (0, 2), (2, 0), (2, 2)}


@pytest.mark.parametrize("angle", ANGLES)
def test_the_corners_of_a_part_are_cut_off_by_turns_between_the_quarter_ones_and_it_stays_as_small(angle: int) -> None:
    picture = np.zeros((300, 300, 3), np.uint8)
    picture[100:180, 100:180] = corners(80, 80)
    sides: list[tuple[int, ...]] = []

    def note(shown: np.ndarray) -> np.ndarray:
        sides.append(shown.shape)
        return find_bright(shown)

    seen = see(note, picture, [Look(128, angle, within=Box(100, 100, 180, 180), cut=True)], detection)
    assert sides == [(128, 128, 3)]
    if angle % 90 == 0:
        assert len(seen) == 4
    elif angle % 90 in (30, 45, 60):
        assert len(seen) == 0


def test_what_several_looks_see_is_one_thing_and_the_surest_look_counts() -> None:
    middle, half = (80.0, 60.0), (12.0, 12.0)
    looks = [Look(160), Look(160, 45), Look(320, mirrored=True), Look(160, 90), Look(96, within=Box(50, 30, 110, 90))]
    scores = iter([0.3, 0.8, 0.5, 0.2, 0.4])

    def find(shown: np.ndarray) -> np.ndarray:
        rows = find_bright(shown)
        rows[:, 4] = next(scores)
        return rows

    (seen,) = see(find, ellipse(160, 120, middle, half, 0), looks, detection)
    assert (seen.score, seen.angle) == (0.8, 45)
    assert iou(seen.box, Box(68, 48, 92, 72)) > 0.85


def test_two_things_side_by_side_stay_two() -> None:
    picture = ellipse(160, 120, (40, 60), (12, 15), 0) + ellipse(160, 120, (80, 60), (12, 15), 0)
    looks = [Look(160, angle, mirrored) for angle in (0, 45, 180) for mirrored in (False, True)]
    seen = see(find_bright, picture, looks, detection)
    assert sorted(round(d.box.center[0] / 20) for d in seen) == [2, 4]


def test_where_nothing_is_seen_nothing_is_returned() -> None:
    black = np.zeros((40, 50, 3), np.uint8)
    assert see(find_bright, black, [Look(50), Look(50, 45), Look(64, within=Box(3, 3, 20, 20))], detection) == []
    assert see(find_bright, black, [], detection) == []


def test_the_picture_is_not_changed() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    before = picture.copy()

    def scribble(shown: np.ndarray) -> np.ndarray:
        assert not np.shares_memory(shown, picture)
        return np.array([[3.0, 4.0, 20.0, 30.0, 0.5]])

    picture.flags.writeable = False
    looks = [Look(side, a, m, w) for side in (80, 33) for a in (0, 30, 90) for m in (False, True)
             for w in (None, Box(0, 0, 80, 60), Box(0, 0, 30, 30))]  # fmt: skip
    assert see(scribble, picture, looks, detection)
    assert (picture == before).all()


@pytest.mark.parametrize("angle", [0, 45, 90, 180])
def test_a_part_that_leaves_the_picture_shows_what_is_in_it(angle: int) -> None:
    middle, half = (22.0, 25.0), (8.0, 8.0)
    picture, truth = ellipse(160, 120, middle, half, 0), around(middle, half, 0)
    assert off_by(picture, truth, Look(128, angle, within=Box(-40, -30, 52, 60))) < 1.5


def test_a_part_outside_the_picture_is_no_error_and_nothing_is_misplaced() -> None:
    middle, half = (80.0, 60.0), (9.0, 9.0)
    picture, truth = ellipse(160, 120, middle, half, 0), around(middle, half, 0)
    for part in (Box(500, 20, 540, 60), Box(-90, -80, -10, -5), Box(160, 0, 200, 40)):
        for angle in (0, 45, 90):
            for row in rows_of(picture, [Look(128, angle, within=part)]):
                assert np.abs(row[:4] - truth).max() < 2


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (3, 2)])
def test_pictures_of_any_size_can_be_shown(size: tuple[int, int]) -> None:
    looks = [Look(64, angle, m, w) for angle in (0, 45, 90) for m in (False, True) for w in (None, Box(0, 0, 1, 1))]
    assert see(find_bright, np.zeros((*size, 3), np.uint8), looks, detection) == []


def test_once_keeps_the_best_of_each_thing_and_the_best_comes_first() -> None:
    def face(x: int, score: float) -> Detection:
        return Detection(3, Box(x, 10, x + 40, 60), "face", score, "fake")

    seen = [face(10, 0.3), face(14, 0.6), face(90, 0.2), face(8, 0.5), face(93, 0.9)]
    assert once(seen) == [seen[4], seen[1]]
    assert once([]) == []
    assert once(seen[:1]) == seen[:1]


def test_a_surer_face_does_not_take_the_place_of_the_text_around_it() -> None:
    face = Detection(0, Box(100, 100, 140, 160), "face", 0.9, "eyes")
    text = Detection(0, Box(96, 110, 150, 176), "text", 0.5, "eyes")
    assert once([text, face]) == [face, text]


boxes = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h),
    st.integers(-20, 60), st.integers(-20, 60), st.integers(1, 40), st.integers(1, 40),
)  # fmt: skip


@given(st.lists(st.tuples(boxes, st.floats(0, 1)), max_size=12))
def test_once_loses_no_thing_and_keeps_none_twice(seen: list[tuple[Box, float]]) -> None:
    before = [Detection(0, box, "face", score, "fake") for box, score in seen]
    kept = once(before)
    assert all(any(iou(d.box, k.box) >= SAME_IOU and k.score >= d.score for k in kept) for d in before)
    assert all(iou(a.box, b.box) < SAME_IOU for n, a in enumerate(kept) for b in kept[:n])

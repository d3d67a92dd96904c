"""Text is covered to its last letter, small and turned, and nothing is text where there is none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from redact import weights
from redact.detectors.looks import SAME_IOU, Look, chest_of, joined, united
from redact.detectors.texts import BARE_HEIGHT, CHEST_PIXELS, TextDetector, change_of, lines
from redact.geometry import Box
from redact.plan import Detection
from tests.clips import ink_covered
from tests.overlap import iou

Picture = NDArray[np.uint8]
Ink = NDArray[np.bool_]

WIDTH, HEIGHT = 640, 360


@pytest.fixture(scope="module")
def detector() -> TextDetector:
    if not weights.is_installed(weights.cards()[TextDetector.name]):
        pytest.skip("The text model is not installed: run `redact models fetch`")
    return TextDetector()


def written(
    text: str, tall: int, at: tuple[int, int], turn: int = 0, noise: float = 6, levels: int = 80
) -> tuple[Picture, Ink]:
    """Return grey text on noisy grey, its letters so many pixels tall, and where the ink is."""
    stroke = max(1, tall // 12)
    ink = np.zeros((HEIGHT, WIDTH), np.uint8)
    scale = cv2.getFontScaleFromHeight(cv2.FONT_HERSHEY_SIMPLEX, tall, stroke)
    cv2.putText(ink, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, stroke, cv2.LINE_AA)
    turned = cv2.warpAffine(ink, cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), turn, 1), (WIDTH, HEIGHT))
    grey = 100 + turned / 255 * levels + np.random.default_rng(7).normal(0, noise, turned.shape)
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2), turned > 60


@pytest.mark.parametrize(("tall", "at"), [(14, (6, 20)), (14, (460, 350)), (24, (200, 200)), (48, (60, 250))])
def test_text_of_any_size_is_covered_to_its_last_letter(detector: TextDetector, tall: int, at: tuple[int, int]) -> None:
    picture, ink = written("CAM 07 03:12:55", tall, at)
    assert ink_covered(detector.detect(picture, 3, [Look(WIDTH)]), ink) == 1


@pytest.mark.parametrize("turn", [45, 90, 180])
def test_turned_text_is_covered_to_its_last_letter(detector: TextDetector, turn: int) -> None:
    picture, ink = written("CELL BLOCK 7", 24, (220, 190), turn)
    assert ink_covered(detector.detect(picture, 3, [Look(WIDTH)]), ink) == 1


def test_faint_text_in_noise_is_found(detector: TextDetector) -> None:
    picture, ink = written("2026-03-14 03:12:55", 14, (20, 340), noise=14)
    assert ink_covered(detector.detect(picture, 3, [Look(WIDTH)]), ink) == 1


def test_small_letters_in_a_large_picture_are_found(detector: TextDetector) -> None:
    part, ink = written("BZS2739", 12, (300, 200), levels=30)
    picture = np.tile(written("", 12, (0, 0))[0], (4, 4, 1))
    picture[:HEIGHT, :WIDTH] = part
    assert ink_covered(detector.detect(picture, 3, [Look(1280)]), ink) == 0
    assert ink_covered(detector.detect(picture, 3, detector.looks(picture.shape[1])), ink) == 1


def test_most_of_a_picture_with_text_stays_visible(detector: TextDetector) -> None:
    picture, _ = written("CAM 07 03:12:55", 14, (6, 20))
    assert ink_covered(detector.detect(picture, 3, [Look(WIDTH)]), np.ones((HEIGHT, WIDTH), np.bool_)) < 0.05


def test_a_detection_says_what_it_is_and_the_picture_stays_as_it_was(detector: TextDetector) -> None:
    picture, _ = written("CAM 07", 24, (40, 80))
    before = picture.copy()
    seen = detector.detect(picture, 3, [Look(WIDTH)])
    assert (picture == before).all()
    assert {(d.frame, d.label, d.detector, d.angle) for d in seen} == {(3, "text", detector.name, 0)}
    assert all(len(sha256) == 64 for sha256 in detector.models.values())


def test_looks_beside_each_other_see_what_they_see_alone(detector: TextDetector) -> None:
    pictures = [written(text, 24, (40, 80))[0] for text in ("CAM 07", "ROOM 12 A", "07:15")]
    alone = [detector.detect(picture, 0, [Look(320)]) for picture in pictures]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda picture: detector.detect(picture, 0, [Look(320)]), pictures)) == alone


def face_at(x: int, y: int, side: int, angle: int = 0) -> Detection:
    """Return a face of a side around a point."""
    return Detection(3, Box(x - side // 2, y - side // 2, x + side // 2, y + side // 2), "face", 0.9, "eyes", angle)


def test_faint_writing_on_clothes_is_found_below_a_face(detector: TextDetector) -> None:
    picture, ink = written("OKAFOR", 10, (295, 170), levels=20)
    assert ink_covered(detector.detect(picture, 3, detector.looks(WIDTH)), ink) == 0
    looks = detector.looks_near([face_at(320, 72, 56)], WIDTH, HEIGHT)
    assert ink_covered(detector.detect(picture, 3, [*detector.looks(WIDTH), *looks]), ink) == 1


def test_what_the_look_at_the_picture_finds_stays_where_a_chest_shows_nothing(detector: TextDetector) -> None:
    picture, _ = written("CAM 07 03:12:55", 14, (6, 20))
    looks = detector.looks(WIDTH)
    near = detector.looks_near([face_at(400, 100, 48)], WIDTH, HEIGHT)
    assert detector.detect(picture, 3, [*looks, *near]) == detector.detect(picture, 3, looks) != []


@pytest.mark.parametrize(("angle", "x", "y"), [(0, 300, 220), (90, 220, 140), (180, 300, 60), (270, 380, 140)])
def test_a_chest_lies_below_a_face_in_the_turn_in_which_it_was_seen(angle: int, x: int, y: int) -> None:
    chest = chest_of(face_at(300, 140, 40, angle), 3.0, 2.0)
    assert chest.center == pytest.approx((x, y), abs=1)
    assert (chest.width, chest.height) == pytest.approx((120, 80) if angle % 180 else (80, 120), abs=1)


def test_no_chest_is_looked_at_that_the_look_at_the_picture_shows_as_large(detector: TextDetector) -> None:
    (look,) = detector.looks_near([face_at(300, 80, 60)], WIDTH, HEIGHT)
    assert look.within == Box(210, 110, 390, 290)
    assert look.side == pytest.approx(1.6 * 180, abs=1)
    assert detector.looks_near([face_at(300, 80, 80)], WIDTH, HEIGHT) == ()
    assert detector.looks_near([face_at(300, HEIGHT - 4, 40)], WIDTH, HEIGHT) == ()


def test_the_chests_of_a_crowd_take_few_pixels_and_near_ones_come_first(detector: TextDetector) -> None:
    crowd = [face_at(40 * n + 140, 100, 20 + 2 * n) for n in range(10)]
    looks = detector.looks_near(crowd, WIDTH, HEIGHT)
    assert 0 < sum(look.side**2 for look in looks) <= 1.02 * CHEST_PIXELS
    assert len(looks) < len(crowd)
    assert looks[0].within == chest_of(crowd[-1], 3.0, 3.0)


@pytest.mark.parametrize("kind", ["black", "white", "noise", "strong noise"])
def test_nothing_is_text_where_there_is_none(detector: TextDetector, kind: str) -> None:
    spread = {"noise": 10, "strong noise": 60}.get(kind, 0)
    level = {"black": 0, "white": 255}.get(kind, 128)
    picture = np.random.default_rng(5).normal(level, spread, (HEIGHT, WIDTH, 3)).clip(0, 255).astype(np.uint8)
    assert detector.detect(picture, 0, [Look(WIDTH)]) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (200, 1), (33, 31), (161, 97)])
def test_pictures_of_any_size_are_looked_at(detector: TextDetector, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(5).integers(0, 256, (*size, 3)).astype(np.uint8)
    for seen in detector.detect(
        picture, 0, [Look(1), Look(160), Look(97, 90), Look(96, 45, within=Box(-4, 3, 30, 20))]
    ):
        assert 0 <= seen.score <= 1


def test_a_line_grows_over_its_rim_and_further_at_its_ends() -> None:
    likely = np.zeros((200, 400), np.float32)
    likely[100:108, 100:300] = 0.9
    ((x0, y0, x1, y1, score),) = lines(likely, np.ones_like(likely))
    assert y0 < 92
    assert y1 > 116
    assert x0 < y0
    assert x1 > 300 + y1 - 108
    assert score == pytest.approx(0.9, abs=1e-4)


def test_what_is_as_high_as_long_has_no_ends() -> None:
    likely = np.zeros((200, 400), np.float32)
    likely[80:120, 180:220] = 0.9
    ((x0, y0, x1, y1, _),) = lines(likely, np.ones_like(likely))
    assert 180 - x0 == pytest.approx(80 - y0)
    assert 0.4 * 40 < 80 - y0 < 0.55 * 40
    assert (x1 - 220, y1 - 120) == pytest.approx((180 - x0, 80 - y0))


def test_what_is_as_high_as_walls_are_is_no_line() -> None:
    likely = np.zeros((200, 400), np.float32)
    likely[50:150, 50:350] = 0.9
    assert len(lines(likely, np.ones_like(likely))) == 0


@pytest.mark.parametrize(("tall", "kept"), [(BARE_HEIGHT + 2, 0), (BARE_HEIGHT - 4, 1)])
def test_what_does_not_change_is_no_line_unless_it_is_small(tall: int, kept: int) -> None:
    likely = np.zeros((200, 400), np.float32)
    likely[100 : 100 + tall, 100:300] = 0.9
    bare = np.full((200, 400, 3), 120, np.uint8)
    bare[:, 310:] = 30  # the edge of a post beside it
    assert len(lines(likely, change_of(bare))) == kept
    stroke = bare.copy()
    stroke[98 : 102 + tall, 98:302] = 200  # a dash, as thick as the middle and a little more
    assert len(lines(likely, change_of(stroke))) == 1


def test_lines_aslant_beside_each_other_all_stay_covered() -> None:
    likely = np.zeros((300, 300), np.float32)
    for shift in (0, 24, 48):
        cv2.line(likely, (60 + shift, 60), (200 + shift, 200), 0.9, 4)
    (row,) = lines(likely, np.ones_like(likely))
    rows, columns = np.nonzero(likely)
    assert row[0] < columns.min()
    assert row[1] < rows.min()
    assert row[2] > columns.max()
    assert row[3] > rows.max()


@given(st.lists(st.tuples(*[st.integers(0, 40)] * 2, *[st.integers(1, 40)] * 2, st.floats(0, 1)), max_size=8))
def test_joining_uncovers_nothing_and_leaves_nothing_that_would_pass_for_another(
    given_rows: list[tuple[int, int, int, int, float]],
) -> None:
    rows = np.array([(x, y, x + w, y + h, score) for x, y, w, h, score in given_rows], np.float64).reshape(-1, 5)
    kept = [Box(*(int(v) for v in row[:4])) for row in joined(rows)]
    assert all(any(box.contains(Box(*(int(v) for v in row[:4]))) for box in kept) for row in rows)
    assert all(iou(a, b) < SAME_IOU for n, a in enumerate(kept) for b in kept[:n])


def test_what_one_look_sees_of_a_line_does_not_take_the_place_of_the_whole_of_it() -> None:
    whole, part = Box(100, 100, 300, 130), Box(180, 98, 330, 131)
    lower, other = Box(100, 200, 300, 230), Box(400, 100, 500, 130)
    seen = [Detection(3, box, "text", score, "eyes") for box, score in
            ((whole, 0.6), (part, 0.9), (lower, 0.5), (other, 0.8))]  # fmt: skip
    found = united(seen)
    assert [(d.box, d.score) for d in found] == [(Box(100, 98, 330, 131), 0.9), (other, 0.8), (lower, 0.5)]
    assert united([]) == []


def test_a_line_that_reaches_beyond_a_chest_is_covered_to_its_last_letter(detector: TextDetector) -> None:
    for n, tall in enumerate((12, 14, 18, 24)):
        picture, ink = written("PRISON HOSPITAL WARD", tall, (150, 200), noise=0)
        left, right = (int(v) for v in np.nonzero(ink.any(axis=0))[0][[0, -1]])
        for at in (left, (left + right) // 2 - 60, right - 120):
            looks = [Look(WIDTH), Look(240, within=Box(at, 140, at + 120, 260))]
            assert ink_covered(detector.detect(picture, n, looks), ink) == 1

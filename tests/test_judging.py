"""What a detector of faces was not sure of is shown to another model, which is not there to find faces itself."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from redact import detectors, weights
from redact.detectors import AskedDetector
from redact.detectors.faces import CenterFace
from redact.detectors.judging import ANCHORS, MODEL, SHOWN, TURNS, Judged, crop, decode, stretch
from redact.geometry import Box
from redact.plan import Detection, Settings
from redact.tracking import IS_FACE
from tests.clips import FACE, portrait
from tests.fakes import FakeDetector

SIDE = 320
PLACE = Box(FACE[0], FACE[1], FACE[0] + FACE[2], FACE[1] + FACE[3])


def maps(side: int) -> list[np.ndarray]:
    """Return the maps of a picture in which nothing is a face."""
    sizes = [side // stride for stride in ANCHORS]
    scores = [np.tile(np.float32([[[[9]], [[-9]], [[9]], [[-9]]]]), (1, 1, n, n)) for n in sizes]
    return [*(np.zeros((1, 8, n, n), np.float32) for n in sizes), *scores]


def test_maps_are_decoded_to_boxes_around_their_anchors() -> None:
    given = maps(64)
    row, column, anchor = 1, 2, 1  # of stride 16: 128 pixels
    given[1][0, 4 * anchor : 4 * anchor + 4, row, column] = (0.5, -0.25, math.log(2) / 0.2, 0)
    given[4][0, 2 * anchor : 2 * anchor + 2, row, column] = (0, math.log(3))
    rows = decode(given)
    assert rows.shape == (2 * (64 + 16 + 4), 5)
    best = rows[rows[:, 4].argmax()]
    x, y = 2.5 * 16 + 0.5 * 0.1 * 128, 1.5 * 16 - 0.25 * 0.1 * 128
    np.testing.assert_allclose(best, (x - 128, y - 64, x + 128, y + 64, 0.75), atol=1e-4)
    assert (np.sort(rows[:, 4])[:-1] < 1e-6).all()


def spots(*places: tuple[int, int]) -> np.ndarray:
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    for x, y in places:
        cv2.circle(picture, (x, y), 6, (255, 255, 255), -1)
    return picture


def spot_in(shown: np.ndarray) -> tuple[float, float]:
    y, x = np.nonzero(shown[..., 0] > 127)
    return float(x.mean()), float(y.mean())


@pytest.mark.parametrize(("angle", "where"), [(0, (80, 40)), (90, (40, 80)), (180, (80, 120)), (-90, (120, 80))])
@pytest.mark.parametrize("size", [30, 80])  # enlarged, and made smaller
def test_a_place_is_shown_in_the_middle_turned_and_brought_to_a_size(
    angle: int, where: tuple[int, int], size: int
) -> None:
    above = 160 - 3 * size // 4
    shown = crop(
        spots((160, above)), Box(160 - size // 2, 160 - size // 2, 160 + size // 2, 160 + size // 2), 3, 160, angle
    )
    assert shown.shape == (160, 160, 3)
    assert spot_in(shown) == pytest.approx(where, abs=1.5)


def test_beyond_the_picture_its_edge_goes_on() -> None:
    white = np.full((60, 60, 3), 255, np.uint8)
    for box in (Box(-20, -20, 20, 20), Box(50, 20, 90, 60), Box(200, 200, 240, 240)):
        assert (crop(white, box, 3, 64, 30) == 255).all()


def test_levels_are_spread_out_but_those_of_an_even_surface_only_a_little() -> None:
    ramp = np.tile(np.linspace(90, 110, 100).astype(np.uint8)[:, None], (1, 100, 3)[:2])[..., None].repeat(3, 2)
    shown = stretch(ramp, 0)
    assert np.percentile(shown, [2, 98]) == pytest.approx((15, 235), abs=12)
    even = stretch(np.full((50, 50, 3), 90, np.uint8) + (np.arange(50) % 2).astype(np.uint8)[:, None], 0)
    assert np.ptp(even) <= 220 / 12 + 1


class Answering:
    """A model that gives these scores, one after the other, to a face of the size that is asked about."""

    def __init__(self, scores: list[float]) -> None:
        self.left = scores
        self.shown: list[np.ndarray] = []

    def run(self, _: object, given: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Return maps with one box in the middle."""
        (batch,) = given.values()
        self.shown.append(batch)
        made, score = maps(batch.shape[2]), self.left.pop(0)
        middle = batch.shape[2] // 32  # of the cells of 16 pixels; the anchor of 64
        made[4][0, :2, middle, middle] = (0, math.log(score / (1 - score)))
        return made


def judge(scores: list[float]) -> tuple[Judged, Answering]:
    made, model = Judged.__new__(Judged), Answering(scores)
    made._session, made._enough = model, IS_FACE  # type: ignore[assignment]
    return made, model


def test_the_first_answer_that_is_enough_is_taken_and_else_the_best() -> None:
    picture, seen = spots(), Detection(0, Box(100, 100, 160, 160), "face", 0.4, "eyes", 90)
    asked, model = judge([0.01, 0.1, 0.5, 0.9])
    assert asked.ask(picture, seen) == pytest.approx(0.5)
    assert model.left == [0.9]
    every = len(SHOWN) * len(TURNS)
    asked, model = judge([0.01, 0.1, *[0.02] * (every - 2)])
    assert asked.ask(picture, seen) == pytest.approx(0.1)
    assert [batch.shape[2] for batch in model.shown] == [side for _, side, _, _ in SHOWN for _ in TURNS]


@pytest.mark.parametrize("box", [Box(0, 0, 60, 60), Box(95, 95, 110, 110), Box(0, 0, 320, 320)])
def test_what_is_found_elsewhere_or_in_another_size_is_no_answer(box: Box) -> None:
    asked, model = judge([])
    made = maps(160)
    x, y = (v / 2 for v in box.center)
    for stride, places, scores in zip(ANCHORS, made[:3], made[3:], strict=True):
        cell, size = (int(y // stride), int(x // stride)), ANCHORS[stride][0]
        places[0, 2:4, cell[0], cell[1]] = math.log(box.width / 2 / size) / 0.2
        scores[0, :2, cell[0], cell[1]] = (0, 9)
    model.run = lambda *_: made  # type: ignore[method-assign]
    assert asked._score(np.zeros((160, 160, 3), np.uint8), 160 / 3) < 0.01


def test_without_the_weights_nothing_is_asked_and_faces_are_found_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeDetector([])
    fake.name = "centerface"
    assert detectors._judged([fake], tmp_path) == [fake]
    assert not isinstance(fake, AskedDetector)
    monkeypatch.setattr(weights, "is_installed", lambda card, folder=None: card.id == MODEL)
    monkeypatch.setattr("redact.detectors.judging.Judged", lambda detector, folder: (detector, folder))
    assert detectors._judged([fake, FakeDetector([])], tmp_path)[0] == (fake, tmp_path)


def test_the_card_says_the_score_that_is_in_force() -> None:
    assert weights.cards()[MODEL].thresholds.start == IS_FACE


# The real weights, where they are installed


@pytest.fixture(scope="module")
def real() -> Judged:
    if not all(weights.is_installed(weights.cards()[name]) for name in ("centerface", MODEL)):
        pytest.skip("the weights are not installed: run `redact models fetch`")
    (found,) = (d for d in detectors.load_detectors(Settings(cover=("face",))) if isinstance(d, Judged))
    return found


def dark(picture: np.ndarray) -> np.ndarray:
    return (picture * 0.12).astype(np.uint8)


def noisy(picture: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 30, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("change", [np.asarray, dark, noisy])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_face_is_one_to_the_model_however_it_is_turned_and_lit(real: Judged, quarters: int, change: object) -> None:
    picture = portrait(1.0)
    turned = np.ascontiguousarray(np.rot90(picture, -quarters))  # clockwise: turning it back is counter-clockwise
    place = np.zeros(picture.shape[:2], np.uint8)
    place[PLACE.y0 : PLACE.y1, PLACE.x0 : PLACE.x1] = 1
    x, y, w, h = cv2.boundingRect(np.ascontiguousarray(np.rot90(place, -quarters)))
    seen = Detection(0, Box(x, y, x + w, y + h), "face", 0.4, "centerface", 90 * quarters)
    assert real.ask(change(turned), seen) >= IS_FACE  # type: ignore[operator]


def test_a_pattern_is_none_to_the_model(real: Judged) -> None:
    lens = np.full((SIDE, SIDE, 3), 140, np.uint8)
    for radius, level in ((60, 40), (45, 90), (30, 20), (8, 220)):
        cv2.circle(lens, (160, 160), radius, (level,) * 3, -1)
    seen = Detection(0, Box(100, 100, 220, 220), "face", 0.4, "centerface")
    assert real.ask(lens, seen) < IS_FACE


def test_both_models_stand_in_the_plan(real: Judged) -> None:
    assert isinstance(real, AskedDetector)
    assert set(real.models) == {"centerface", MODEL}
    assert real.models["centerface"] == CenterFace().models["centerface"]

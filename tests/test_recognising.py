"""What looks at faces finds the one that is meant, however it is turned, and says nothing where it cannot."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from redact import weights
from redact.detectors import recognising
from redact.detectors.recognising import MODEL, Recogniser
from redact.geometry import Box
from redact.likeness import align, distance
from redact.review.grouping import OTHER_FACE, SAME_FACE
from tests.clips import FACE, Picture, portrait, textured_background
from tests.test_dlib_networks import layers, write

HOME = 120, 90  # where the portrait is put


def scene(zoom: float = 1.0, turns: int = 0) -> tuple[Picture, Box]:
    """Return a picture with a face, turned by quarters counter-clockwise, and the box of that."""
    face = portrait(zoom)
    picture = textured_background(400, 400)
    x, y = HOME
    picture[y : y + face.shape[0], x : x + face.shape[1]] = face
    x, y, w, h = (round(zoom * value) for value in FACE)
    box = Box(HOME[0] + x, HOME[1] + y, HOME[0] + x + w, HOME[1] + y + h)
    for _ in range(turns):
        box = Box(box.y0, 400 - box.x1, box.y1, 400 - box.x0)
    return np.ascontiguousarray(np.rot90(picture, turns)), box


@pytest.fixture
def recogniser(monkeypatch: pytest.MonkeyPatch, real_weights: None) -> Recogniser:
    """One whose network is a small one of random weights."""
    from redact.dlib_networks import translate_dlib

    genuine, small = weights.load, translate_dlib(write(*layers()))
    monkeypatch.setattr(weights, "load", lambda card, folder=None: small if card == MODEL else genuine(card, folder))
    return Recogniser()


@pytest.mark.parametrize("turns", range(4))
def test_a_face_gives_nearly_the_same_vector_upright_and_lying(recogniser: Recogniser, turns: int) -> None:
    upright, lying = (recogniser.look(*scene(turns=n)) for n in (0, turns))
    picture, box = scene()
    other = recogniser.look(np.asarray(cv2.convertScaleAbs(picture, alpha=0.5), np.uint8), box)
    assert upright
    assert lying
    assert other
    assert distance(upright.vector, lying.vector) < 0.2 * distance(upright.vector, other.vector)


def test_the_points_of_a_face_are_in_their_order_and_in_its_box(recogniser: Recogniser) -> None:
    picture, box = scene()
    points = recogniser.find(picture, box)
    assert points is not None
    assert (points > (box.x0, box.y0)).all()
    assert (points < (box.x1, box.y1)).all()
    assert points[0, 0] < points[2, 0] < points[1, 0]
    assert max(points[:2, 1]) < points[2, 1] < min(points[3:, 1])
    assert align(points)[1] < 6


def test_nothing_is_said_of_a_small_face_of_none_and_of_a_neighbours(recogniser: Recogniser) -> None:
    assert recogniser.look(*scene()) is not None
    assert recogniser.look(*scene(0.25)) is None
    assert recogniser.look(textured_background(400, 400), scene()[1]) is None
    picture, box = scene()
    beside = Box(box.x0 + 12, box.y0 + 12, box.x1 + 12, box.y1 + 12)
    assert recogniser.look(picture, beside) is not None
    assert recogniser.look(picture, beside, [box]) is None


def test_without_the_weights_nobody_looks_and_damaged_ones_are_as_good_as_none(tmp_path: Path) -> None:
    assert recognising.load(tmp_path) is None
    card = weights.cards()[MODEL]
    (tmp_path / card.run_file).write_bytes(b"x")
    (tmp_path / card.run_file).with_suffix(".json").write_text(
        f'{{"original_sha256": "{card.sha256}", "bytes": 1, "sha256": "{"0" * 64}"}}'
    )
    assert weights.is_installed(card, tmp_path)
    assert recognising.load(tmp_path) is None


def test_the_card_has_the_limits_that_rows_are_made_with() -> None:
    limits = weights.cards()[MODEL].thresholds
    assert (limits.start, limits.keep) == pytest.approx((1 - SAME_FACE, 1 - OTHER_FACE))


def test_one_face_stays_itself_in_other_sizes_turned_and_in_bad_light(real_weights: None) -> None:
    if not weights.is_installed(weights.cards()[MODEL]):
        pytest.skip(f"the weights {MODEL} are not installed")
    recogniser = Recogniser()
    picture, box = scene()
    dark = np.asarray(cv2.convertScaleAbs(picture, alpha=0.5), np.uint8)
    looks = [recogniser.look(*shown) for shown in ((picture, box), scene(0.8), scene(turns=1), (dark, box))]
    vectors = [look.vector for look in looks if look]
    assert len(vectors) == len(looks)
    assert all(distance(vectors[0], vector) < SAME_FACE for vector in vectors)

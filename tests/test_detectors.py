"""The contract that every detector keeps."""

from __future__ import annotations

import numpy as np
import pytest

from redact import detectors
from redact.detectors import Detector
from redact.detectors.looks import Look
from redact.geometry import Box, iou
from redact.plan import LABELS
from tests.clips import moving_portrait, textured_background
from tests.fakes import FakeDetector

CHEAP = (Look(480), Look(832))
LOOKS = (Look(480), Look(64, 45), Look(96, 270, mirrored=True), Look(64, 135, within=Box(-4, 3, 30, 20)))


@pytest.fixture(params=["fake", "real"])
def detector(request: pytest.FixtureRequest) -> Detector:
    if request.param == "fake":
        return FakeDetector([face for _, face in moving_portrait(4)])
    request.getfixturevalue("real_weights")
    return detectors.load_detectors()[0]


def test_a_detector_finds_the_portrait_in_every_frame(detector: Detector) -> None:
    for n, (picture, face) in enumerate(moving_portrait(4)):
        assert face is not None
        x, y, w, h = face
        before = picture.copy()
        seen = detector.detect(picture, n, CHEAP)
        assert max(iou(d.box, Box(x, y, x + w, y + h)) for d in seen) > 0.4
        assert (picture == before).all()
        assert seen == detector.detect(picture, n, CHEAP)
        for d in seen:
            assert d.frame == n
            assert d.detector == detector.name
            assert d.label in detector.labels


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (40, 1500), (1500, 40), (33, 31)])
def test_a_detector_takes_pictures_of_any_size(detector: Detector, size: tuple[int, int]) -> None:
    for d in detector.detect(np.zeros((*size, 3), np.uint8), 99, LOOKS):
        assert 0 <= d.score <= 1


def test_a_detector_says_what_it_is(detector: Detector) -> None:
    assert detector.name
    assert set(detector.labels) <= set(LABELS)
    assert all(len(sha256) == 64 for sha256 in detector.models.values())


def test_a_detector_is_not_sure_of_anything_where_nothing_is(detector: Detector) -> None:
    assert all(d.score < 0.5 for d in detector.detect(textured_background(480, 360), 99, CHEAP))

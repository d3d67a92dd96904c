"""The detector of exposed parts of bodies. No picture of any is needed: its output is made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from redact import weights
from redact.detectors.bodies import CLASSES, EXPOSED, SCORE_FLOOR, SIDE, BodyDetector, decode
from redact.detectors.looks import Look, see
from redact.geometry import Box
from redact.plan import Detection
from tests.clips import portrait

LOOK = Look(SIDE)
TURNED = (Look(64, 90), Look(96, 270, mirrored=True), Look(64, 45, within=Box(-4, 3, 30, 20)))


@pytest.fixture(scope="module")
def detector() -> BodyDetector:
    if not weights.is_installed(weights.cards()[BodyDetector.name]):
        pytest.skip("NudeNet is not installed: run `redact models fetch nudenet-320n`")
    return BodyDetector()


def output(*boxes: tuple[tuple[float, float, float, float], dict[int, float]]) -> NDArray[np.float32]:
    """Return an output with these boxes, each with the scores of some classes, and with empty ones between them."""
    columns = np.zeros((4 + len(CLASSES), 3 * len(boxes) + 1), np.float32)
    for n, ((x0, y0, x1, y1), scores) in enumerate(boxes):
        columns[:4, 3 * n + 1] = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0
        for kind, score in scores.items():
            columns[4 + kind, 3 * n + 1] = score
    return columns


def test_the_classes_that_count_are_the_exposed_ones_of_upstream() -> None:
    assert len(CLASSES) == 18
    assert sorted(EXPOSED) == [2, 3, 4, 6, 14]


@pytest.mark.parametrize("kind", range(18))
def test_only_exposed_parts_are_found(kind: int) -> None:
    found = decode(output(((20, 30, 60, 90), {kind: 0.8})))
    assert len(found) == (kind in EXPOSED)
    assert found == pytest.approx(np.array([[20, 30, 60, 90, 0.8]] * len(found)).reshape(-1, 5), abs=0.01)


def test_parts_are_found_best_first_and_each_once() -> None:
    found = decode(
        output(
            ((20, 30, 60, 90), {2: 0.3}),
            ((200, 30, 260, 90), {14: 0.9}),
            ((22, 31, 61, 92), {3: 0.6}),
        )
    )
    assert found == pytest.approx(np.array([[200, 30, 260, 90, 0.9], [22, 31, 61, 92, 0.6]]), abs=0.01)


def test_a_part_that_is_likelier_covered_is_still_found() -> None:
    assert decode(output(((20, 30, 60, 90), {16: 0.9, 3: 0.4})))[:, 4] == pytest.approx([0.4])


@pytest.mark.parametrize(("score", "found"), [(SCORE_FLOOR + 1e-3, 1), (SCORE_FLOOR - 1e-3, 0), (1.0000001, 1)])
def test_scores_at_the_edges(score: float, found: int) -> None:
    rows = decode(output(((20, 30, 60, 90), {4: score})))
    assert len(rows) == found
    assert (rows[:, 4] <= 1).all()


@settings(deadline=None, max_examples=50)
@given(st.integers(40, 1500), st.integers(40, 1500), st.sampled_from([96, 320, 416]), st.data())
def test_a_box_comes_back_to_where_it_was_in_the_picture(
    width: int, height: int, side: int, data: st.DataObject
) -> None:
    x0, y0 = data.draw(st.floats(0, 0.6)) * width, data.draw(st.floats(0, 0.6)) * height
    x1, y1 = x0 + max(8, 0.3 * width), y0 + max(8, 0.3 * height)

    def find(shown: NDArray[np.uint8]) -> NDArray[np.float64]:
        fx, fy = shown.shape[1] / width, shown.shape[0] / height
        return decode(output(((x0 * fx, y0 * fy, x1 * fx, y1 * fy), {6: 0.9})))

    def kind(row: NDArray[np.float64], _: Look) -> Detection:
        assert row[:4] == pytest.approx([x0, y0, x1, y1], abs=1)
        return Detection(0, Box.outward(*(float(v) for v in row[:4])), "nudity", float(row[4]), "test", 0)

    assert len(see(find, np.zeros((height, width, 3), np.uint8), [Look(side)], kind)) == 1


def test_a_clothed_person_is_not_surely_nude(detector: BodyDetector) -> None:
    assert all(d.score < 0.3 for d in detector.detect(portrait(), 0, [LOOK]))

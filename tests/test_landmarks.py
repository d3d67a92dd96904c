"""The bench of face landmarks measures what it says: shapes that hold face and hair, and what they spare."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench import landmarks
from bench.leakmeter import Face
from tests.clips import moving_portrait, write_clip

FACE = Face(0, None, 100, 80, 60, 80)
POINTS = np.full((478, 2), (130.0, 120.0))
POINTS[landmarks.TOP], POINTS[landmarks.CHIN] = (130, 84), (130, 156)


def test_a_fitted_shape_holds_label_landmarks_and_hair_and_grows_with_its_margin() -> None:
    points = POINTS.copy()
    points[0] = 180, 120
    tight, wide = (landmarks.fitted(points, FACE, margin, 320, 240) for margin in (0.0, 0.2))
    assert tight[80:160, 100:160].all()
    assert tight[120, 178]
    assert tight[70, 130]
    assert not tight[60, 130]
    assert wide[tight].all()
    assert wide[60, 130]
    assert wide.sum() > tight.sum()


def test_only_large_faces_of_whose_landmarks_the_model_is_sure_are_fitted(tmp_path: Path) -> None:
    clip = tmp_path / "made.mp4"
    write_clip(clip, (picture for picture, _ in moving_portrait(4, 320, 240)))
    (tmp_path / "made.faces.csv").write_text(
        "frame,x,y,w,h\n0,100,80,60,80\n2,100,80,60,80\n2,10,10,20,20\n3,9,9,99,99\n"
    )

    class Model(landmarks.Landmarks):
        def __init__(self, sure: bool) -> None:
            self.sure = sure

        def find(self, picture: object, face: Face) -> landmarks.Points | None:
            return POINTS if self.sure else None

    sure, unsure = (landmarks.measure(clip, 2, Model(known)) for known in (True, False))
    assert (sure.large, sure.sure, unsure.large, unsure.sure) == (2, 2, 2, 0)
    assert unsure.fitted == pytest.approx((0, 0, 0))
    assert sure.bound == unsure.bound > sure.fitted[0] > sure.fitted[2] >= 0
    alone = landmarks.ellipse(FACE, 320, 240).mean()
    assert sure.covered == pytest.approx(
        (2 * alone + landmarks.ellipse(Face(2, None, 10, 10, 20, 20), 320, 240).mean()) / 2
    )
    assert "| mean of 1 | 2 | 2 |" in landmarks.table({"made": sure})

"""The main job, with the real detector, as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from redact.media import FrameReader
from tests.clips import moving_portrait, write_clip


def structure(picture: np.ndarray) -> np.ndarray:
    """Return what makes a face: the differences between neighbouring pixels, of its middle."""
    grey = picture.astype(np.float64).mean(axis=2)
    return np.asarray(np.diff(grey, axis=0)[:, 1:] + np.diff(grey, axis=1)[1:])


@pytest.mark.usefixtures("real_weights")
@pytest.mark.parametrize("size", [0.25, 0.9])
def test_the_face_is_gone_in_every_frame_and_the_rest_is_there(size: float, tmp_path: Path) -> None:
    frames = list(moving_portrait(20, 480, 270, size, hidden=(10, 11)))
    clip = write_clip(tmp_path / "clip.mp4", (picture for picture, _ in frames))
    copy = tmp_path / "copy.mp4"
    command = [sys.executable, "-m", "redact", "run", str(clip), "-o", str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", f"{copy}\n")
    with FrameReader(clip) as source, FrameReader(copy) as covered:
        for (_, face), a, b in zip(frames, source, covered, strict=True):
            if face:
                x, y, w, h = face
                before, after = (structure(f.picture[y : y + h, x : x + w]) for f in (a, b))
                assert (before * after).sum() / (before * before).sum() < 0.1
            assert np.abs(a.picture[-40:].astype(int) - b.picture[-40:]).mean() < 4

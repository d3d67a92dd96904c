"""Trees of small clips, and detectors for them that other processes can make."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from redact.detectors.looks import Look
from redact.plan import Detection
from tests.clips import moving_portrait, write_clip
from tests.fakes import FakeDetector

FRAMES = 6
WIDTH, HEIGHT = 160, 120


def faces_of(frames: int = FRAMES) -> list[tuple[int, int, int, int] | None]:
    """Return where the face is in each frame of a small clip."""
    return [face for _, face in moving_portrait(frames, WIDTH, HEIGHT, 0.3)]


def write_small(path: Path, shade: int = 0, frames: int = FRAMES, **how: Any) -> Path:
    """Write a small clip; another shade is another clip with the face in the same places.

    Args:
        path: its suffix chooses the container.
        shade: how much darker the lightest parts are.
        frames: how many.
        how: further arguments of `write_clip`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = (picture for picture, _ in moving_portrait(frames, WIDTH, HEIGHT, 0.3))
    return write_clip(path, (np.minimum(picture, 255 - shade).astype(np.uint8) for picture in shown), **how)


def load_fake(*_: object) -> list[FakeDetector]:
    """Return a detector that knows where the face is."""
    return [FakeDetector(faces_of())]


class SlowDetector(FakeDetector):
    """Takes its time."""

    def detect(self, picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Wait, and see the face."""
        time.sleep(0.5)
        return super().detect(picture, frame, looks)


def load_slow(*_: object) -> list[FakeDetector]:
    """Return a detector that takes its time."""
    return [SlowDetector(faces_of())]


class DyingDetector(FakeDetector):
    """Ends its whole process at pictures without light, as a decoder or a model with a bug would."""

    def detect(self, picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Die, or see the face."""
        if picture.max() < 40:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().detect(picture, frame, looks)


def load_dying() -> list[FakeDetector]:
    """Return a detector that dies of dark clips."""
    return [DyingDetector(faces_of())]

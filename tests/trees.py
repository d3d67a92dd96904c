"""Trees of small clips, and detectors for them that other processes can make."""

from __future__ import annotations

import os
import signal
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from redact.detectors.looks import Look
from redact.plan import Detection
from tests.clips import moving_portrait, write_clip
from tests.fakes import FakeDetector

FRAMES, LONG = 6, 40
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


class Witness(FakeDetector):
    """Writes down what it looks at, and ends its whole process once, in the middle of a clip.

    Args:
        notes: a folder for what it writes, which other processes have as well.
        deadly: the frame at which it dies; None for none.
    """

    def __init__(self, notes: Path, deadly: int | None) -> None:
        super().__init__(faces_of(LONG))
        self._notes, self._deadly = notes, deadly

    def detect(self, picture: np.ndarray, frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Note the look, and die or see the face."""
        line = f"{zlib.crc32(picture.tobytes())} {frame} {zlib.crc32(repr(looks).encode())} {os.getpid()}\n"
        with (self._notes / "looks").open("a") as file:
            file.write(line)
        if frame == self._deadly:
            with suppress(FileExistsError):
                (self._notes / "died").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
        return super().detect(picture, frame, looks)


def load_witness(notes: Path, deadly: int | None = None) -> list[FakeDetector]:
    """Return a detector that writes down what it looks at."""
    return [Witness(notes, deadly)]


def load_other(notes: Path) -> list[FakeDetector]:
    """Return a detector that knows where the face is; in a second process, one with another model."""
    (detector,) = load_fake()
    try:
        (notes / "loaded").touch(exist_ok=False)
    except FileExistsError:
        detector.models = {"fake": "1" * 64}
    return [detector]

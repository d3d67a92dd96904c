"""Cover red signs as well, by a detector of one's own.

python examples/own_detector.py CLIP OUT
"""

import sys
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from redact import Box, Detection, Outcome, Settings, run
from redact.detectors import load_detectors
from redact.detectors.looks import Look


class SignDetector:
    """Finds red areas, as text."""

    name = "signs"
    labels: tuple[str, ...] = ("text",)
    models: Mapping[str, str] = {"signs": "1"}  # what decides what it sees: a plan is made anew when it changes
    every_s = Fraction(8, 25)  # seconds from one look to the next; 0 for every frame

    def __init__(self, weights_folder: Path | None = None) -> None:
        pass

    def looks(self, side: int) -> tuple[Look, ...]:
        """Return how it wants a picture to be shown."""
        return (Look(min(side, 640)),)

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the red areas of a picture."""
        hue, strong, bright = cv2.split(cv2.cvtColor(picture, cv2.COLOR_BGR2HSV))
        red = ((hue < 8) | (hue > 172)) & (strong > 150) & (bright > 90)
        _, _, parts, _ = cv2.connectedComponentsWithStats(red.astype("uint8"))
        large = [(int(x), int(y), int(w), int(h)) for x, y, w, h, area in parts[1:] if area > 400]
        return [Detection(frame, Box(x, y, x + w, y + h), "text", 0.9, self.name) for x, y, w, h in large]


def main(clip: str, out: str) -> Outcome:
    """Redact a clip with the detectors that are installed and this one."""
    settings = Settings()
    return run(clip, out, settings, detectors=[*load_detectors(settings), SignDetector()])


if __name__ == "__main__":
    print(main(sys.argv[1], sys.argv[2]).copy)

"""What happens to the picture as a whole: where a new scene begins, and how the camera moves."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from redact.resizing import at_most
from redact.sightings import Timeline

THUMBNAIL = 64, 36  # width and height at which frames are compared to find cuts
CUT_LEVELS = 25.0  # mean difference of two thumbnails, of 255, from which there may be a cut
CUT_FACTOR = 4.0  # and how many times the difference of the frames before it must be
BACK_S = Fraction(1)  # within which a scene may come back after a flash, a black or a broken picture: it went on then
BACK_LEVELS = 6.0  # mean difference of two thumbnails up to which a picture is of the same scene, by a still camera
AFTER_CUT = 0.5  # of a cut's difference counts as usual after it: a camera too fast to measure is no cut at every frame

CAMERA_SIDE = 320  # longer side in pixels of the pictures in which the camera's motion is measured
CAMERA_GRID = 12, 8  # points across and down
CAMERA_WINDOW = 15, 15  # pixels around a point that are compared
CAMERA_ERROR = 1.0  # pixels by which a point may differ from the motion of the whole, there and back
FLAT_LEVELS = 8  # between the darkest and the brightest pixel: nothing can be told from less
SHIFT_RESPONSE = 0.2  # from which two pictures are one shifted: cuts gave 0.11 at most, jerks with blur 0.22 at least
CAMERA_SHARE = 0.4  # of the points that must move together; else the camera counts as still


def to_thumbnail(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture so small that only what changes much still shows."""
    return np.asarray(cv2.resize(picture, THUMBNAIL, interpolation=cv2.INTER_AREA), np.uint8)


class Scene:
    """Measures how the camera moves from frame to frame, or tells that a new scene begins.

    The motion is a shift, turn and zoom of the picture as a whole.

    Points on a grid are followed by Lucas-Kanade flow and back; the motion is the one that most of those that return
    share (RANSAC; Fischler and Bolles, 1981).

    Args:
        cuts_only: measure the motion only where there may be a cut, which takes a third of the time.
    """

    def __init__(self, cuts_only: bool = False) -> None:
        self._cuts_only = cuts_only
        self.grey: NDArray[np.uint8] | None = None  # the last picture, small
        self._factor = 1.0  # how small
        self._usual = 0.0

    def show(self, picture: NDArray[np.uint8]) -> tuple[NDArray[np.float64], bool]:
        """Return how the camera moved, and whether this picture, the next in order, begins a new scene.

        The first is the map (2, 3) that brings points of the picture before into this one, in pixels of the picture; it
        changes nothing where no motion of the whole can be told, or none is measured.
        """
        self._factor = min(1.0, CAMERA_SIDE / max(picture.shape[:2]))
        grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
        before, self.grey = self.grey, at_most(grey, CAMERA_SIDE)
        if before is None:
            return np.eye(2, 3), False
        change = _change(before, self.grey)
        may_be = change > max(CUT_LEVELS, CUT_FACTOR * self._usual)
        moved = None if self._cuts_only and not may_be else _motion(before, self.grey)
        cut = may_be and moved is None
        self._usual = max(AFTER_CUT * change if cut else change, 0.8 * self._usual)
        return self._in_pixels(moved), cut

    def moved_since(self, before: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """Return how the camera moved from an earlier small picture to the last, or None where they are of two scenes.

        That two pictures are one shifted is not believed here: of dark ones with a lamp it is said soon.
        """
        if self.grey is None or before.shape != self.grey.shape:
            return None
        moved = _shared_motion(before, self.grey)
        same = moved is not None or _change(before, self.grey) <= BACK_LEVELS
        return self._in_pixels(moved) if same else None

    def _in_pixels(self, moved: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """Return a motion in pixels of the picture; none where it is not known."""
        if moved is None:
            return np.eye(2, 3)
        moved[:, 2] /= self._factor
        return moved


def _change(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """Return the mean difference of the thumbnails of two pictures, of 255."""
    return float(cv2.absdiff(to_thumbnail(before), to_thumbnail(after)).mean())


def _motion(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """Return the map (2, 3) of points from one small grey picture to the next, or None where they are of two scenes."""
    moved = _shared_motion(before, after)
    return _shared_shift(before, after) if moved is None else moved


def _shared_motion(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """Return the map (2, 3) of points from one small grey picture to the next, or None where they share none."""
    tall, wide = after.shape
    if min(tall, wide) < 2 * CAMERA_GRID[0]:
        return None
    x, y = (np.linspace(0.05 * n, 0.95 * n, count) for n, count in zip((wide, tall), CAMERA_GRID, strict=True))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float32)
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, grid, grid.copy(), winSize=CAMERA_WINDOW)
    back, returned, _ = cv2.calcOpticalFlowPyrLK(after, before, there, there.copy(), winSize=CAMERA_WINDOW)
    good = (found[:, 0] > 0) & (returned[:, 0] > 0) & (np.linalg.norm(back - grid, axis=1) < CAMERA_ERROR)
    if good.sum() < CAMERA_SHARE * len(grid):
        return None
    moved, shared = cv2.estimateAffinePartial2D(grid[good], there[good], ransacReprojThreshold=CAMERA_ERROR)
    enough = moved is not None and shared.sum() >= CAMERA_SHARE * len(grid)
    return np.asarray(moved, np.float64) if enough else None


def _shared_shift(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """Return the map (2, 3) that shifts one small grey picture to the next, or None where they are of two scenes.

    Phase correlation (Kuglin and Hines, 1975) holds in blurred pictures and where points jump too far to be followed.
    """
    if min(after.shape) < 2 * CAMERA_GRID[0] or np.ptp(after) < FLAT_LEVELS:
        return None
    window = cv2.createHanningWindow(after.shape[::-1], cv2.CV_32F)
    (x, y), response = cv2.phaseCorrelate(before.astype(np.float32), after.astype(np.float32), window)
    return np.array([[1, 0, x], [0, 1, y]], np.float64) if response >= SHIFT_RESPONSE else None


@dataclass(frozen=True)
class _Left:
    """A scene that was left a moment ago: the frame that did so, when, and the small picture before it."""

    frame: int
    time: Fraction
    grey: NDArray[np.uint8]


class Clock:
    """Makes the time line of frames that are shown to it in order.

    A scene that comes back at once has gone on: nothing is covered across a cut, and one black picture must not end the
    cover of whoever was seen before it.

    Args:
        cuts_only: as for `Scene`; the camera of the time line then stands still.
    """

    def __init__(self, cuts_only: bool = False) -> None:
        self._scene = Scene(cuts_only)
        self._first = 0
        self._times: list[Fraction] = []
        self._cuts: list[int] = []
        self._camera: list[tuple[float, ...]] = []
        self._left: list[_Left] = []

    def show(self, picture: NDArray[np.uint8], frame: int, time: Fraction) -> bool:
        """Take the next frame; return whether it seems to begin a scene. That may turn out to be wrong later."""
        before = self._scene.grey
        camera, cut = self._scene.show(picture)
        if not self._times:
            self._first = frame
        self._left = [left for left in self._left if time - left.time <= BACK_S]
        back = self._come_back()
        if back is not None:
            camera = back
        elif cut and before is not None:
            self._cuts.append(frame)
            self._left.append(_Left(frame, time, before))
        self._times.append(time)
        moved = tuple(round(float(v), 6) for v in camera.flat)
        same = bool(self._camera) and self._camera[-1] == moved  # a camera that stands takes the room of one motion
        self._camera.append(self._camera[-1] if same else moved)
        return cut

    def _come_back(self) -> NDArray[np.float64] | None:
        """Take back that a scene was left, if the last picture is of it; return how the camera moved meanwhile."""
        for n, left in enumerate(self._left):
            moved = self._scene.moved_since(left.grey)
            if moved is not None:
                self._left = self._left[:n]
                self._cuts = [cut for cut in self._cuts if cut < left.frame]
                at = left.frame - self._first
                self._camera[at:] = [tuple(np.eye(2, 3).flat)] * (len(self._camera) - at)
                return moved
        return None

    @property
    def timeline(self) -> Timeline:
        """The frames so far."""
        return Timeline(self._first, tuple(self._times), tuple(self._cuts), tuple(self._camera))

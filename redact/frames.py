"""Single frames of an excerpt as its copy will show them, by their index: for the person who reviews.

They are covered by the code that renders. What is under a cover is shown for one region at a time, grey and dark.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from redact import edits
from redact.effects import Coverer
from redact.errors import PlanError, UsageError
from redact.geometry import Box
from redact.media import Frame, hash_file
from redact.plan import Plan
from redact.seeking import FrameSeeker
from redact.sightings import Timeline

Picture = NDArray[np.uint8]

KEPT_BYTES = 48 << 20  # of encoded pictures: a loop of some seconds is made once
QUALITY = 92  # of JPEG
DIMMED = 0.6  # brightness of what is uncovered: enough to recognise, less to bear


class CoveredFrames:
    """Shows frames of an excerpt, covered. For any number of threads, one at a time. A context manager.

    Args:
        clip: the file that a plan was made for.
        plan: any state of it.
        timeline: the frames of its excerpt.

    Raises:
        InputError: the clip cannot be read.
        PlanError: it is not the clip that the plan was made for.
    """

    def __init__(self, clip: Path, plan: Plan, timeline: Timeline) -> None:
        if hash_file(clip) != plan.source.sha256:
            raise PlanError(
                f"The plan was made for another clip than {clip.name}, or the clip has been changed since.",
                "Name the right clip with --clip.",
            )
        self._clip, self._timeline, self._stream = clip, timeline, plan.settings.stream
        self._seeker = FrameSeeker(clip, timeline.first, timeline.times, plan.settings.stream)
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()

    def __enter__(self) -> CoveredFrames:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._seeker.__exit__(kind, error, trace)

    def show(self, plan: Plan, frame: int, width: int | None = None) -> bytes:
        """Return a frame as its copy will show it, as a JPEG file.

        Args:
            plan: what is covered.
            frame: index of the frame in the clip.
            width: to make it smaller; it is never made larger.

        Raises:
            IndexError: it is not in the plan's excerpt.
            InputError: the clip cannot be read.
        """
        if not 0 <= frame - plan.source.first < plan.source.frames:  # the time line may be that of a longer one
            raise IndexError(f"frame {frame} is not in the excerpt")
        here = edits.at(plan, frame)
        key = frame, width, here.tracks, here.settings.effect
        with self._lock:
            if key not in self._kept:
                picture, _ = Coverer(here).cover(self._seeker.read(frame).picture, frame)
                self._keep(key, _encode(_at_most(picture, width)))
            self._kept.move_to_end(key)
            return self._kept[key]

    def uncover(self, plan: Plan, frame: int, id: int, grey: bool = True) -> tuple[bytes, Box]:
        """Return the part of a frame that is under one track as a JPEG file, and where it is; the rest stays covered.

        Args:
            plan: what is covered.
            frame: index of the frame in the clip.
            id: of the track.
            grey: without colours, and darker.

        Raises:
            IndexError: the frame is not in the excerpt.
            InputError: the clip cannot be read.
            UsageError: the track is not in this frame, or lies outside the picture.
        """
        here = edits.at(plan, frame)
        alone = next((track for track in here.tracks if track.id == id), None)
        part = alone.boxes[0].clip(plan.source.width, plan.source.height) if alone else None
        if alone is None or part is None:
            raise UsageError(f"Track {id} is not to be seen in frame {frame}.")
        picture = self.read(frame).picture
        others = edits.only(here, [track.id for track in here.tracks if track is not alone])
        covered, _ = Coverer(here).cover(picture, frame)
        under, _ = Coverer(others).cover(picture, frame)
        _, mask = Coverer(edits.only(here, [id])).cover(picture, frame)
        if grey:
            level = cv2.cvtColor(under, cv2.COLOR_BGR2GRAY)
            under = np.asarray(cv2.cvtColor(cv2.convertScaleAbs(level, alpha=DIMMED), cv2.COLOR_GRAY2BGR), np.uint8)
        shown = np.asarray(cv2.copyTo(under, mask, covered), np.uint8)
        return _encode(np.ascontiguousarray(shown[part.y0 : part.y1, part.x0 : part.x1])), part

    def read(self, frame: int) -> Frame:
        """Return a frame of the clip itself, uncovered.

        Raises:
            IndexError: it is not in the excerpt.
            InputError: the clip cannot be read.
        """
        with self._lock:
            return self._seeker.read(frame)

    def between(self, first: int, last: int) -> Iterator[Frame]:
        """Yield frames of the clip in order, uncovered, from one to another; others may be shown meanwhile."""
        with self.apart() as seeker:
            for frame in range(first, last + 1):
                yield seeker.read(frame)

    def apart(self) -> FrameSeeker:
        """Return a seeker of its own for frames of the clip, uncovered; others may be shown meanwhile."""
        return FrameSeeker(self._clip, self._timeline.first, self._timeline.times, self._stream)

    def _keep(self, key: Hashable, data: bytes) -> None:
        """Keep an encoded picture, and let go of those that were not shown for longest."""
        self._kept[key] = data
        while len(self._kept) > 1 and sum(map(len, self._kept.values())) > KEPT_BYTES:
            self._kept.popitem(last=False)


def _at_most(picture: Picture, width: int | None) -> Picture:
    """Return a picture that is at most this wide."""
    if width is None or width >= picture.shape[1]:
        return picture
    size = width, max(1, round(picture.shape[0] * width / picture.shape[1]))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _encode(picture: Picture) -> bytes:
    """Return a picture as a JPEG file; its colours are kept at full size."""
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    done, data = cv2.imencode(
        ".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    )
    if not done:
        raise ValueError("the picture could not be encoded")
    return data.tobytes()

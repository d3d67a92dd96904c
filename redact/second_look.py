"""Looking for faces in a finished copy, with other eyes than those that looked at the clip."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from redact.crew import Crew
from redact.detectors import Detector, detect, judge_among
from redact.detectors.looks import Look
from redact.plan import Check, Detection, Settings
from redact.scenes import Clock
from redact.tracking import is_denied, link, to_ask

EVERY_FRAME = (Look(448, mirrored=True),)  # another size than the cheap looks at the clip
SPREAD = (Look(1280, mirrored=True), *(Look(480, turn, mirrored=True) for turn in range(45, 360, 45)))
SPREAD_S = Fraction(3)  # from one deep look to the next
# What the first look left out just below its threshold is seen again here: to count, it must be surer than that.
SURE_ONCE = 0.3  # more than at the first look, where a face was seen once or twice
SURE_OFTEN = 0.2  # and where it was seen more often
OFTEN = 3
SHOWN = 0.35  # share of a face that must be uncovered for it to be seen
# A sighting counts only where the clip shows it as well: at this share of what is not covered, with this share of its
# score. Else it is the rims of covers that look like a face: bench/sabotage.py.
THERE, LIKE = 0.3, 0.6


class SecondLook:
    """Looks at the frames of a copy in order, and remembers the faces that are not covered.

    Args:
        detectors: all that are installed.
        settings: those of the first look.
        crew: who does it.
    """

    def __init__(self, detectors: Sequence[Detector], settings: Settings, crew: Crew) -> None:
        self._detectors, self._settings, self._crew = detectors, settings, crew
        self._clock, self._next = Clock(cuts_only=True), Fraction(-1)
        self._waiting: deque[Future[list[Detection]]] = deque()  # looks that may not be done yet
        self._seen: list[Detection] = []  # by those that are
        self._looked = self._deep = 0
        self._judge = judge_among(detectors)

    def show(
        self,
        picture: NDArray[np.uint8],
        source: NDArray[np.uint8],
        mask: NDArray[np.uint8],
        frame: int,
        time: Fraction,
    ) -> None:
        """Take the next frame of the copy.

        Args:
            picture: BGR, uint8, (height, width, 3).
            source: likewise, the same frame of the clip.
            mask: 255 where the picture is covered, or shown by decision of a person, uint8, (height, width).
            frame: its index in the clip.
            time: its presentation time in the clip, in seconds.
        """
        spread = self._clock.show(picture, frame, time) or self._next < 0 or time >= self._next
        if spread:
            self._next = time + SPREAD_S
        looks: list[Look] = []
        if spread or not self._settings.fast:
            looks += EVERY_FRAME
            self._looked += 1
        if spread and not self._settings.fast:
            looks += SPREAD
            self._deep += 1
        if looks:
            self._waiting.append(self._crew.give(self._look, picture, source, mask, frame, looks))
        while self._waiting and self._waiting[0].done():
            self._seen += self._waiting.popleft().result()

    def _look(
        self,
        picture: NDArray[np.uint8],
        source: NDArray[np.uint8],
        mask: NDArray[np.uint8],
        frame: int,
        looks: Sequence[Look],
    ) -> list[Detection]:
        """Return what is seen in one frame and not covered, but for what only the covers have made."""
        shown = [d for d in self._detect(picture, frame, looks) if _is_shown(d, mask)]
        if not any(d.score >= self._settings.copy_threshold + SURE_OFTEN for d in shown):
            return shown  # nothing that will count
        there = self._detect(source, frame, looks)
        return [d for d in shown if any(_is_like(s, d, mask) for s in there)]

    def _detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return what all detectors see."""
        return detect(self._detectors, picture, frame, looks)

    def found(self, again: Iterable[tuple[int, NDArray[np.uint8]]]) -> list[list[Detection]]:
        """Return the chains of sightings that are faces, as far as can be told, and are not covered.

        Args:
            again: the frames of the clip once more, in order: index and picture. They are read only where another model
                has to be asked, which is known at the end alone. Nothing is denied of those that are missing.
        """
        while self._waiting:
            self._seen += self._waiting.popleft().result()
        chains = link(self._seen, self._clock.timeline, self._settings.copy_threshold)
        sure = [chain for chain in chains if self._is_sure(chain)]
        return [chain for chain in self._judged(sure, again) if not is_denied(chain)]

    def _is_sure(self, chain: Sequence[Detection]) -> bool:
        """Return whether linked sightings are a face, unless another model denies it."""
        more = SURE_OFTEN if len(chain) >= OFTEN else SURE_ONCE
        return max(d.score for d in chain) >= self._settings.copy_threshold + more

    def _judged(
        self, chains: Sequence[Sequence[Detection]], again: Iterable[tuple[int, NDArray[np.uint8]]]
    ) -> list[list[Detection]]:
        """Return chains with what another model says of them, where such a one is asked about at the first look."""
        asked: dict[int, list[Detection]] = defaultdict(list)
        for d in (d for chain in chains if self._judge for d in to_ask(chain, self._judge.name)):
            asked[d.frame].append(d)
        if self._judge is None or not asked:
            return [*map(list, chains)]
        said: dict[Detection, Future[float]] = {}
        for frame, picture in again:
            said |= {d: self._crew.give(self._judge.ask, picture, d) for d in asked.pop(frame, ())}
            if not asked:
                break
        return [[replace(d, judged=said[d].result()) if d in said else d for d in chain] for chain in chains]

    def checks(self, found: Sequence[Sequence[Detection]]) -> list[Check]:
        """Return what was looked at, by each detector, and how many faces are not covered."""
        checks, names = [], {detector.name for detector in self._detectors}
        seen_by = [{d.detector for d in chain} for chain in found]
        for n, detector in enumerate(self._detectors):
            # The first one answers for what is under no detector's name as well.
            shown = sum(detector.name in by or not (n or by & names) for by in seen_by)
            figure = f"{self._looked} frames mirrored, {self._deep} of them also turned and enlarged: "
            figure += f"{shown or 'no'} face{'s' * (shown != 1)} that {'is' if shown == 1 else 'are'} not covered"
            checks.append(Check(f"a second look for faces by {detector.name}", not shown, figure))
        return checks


def _is_shown(detection: Detection, mask: NDArray[np.uint8]) -> bool:
    """Return whether enough of a detected face is not covered; what lies outside the picture is not shown."""
    box = detection.box.clip(mask.shape[1], mask.shape[0])
    return box is not None and float((mask[box.y0 : box.y1, box.x0 : box.x1] == 0).mean()) > SHOWN


def _is_like(there: Detection, detection: Detection, mask: NDArray[np.uint8]) -> bool:
    """Return whether the clip shows there what is seen, and not covered, in the copy."""
    height, width = mask.shape
    box, both = detection.box.clip(width, height), detection.box.intersect(there.box)
    both = both and both.clip(width, height)
    if box is None or both is None or there.score < LIKE * detection.score:
        return False
    free, shared = (np.count_nonzero(mask[b.y0 : b.y1, b.x0 : b.x1] == 0) for b in (box, both))
    return bool(shared >= THERE * free)

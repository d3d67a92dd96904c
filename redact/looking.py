"""Looking at the frames of a clip in order: cheaply at each, deeply at key frames, and at what has changed.

Where the picture has not changed since a look, what that look saw holds, as copies that say so (`Detection.held`).
What was seen too weakly to count is looked at again all the same, so that nothing counts for being repeated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from redact.crew import Crew
from redact.detectors import Detector, HoldingDetector, NearDetector, PacedDetector, detect
from redact.detectors.looks import Look, once, united
from redact.geometry import Box, join
from redact.plan import Detection, Looked
from redact.scenes import to_thumbnail
from redact.sightings import Part
from redact.stillness import Grey, Memory, to_grey
from redact.tracking import KEEP_SCORE, TURNED

Picture = NDArray[np.uint8]

KEY_S = Fraction(8, 25)  # from one key frame to the next, where the deep looks find more than the cheap one
RARE_KEY_S = 4 * KEY_S  # and where they do not
NEW_SCORE = 0.5  # of what they find
CHANGE_S = Fraction(12, 25)  # paced detectors look again after this time where
CHANGE_LEVELS = 12.0  # the picture has changed this much since their last look
AROUND = 1 / 12  # of the picture's longer side that is looked at on each side of what has changed,
AROUND_OWN = 0.5  # and as a share of what has changed: a face of which only the mouth moved is seen whole
MOST_PARTS = 0.5  # share of the picture from which it is looked at as a whole


def cheap_looks(side: int, fast: bool) -> tuple[Look, ...]:
    """Return the looks for every frame, which take turns: near faces need the first, small ones the last.

    Args:
        side: the longer side of the picture in pixels.
        fast: whether there are no others.
    """
    fine = Look(min(max(side, 832), 1280))
    return (Look(480), Look(480), Look(480), fine) if fast else (Look(480), fine)


def deep_looks(side: int) -> tuple[Look, ...]:
    """Return the looks for key frames, besides the cheap one: enlarged, or as large as it is, and turned.

    Args:
        side: the longer side of the picture in pixels.
    """
    quarter = [Look(640, turn) for turn in (90, 180, 270)]
    between = [Look(480, turn) for turn in (45, 135, 225, 315)]
    return (Look(min(max(side, 1280), 2560)), *quarter, *between)


class Gaze:
    """Looks at frames in order: cheaply at each, deeply at key frames. Several frames are looked at beside each other.

    Args:
        detectors: what looks.
        fast: whether there are no key frames.
        threshold: the score from which a sighting counts.
        crew: who does it.
    """

    def __init__(self, detectors: Sequence[Detector], fast: bool, threshold: float, crew: Crew) -> None:
        self._faces = [d for d in detectors if not isinstance(d, PacedDetector)]
        self._paced = [_Paced(d) for d in detectors if isinstance(d, PacedDetector)]
        self._fast, self._sure, self._crew = fast, threshold + TURNED, crew
        self._glances: list[_Glance] = []
        self._waiting: deque[_Waiting] = deque()
        self._key: _Glance | None = None  # the last key frame
        self._kinds: dict[tuple[Look, ...], _Kind] = {}

    def look(self, picture: Picture, frame: int, time: Fraction, cut: bool) -> None:
        """Look at the next frame; the first one and those that begin a scene are key frames."""
        key = not self._fast and (cut or self._is_due(time))
        thumbnail, grey = to_thumbnail(picture[::4, ::4]), to_grey(picture)
        due = [paced for paced in self._paced if paced.is_due(time, thumbnail, cut)]
        side = max(picture.shape[:2])
        cheap = cheap_looks(side, self._fast)
        begins = cut or not self._glances  # no other frame need come after it
        wanted: list[tuple[Look, ...]] = [
            (look,) for look in (dict.fromkeys(cheap) if begins else [cheap[frame % len(cheap)]])
        ]
        wanted += [deep_looks(side)] if key else []
        glance = _Glance(time, self._give(wanted, picture, grey, frame, time) if self._faces else [])
        self._glances.append(glance)
        if key:
            self._key = glance
        if due:
            asked = [(paced, paced.has_changed(grey, time)) for paced in due]
            self._waiting.append(_Waiting(glance, asked, picture, frame))
        while self._waiting and self._waiting[0].glance.is_done():
            self._ask_paced()

    def _give(
        self, wanted: Sequence[tuple[Look, ...]], picture: Picture, grey: Grey, frame: int, time: Fraction
    ) -> list[Future[_Seen]]:
        """Begin each kind of look: what has changed since that kind was taken, it must see."""
        size = picture.shape[1], picture.shape[0]
        begun = []
        for looks in wanted:
            kind = self._kinds.setdefault(looks, _Kind(Memory()))
            changes = kind.memory.changes(grey, size, time)
            order = _Order(looks, changes or [], None if _is_of_most(changes, *size) else kind.last, self._sure)
            kind.last = self._crew.give_after(order.last, _carry_out, order, self._faces, picture, frame)
            begun.append(kind.last)
        return begun

    def _ask_paced(self) -> None:
        """Let paced detectors look at the first frame that waits for them; it is known then which faces are there.

        They are not part of the looks for faces, for which later frames wait: a core would have nothing to do.
        """
        glance, asked, picture, frame = self._waiting.popleft()
        for paced, changed in asked:
            last = None if changed else paced.last
            paced.last = self._crew.give_after(last, _look_paced, paced.detector, last, picture, frame, glance.faces())
            glance.others.append(paced.last)

    def _is_due(self, time: Fraction) -> bool:
        """Return whether there must be a key frame at a time; it may have to wait for what the last one has shown."""
        if self._key is None:
            return True
        since = time - self._key.time
        return since >= RARE_KEY_S or (since >= KEY_S and self._key.is_new())

    def part(self) -> Part:
        """Return what was seen so far, and how much was looked at."""
        return Part(self.seen(), self.looked())

    def seen(self) -> tuple[Detection, ...]:
        """Return what was seen so far, in the order of the frames."""
        while self._waiting:
            self._ask_paced()
        return tuple(detection for glance in self._glances for detection in glance.detections())

    def looked(self) -> Looked:
        """Return how much was looked at so far."""
        taken = [kind.result().area for glance in self._glances for kind in glance.kinds]
        return Looked(taken.count(1.0), len(taken) - taken.count(1.0) - taken.count(0.0), taken.count(0.0))


@dataclass
class _Kind:
    """Looks that are taken again and again, what they were taken at, and where what they saw last will be."""

    memory: Memory
    last: Future[_Seen] | None = None


@dataclass(frozen=True)
class _Order:
    """What one kind of look has to do at one frame.

    Attributes:
        looks: how to look.
        changes: what has changed since they were taken last.
        last: what they saw then, done when this begins; None where they are to be taken of the whole picture.
        sure: the score below which a sighting is in doubt.
    """

    looks: tuple[Look, ...]
    changes: list[Box]
    last: Future[_Seen] | None
    sure: float


class _Seen(NamedTuple):
    """What one kind of look saw in a frame, and the share of the picture that it was taken at."""

    detections: list[Detection]
    area: float


@dataclass
class _Glance:
    """What is being looked at in one frame.

    Attributes:
        time: of the frame.
        kinds: the looks for faces: the cheap one, all of them where a scene begins, and at key frames the deep ones.
        others: what each paced detector sees in it that looks.
    """

    time: Fraction
    kinds: list[Future[_Seen]]
    others: list[Future[list[Detection]]] = field(default_factory=list)

    def is_done(self) -> bool:
        """Return whether all faces are known."""
        return all(kind.done() for kind in self.kinds)

    def faces(self) -> list[Detection]:
        """Return the faces that were seen; it waits for them."""
        return [d for d in self._seen() if d.label == "face"]

    def _seen(self) -> list[Detection]:
        """Return what the looks for faces saw; it waits for it."""
        seen = [d for kind in self.kinds for d in kind.result().detections]
        return once(seen) if len(self.kinds) > 1 else seen

    def is_new(self) -> bool:
        """Return whether deep looks saw something surely that the cheap one did not."""
        cheap = self.kinds[0].result().detections if self.kinds else []
        return any(d.score >= NEW_SCORE and not any(d.box.intersect(s.box) for s in cheap) for d in self.faces())

    def detections(self) -> list[Detection]:
        """Return everything that was seen; it waits for it."""
        return [*self._seen(), *(d for other in self.others for d in other.result())]


class _Waiting(NamedTuple):
    """A frame at which paced detectors look as soon as its faces are known."""

    glance: _Glance
    asked: Sequence[tuple[_Paced, bool]]  # each with whether anything has changed
    picture: Picture
    frame: int


class _Paced:
    """A detector that says itself how often it looks, and when that is."""

    def __init__(self, detector: PacedDetector) -> None:
        self.detector = detector
        self.last: Future[list[Detection]] | None = None  # what it saw last, or will have seen
        self._last: tuple[Fraction, Picture] | None = None
        self._memory = Memory() if isinstance(detector, HoldingDetector) and detector.holds else None

    def has_changed(self, grey: Grey, time: Fraction) -> bool:
        """Return whether it has to look at a picture again, as far as that tells."""
        return self._memory is None or self._memory.changes(grey, grey.shape[::-1], time) != []

    def is_due(self, time: Fraction, thumbnail: Picture, cut: bool) -> bool:
        """Return whether it looks at the frame of a time: now and then, at cuts, and where the picture has changed."""
        if not cut and self._last is not None:
            since = time - self._last[0]
            changed = since >= CHANGE_S and float(cv2.absdiff(thumbnail, self._last[1]).mean()) > CHANGE_LEVELS
            if since < self.detector.every_s and not changed:
                return False
        self._last = time, thumbnail
        return True


def _look_paced(
    detector: PacedDetector,
    last: Future[list[Detection]] | None,
    picture: Picture,
    frame: int,
    faces: Sequence[Detection],
) -> list[Detection]:
    """Return what a paced detector sees in a frame in which some faces were seen.

    Args:
        detector: what looks.
        last: what it saw last, where that holds; it is done when this begins. Then it looks near faces alone.
        picture: of the frame.
        frame: its index.
        faces: what was seen in it.
    """
    height, width = picture.shape[:2]
    sure = [d for d in faces if d.score >= NEW_SCORE]
    near = detector.looks_near(sure, width, height) if isinstance(detector, NearDetector) else ()
    if last is None:
        return detector.detect(picture, frame, (*detector.looks(max(width, height)), *near))
    found = detector.detect(picture, frame, near) if near else []
    return united([*found, *_held(last.result(), frame)])


def _carry_out(order: _Order, detectors: Sequence[Detector], picture: Picture, frame: int) -> _Seen:
    """Return what one kind of look sees in a frame."""
    if order.last is None:
        return _Seen(detect(detectors, picture, frame, order.looks), 1.0)
    before, size = order.last.result().detections, (picture.shape[1], picture.shape[0])
    again = [*order.changes, *(d.box for d in before if KEEP_SCORE <= d.score < order.sure)]
    parts = parts_of(again, [d.box for d in before], *size)
    share = _share(parts, *size)
    if share > MOST_PARTS:
        return _Seen(detect(detectors, picture, frame, order.looks), 1.0)
    looks = [_at(look, part, picture) for part in parts for look in order.looks]
    found = detect(detectors, picture, frame, looks) if looks else []
    kept = [d for d in before if not any(d.box.intersect(box) for box in again)]
    return _Seen(once([*found, *_held(kept, frame)]), share)


def _held(kept: Sequence[Detection], frame: int) -> list[Detection]:
    """Return what holds in a frame since it was seen."""
    return [replace(d, frame=frame, held=True) for d in kept]


def _is_of_most(changes: Sequence[Box] | None, width: int, height: int) -> bool:
    """Return whether so much of a picture has changed that it is looked at as a whole, whatever was seen before."""
    return changes is None or _share(parts_of(changes, (), width, height), width, height) > MOST_PARTS


def parts_of(changes: Sequence[Box], known: Iterable[Box], width: int, height: int) -> list[Box]:
    """Return the parts of a picture that have to be looked at, apart from each other.

    Args:
        changes: what must be looked at; each is seen with what is around it.
        known: what was seen before: where it touches a change it must be in a part as a whole.
        width: of the picture in pixels.
        height: likewise.
    """
    touched = [box for box in known if any(box.intersect(change) for change in changes)]
    rim = AROUND * max(width, height)
    parts: list[Box] = []
    for box in (*changes, *touched):
        x, y = max(rim, AROUND_OWN * box.width), max(rim, AROUND_OWN * box.height)
        part = Box.outward(box.x0 - x, box.y0 - y, box.x1 + x, box.y1 + y).clip(width, height)
        while part and (near := [other for other in parts if other.intersect(part)]):
            parts = [other for other in parts if other not in near]
            part = join([part, *near])
        parts += [part] if part else []
    return parts


def _at(look: Look, part: Box, picture: Picture) -> Look:
    """Return a look at a part of a picture that shows it as large as the look at the whole would."""
    factor = max(part.width, part.height) / max(picture.shape[:2])
    return replace(look, side=max(1, round(look.side * factor)), within=part)


def _share(parts: Iterable[Box], width: int, height: int) -> float:
    """Return the share of a picture that parts of it are, which lie apart from each other."""
    return sum(part.area for part in parts) / (width * height)

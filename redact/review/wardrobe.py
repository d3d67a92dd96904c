"""Looking at what people wear and at their faces, while the review goes on. What is seen is kept in memory only."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from redact import clothes, likeness
from redact.clothes import Colours
from redact.detectors import recognising
from redact.errors import InputError
from redact.frames import CoveredFrames
from redact.geometry import Box
from redact.likeness import Face, Vector
from redact.plan import HEADS, Track


@dataclass(frozen=True)
class _Place:
    """Where something is looked at.

    Attributes:
        frame: its index.
        box: where clothes are, or the head that is to be looked at.
        others: boxes of other heads near that one; None where clothes are looked at.
    """

    frame: int
    box: Box
    others: tuple[Box, ...] | None = None


class Wardrobe:
    """Looks at the clothes of tracks, and at faces where the weights for it are there, in a thread of its own.

    Args:
        frames: of the clip.
    """

    def __init__(self, frames: CoveredFrames) -> None:
        self._frames = frames
        self._recogniser = recognising.load()
        self._seen: dict[_Place, Colours | Face | None] = {}
        self._wanted: set[_Place] = set()
        self._faces: dict[int, list[_Place]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False

    @property
    def known(self) -> int:
        """How many places have been looked at."""
        return len(self._seen)

    @property
    def looking(self) -> bool:
        """Whether there are places that have not been looked at yet."""
        return self._thread is not None

    def look(self, tracks: Sequence[Track]) -> None:
        """Begin to look at the tracks of a plan that are of people, where that was not done yet."""
        heads = [track for track in tracks if track.label in HEADS and self._recogniser]
        faces = {t.id: [_Place(*place) for place in likeness.places(t, heads)] for t in heads}
        wanted = {_Place(*place) for track in tracks for place in clothes.places(track)}.union(*faces.values())
        with self._lock:
            self._faces = faces
            self._wanted = wanted - self._seen.keys()
            if self._wanted and not self._thread and not self._stopped:
                self._thread = threading.Thread(target=self._run, name="clothes")
                self._thread.start()

    def of(self, track: Track) -> Colours | None:
        """Return what a track wears, as far as is known by now."""
        seen = [self._seen.get(_Place(*place)) for place in clothes.places(track)]
        looks = [look for look in seen if isinstance(look, tuple)]
        return clothes.mean(looks) if looks else None

    def face_of(self, track: Track) -> Vector | None:
        """Return what is known of a track's face by now."""
        seen = [self._seen.get(place) for place in self._faces.get(track.id, ())]
        return likeness.mean([face for face in seen if isinstance(face, Face)])

    def stop(self) -> None:
        """Look no further, and wait until that is so."""
        self._stopped = True
        if thread := self._thread:
            thread.join()

    def _run(self) -> None:
        """Look at all that is wanted, in the order of the clip; rows are only a help, so an unreadable clip ends it."""
        try:
            with self._frames.apart() as seeker:
                while place := self._next():
                    picture = seeker.read(place.frame).picture
                    if place.others is None:
                        self._seen[place] = clothes.colours(picture, place.box)
                    elif self._recogniser:
                        self._seen[place] = self._recogniser.look(picture, place.box, place.others)
        except InputError:
            self._stopped = True
        finally:
            if self._thread is threading.current_thread():
                self._thread = None

    def _next(self) -> _Place | None:
        """Return what is to be looked at next; None where that is all."""
        with self._lock:
            self._wanted -= self._seen.keys()
            if not self._wanted or self._stopped:
                self._thread = None
                return None
            return min(self._wanted, key=lambda place: place.frame)

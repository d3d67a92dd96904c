"""Looking at what people wear, while the review goes on. What is seen is kept in memory only."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from redact import clothes
from redact.clothes import Colours
from redact.errors import InputError
from redact.frames import CoveredFrames
from redact.geometry import Box
from redact.plan import Track

Place = tuple[int, Box]


class Wardrobe:
    """Looks at the clothes of tracks, in a thread of its own.

    Args:
        frames: of the clip.

    Attributes:
        known: how many places have been looked at.
    """

    def __init__(self, frames: CoveredFrames) -> None:
        self._frames = frames
        self._seen: dict[Place, Colours | None] = {}
        self._wanted: set[Place] = set()
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

    def look(self, tracks: Iterable[Track]) -> None:
        """Begin to look at tracks, where that was not done yet."""
        wanted = {place for track in tracks for place in clothes.places(track)}
        with self._lock:
            self._wanted = wanted - self._seen.keys()
            if self._wanted and not self._thread and not self._stopped:
                self._thread = threading.Thread(target=self._run, name="clothes")
                self._thread.start()

    def of(self, track: Track) -> Colours | None:
        """Return what a track wears, as far as is known by now."""
        looks = [seen for place in clothes.places(track) if (seen := self._seen.get(place))]
        return clothes.mean(looks) if looks else None

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
                    found = clothes.colours(seeker.read(place[0]).picture, place[1])
                    self._seen[place] = found
        except InputError:
            self._stopped = True
        finally:
            if self._thread is threading.current_thread():
                self._thread = None

    def _next(self) -> Place | None:
        """Return what is to be looked at next; None where that is all."""
        with self._lock:
            self._wanted -= self._seen.keys()
            if not self._wanted or self._stopped:
                self._thread = None
                return None
            return min(self._wanted, key=lambda place: place[0])

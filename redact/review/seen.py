"""Which frames a person has had on the screen, kept beside the plan."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from pathlib import Path

from redact.custody import write_private
from redact.errors import PlanError
from redact.plan import Source
from redact.sightings import Timeline


class Seen:
    """Counts the frames that were on the screen. Only what was served can have been seen.

    Args:
        plan_path: the plan's file; what was seen in earlier sessions is kept beside it.
        timeline: the frames of the excerpt.

    Raises:
        PlanError: what was kept is damaged.
    """

    def __init__(self, plan_path: Path, timeline: Timeline) -> None:
        self._path = plan_path.with_name(plan_path.name.removesuffix(".json").removesuffix(".plan") + ".seen.json")
        self._first, self._length = timeline.first, len(timeline.times)
        self._served: set[int] = set()
        self._seen: set[int] = set()
        self._lock = threading.Lock()
        if self._path.exists():
            self._load()

    def serve(self, frame: int) -> None:
        """Note that a frame was sent to the page."""
        self._served.add(frame)

    def add(self, frames: Iterable[int]) -> None:
        """Note that frames were on the screen, and keep that."""
        with self._lock:
            new = self._served.intersection(frames) - self._seen
            if new:
                self._seen |= new
                write_private(self._path, json.dumps(self.runs()).encode())

    def count(self, source: Source) -> int:
        """Return how many frames of an excerpt were seen."""
        return sum(source.first <= n < source.first + source.frames for n in self._seen)

    def runs(self) -> list[tuple[int, int]]:
        """Return what was seen as first and last frames of stretches, in their order."""
        runs: list[tuple[int, int]] = []
        for n in sorted(self._seen):
            if runs and runs[-1][1] == n - 1:
                runs[-1] = runs[-1][0], n
            else:
                runs.append((n, n))
        return runs

    def _load(self) -> None:
        """Read what earlier sessions kept."""
        try:
            runs = json.loads(self._path.read_text())
            inside = range(self._first, self._first + self._length)
            self._seen = {n for a, b in runs for n in range(max(a, inside.start), min(b + 1, inside.stop))}
        except (OSError, ValueError, TypeError) as error:
            raise PlanError(
                f"{self._path.name}, which says what was seen of the clip, is damaged.", "Remove that file."
            ) from error

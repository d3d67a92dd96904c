"""Which frames a person has had on the screen, kept beside the plan."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from pathlib import Path

from redact.custody import write_private
from redact.errors import PlanError
from redact.plan import Plan, Source
from redact.sightings import Timeline


class Seen:
    """Counts the frames that were on the screen. Only what was served can have been seen.

    Args:
        plan_path: the plan's file; what was seen in earlier sessions is kept beside it.
        plan: any state of it. What was seen of another clip, or of another of its streams, does not count.
        timeline: the frames of the excerpt.

    Raises:
        PlanError: what was kept is damaged.
    """

    def __init__(self, plan_path: Path, plan: Plan, timeline: Timeline) -> None:
        self._path = plan_path.with_name(plan_path.name.removesuffix(".json").removesuffix(".plan") + ".seen.json")
        self._of = {"sha256": plan.source.sha256, "stream": plan.settings.stream}
        self._first, self._length = timeline.first, len(timeline.times)
        self._served: set[int] = set()
        self._seen = bytearray(self._length)  # for each frame 1 where it was seen, else 0
        self._lock = threading.Lock()
        if self._path.exists():
            self._load()

    def serve(self, frame: int) -> None:
        """Note that a frame was sent to the page."""
        self._served.add(frame)

    def add(self, frames: Iterable[int]) -> None:
        """Note that frames were on the screen, and keep that."""
        with self._lock:
            new = [n - self._first for n in self._served.intersection(frames) if not self._seen[n - self._first]]
            if new:
                for n in new:
                    self._seen[n] = 1
                write_private(self._path, json.dumps(self._of | {"seen": self.runs()}).encode())

    def count(self, source: Source) -> int:
        """Return how many frames of an excerpt were seen."""
        begin = source.first - self._first
        return self._seen.count(1, begin, begin + source.frames)

    def next_unseen(self, source: Source, after: int) -> int | None:
        """Return the next frame of an excerpt that was not seen, or the first where none is left; None if all were."""
        begin = source.first - self._first
        here = min(max(after + 1 - self._first, begin), begin + source.frames)
        for start in (here, begin):
            if (found := self._seen.find(0, start, begin + source.frames)) >= 0:
                return self._first + found
        return None

    def runs(self) -> list[tuple[int, int]]:
        """Return what was seen as first and last frames of stretches, in their order."""
        runs: list[tuple[int, int]] = []
        end = 0
        while (begin := self._seen.find(1, end)) >= 0:
            end = self._seen.find(0, begin)
            end = end if end >= 0 else self._length
            runs.append((self._first + begin, self._first + end - 1))
        return runs

    def _load(self) -> None:
        """Read what earlier sessions kept."""
        try:
            kept = json.loads(self._path.read_text())
            if any(kept[key] != value for key, value in self._of.items()):
                return
            for first, last in kept["seen"]:
                begin, end = max(first - self._first, 0), min(last + 1 - self._first, self._length)
                if begin < end:
                    self._seen[begin:end] = b"\1" * (end - begin)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise PlanError(
                f"{self._path.name}, which says what was seen of the clip, is damaged.", "Remove that file."
            ) from error

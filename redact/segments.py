"""The segments of a long clip: kept while it is looked at, so that no run has to look at one again."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redact import custody, surveys
from redact.sightings import Part, dump_part, load_part

SUFFIX = ".jsonl.gz"


class KeptSegments:
    """Keeps what was seen in segments in private files, until all of it is kept as a whole.

    Args:
        whole: the file in which all of it will be.
        made_with: what it depends on, as `analysis.made_with` gives it: what an earlier run has kept must agree.
    """

    def __init__(self, whole: Path, made_with: Mapping[str, Any]) -> None:
        self._folder, self._stem = whole.parent, whole.name.removesuffix(f".detections{SUFFIX}")
        self._made_with = {**made_with, "segment": surveys.SEGMENT}

    def load(self, number: int) -> Part | None:
        """Return what is kept of a segment."""
        path = self._path(number)
        return load_part(path.read_bytes(), self._made_with | {"number": number}) if path.exists() else None

    def save(self, number: int, part: Part) -> None:
        """Keep what was seen in a segment.

        Raises:
            OutputError: it cannot be written.
        """
        data = dump_part(part, self._made_with | {"number": number})
        custody.write_private(self._path(number), data)

    def clear(self) -> None:
        """Remove all that is kept, also of a run with other settings."""
        for path in self._folder.glob(f"{glob.escape(self._stem)}.segment-{'[0-9]' * 6}{SUFFIX}"):
            path.unlink()

    def _path(self, number: int) -> Path:
        return self._folder / f"{self._stem}.segment-{number:06}{SUFFIX}"

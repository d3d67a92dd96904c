"""Many clips: one after the other, on past those that fail."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from redact import custody, pipeline
from redact.custody import Workspace
from redact.detectors import Detector
from redact.errors import RedactError
from redact.pipeline import Outcome, Progress
from redact.plan import Settings


@dataclass(frozen=True)
class Failure:
    """A clip of which no copy was released, and why."""

    clip: Path
    error: RedactError


def run_clips(
    clips: Sequence[Path],
    space: Workspace,
    settings: Settings,
    detectors: Sequence[Detector],
    progress: Callable[[Path, str], Progress],
) -> list[Outcome | Failure]:
    """Run every clip; one that fails does not keep the others from being done.

    Args:
        clips: the files, in the order in which they are done.
        space: where everything goes.
        settings: for all clips.
        detectors: what looks.
        progress: from a clip and the name of a pass to its progress.

    Returns:
        What became of each clip, in the same order.
    """
    results: list[Outcome | Failure] = []
    for clip in clips:
        try:
            results.append(pipeline.run(clip, space, settings, detectors, partial(progress, clip)))
        except RedactError as error:
            results.append(Failure(clip, error))
        except Exception as error:
            custody.record(space, "bug", {"clip": str(clip), "traceback": traceback.format_exc()})
            message = f"redact has a bug: {type(error).__name__} at {clip.name}. The details are in the private log."
            results.append(Failure(clip, RedactError(message)))
    return results


def exit_code(results: Sequence[Outcome | Failure]) -> int:
    """Return the highest exit code among the failures, or 0."""
    return max((r.error.exit_code for r in results if isinstance(r, Failure)), default=0)

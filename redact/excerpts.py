"""The frames of a plan's excerpt, shorter excerpts of the same clip, and parts of it without sound."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from redact.crew import Progress
from redact.errors import UsageError
from redact.media import TAIL_S, Digest, open_excerpt
from redact.plan import Plan, Settings, Source
from redact.scenes import Clock
from redact.sightings import Timeline, load_timeline


def find_timeline(plan: Plan, path: Path, clip: Path, progress: Progress) -> Timeline:
    """Return the time line of a plan's excerpt: as it was kept beside the plan, else from the clip, which is decoded.

    Args:
        plan: of which excerpt.
        path: the plan's file.
        clip: the file that it was made for.
        progress: called with the frames done and the number of frames, where the clip is decoded.

    Raises:
        InputError: the clip cannot be read.
        PlanError: the clip is not the plan's, or what was kept is damaged.
    """
    kept = path.with_name(path.name.removesuffix(".plan.json") + ".detections.jsonl.gz")
    if kept.exists():
        source, line = load_timeline(kept.read_bytes())
        begins, ends = plan.source.first, plan.source.first + plan.source.frames
        if source.sha256 == plan.source.sha256 and line.first <= begins and ends <= line.first + len(line.times):
            return line
    return measure_timeline(plan, clip, progress)


def measure_timeline(plan: Plan, clip: Path, progress: Progress) -> Timeline:
    """Return the time line of a plan's excerpt, from the clip, which is decoded for it.

    Args:
        plan: of which excerpt.
        clip: the file that it was made for.
        progress: called with the frames done and the number of frames.

    Raises:
        InputError: the clip cannot be read.
        PlanError: the clip is not the plan's.
    """
    clock = Clock()
    with open_excerpt(plan, clip) as reader:
        for done, frame in enumerate(reader, start=1):
            clock.show(frame.picture, frame.index, frame.time)
            progress(done, plan.source.frames)
    return clock.timeline


def cut_source(
    plan: Plan, clip: Path, timeline: Timeline, first: int, last: int, progress: Progress
) -> tuple[Source, Settings]:
    """Return the source and the settings of a shorter excerpt, from one frame to another. It is decoded for that.

    Args:
        plan: of the longer excerpt.
        clip: the file that it was made for.
        timeline: the frames that were analysed.
        first: index of the first frame.
        last: index of the last frame.
        progress: called with the frames done and the number of frames.

    Raises:
        InputError: the clip cannot be read.
        PlanError: the clip is not the plan's.
    """
    source, whole = plan.source, plan.settings
    begin = whole.from_time if first == source.first else timeline.time(first)
    end = whole.to_time if last + 1 == source.first + source.frames else timeline.time(last + 1)
    settings = replace(whole, from_time=begin, to_time=end)
    digest, damaged = Digest(), 0
    with open_excerpt(plan.with_settings(settings), clip) as reader:
        for done, frame in enumerate(reader, start=1):
            digest.add(frame)
            damaged += frame.damaged
            progress(done, last - first + 1)
        lost = reader.lost
    shorter = replace(
        source, first=first, frames=last - first + 1, begins=timeline.time(first), ends=timeline.time(last),
        digest=digest.hexdigest(), damaged=damaged, lost=lost,
    )  # fmt: skip
    return shorter, settings


def mute(plan: Plan, timeline: Timeline, first: int, last: int) -> Settings:
    """Return the settings of a plan in which nothing is heard from one frame to another, and not during it.

    At the excerpt's ends that is all of the sound before and after the pictures as well.

    Args:
        plan: of the excerpt.
        timeline: the frames that were analysed.
        first: index of the first frame.
        last: index of the last frame.

    Raises:
        UsageError: the copy has no sound, or these frames are muted already.
    """
    source, settings = plan.source, plan.settings
    if settings.audio == "none":
        raise UsageError("The copy has no sound: there is nothing to mute.", "Keep the clip's sound first.")
    begin = timeline.time(first) if first > source.first else settings.from_time or Fraction(0)
    if last + 1 < source.first + source.frames:
        end = timeline.time(last + 1)
    else:
        end = settings.to_time or source.ends + TAIL_S
    if any(a <= begin and end <= b for a, b in settings.mute):
        raise UsageError(f"Frames {first} to {last} are muted already.")
    return replace(settings, mute=tuple(sorted((*settings.mute, (begin, end)))))

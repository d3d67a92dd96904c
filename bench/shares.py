"""What share of a thing the covers of a plan hide in each frame, and why where it is not enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from bench.marks import ENOUGH_COVERED
from redact.effects import Region, draw_mask
from redact.geometry import Box
from redact.plan import Plan
from redact.sightings import Sightings
from redact.tracking import seen_in

Shape = NDArray[np.bool_]


@dataclass(frozen=True)
class Truth:
    """What has to be covered in a frame.

    Attributes:
        frame: index of the frame.
        box: around it, in pixels, within the picture.
        shape: which of these pixels it has; of the size of the box.
        group: what the frame is counted under, besides all.
    """

    frame: int
    box: Box
    shape: Shape
    group: str = ""


@dataclass(frozen=True)
class Ran:
    """What the tool made of a clip."""

    plan: Plan
    sightings: Sightings


@dataclass(frozen=True)
class Judged:
    """How much of one thing is covered in each of its frames.

    Attributes:
        truths: the frames.
        shares: what is covered of each, 0 to 1.
        causes: why it is not enough, or nothing.
        times: area of the tracks of its kind that touch it, by that of the thing.
    """

    truths: Sequence[Truth]
    shares: Sequence[float]
    causes: Sequence[str]
    times: Sequence[float] = field(default=())

    def enough(self, group: str | None = None) -> list[bool]:
        """Return for each frame, of a group or of all, whether enough is covered."""
        pairs = zip(self.truths, self.shares, strict=True)
        return [share >= ENOUGH_COVERED for truth, share in pairs if group in (None, truth.group)]

    def ratio(self, group: str | None = None) -> str:
        """Return in how many frames enough is covered, in words."""
        held = self.enough(group)
        return f"{sum(held)} of {len(held)} ({sum(held) / len(held):.1%})" if held else "none"


def share_covered(mask: NDArray[np.uint8], truth: Truth) -> float:
    """Return the share of the pixels of something that a mask covers."""
    part = mask[truth.box.y0 : truth.box.y1, truth.box.x0 : truth.box.x1] > 0
    return np.count_nonzero(part & truth.shape) / np.count_nonzero(truth.shape)


def runs(frames: Iterable[int]) -> str:
    """Return frames in words, neighbours together: 3-5, 9."""
    ordered = sorted(frames)
    parts = []
    for _, near in groupby(enumerate(ordered), lambda pair: pair[1] - pair[0]):
        held = [frame for _, frame in near]
        parts.append(f"{held[0]}-{held[-1]}" if len(held) > 1 else f"{held[0]}")
    return ", ".join(parts)


def judge(ran: Ran, truths: Sequence[Truth], label: str) -> Judged:
    """Return how much of something is covered in each frame by all tracks of a plan together.

    Args:
        ran: what the tool made of the clip.
        truths: at most one for each frame.
        label: of the tracks that should cover it; it only matters for the causes.
    """
    source = ran.plan.source
    shares, causes, times = [], [], []
    for truth in truths:
        held = [t for t in ran.plan.tracks if t.action == "cover" and t.first <= truth.frame <= t.last]
        regions = [Region(t.boxes[truth.frame - t.first], t.label) for t in held]
        share = share_covered(draw_mask(regions, source.width, source.height), truth)
        own = [r for r in regions if r.label == label and r.box.intersect(truth.box)]
        seen = [
            d
            for d in seen_in(ran.sightings.detections)
            if d.frame == truth.frame and d.label == label and d.box.intersect(truth.box)
        ]
        shares.append(share)
        causes.append("" if share >= ENOUGH_COVERED else "no track" if not own else "in part" if seen else "carried")
        area = np.count_nonzero(draw_mask(own, source.width, source.height))
        times.append(area / np.count_nonzero(truth.shape))
    return Judged(truths, shares, causes, times)


def misses(name: str, judged: Judged) -> list[str]:
    """Return lines about the frames in which too little is covered, by cause."""
    lines = []
    for cause in sorted({*judged.causes} - {""}):
        held = [n for n, c in enumerate(judged.causes) if c == cause]
        shares = [judged.shares[n] for n in held]
        frames = runs(judged.truths[n].frame for n in held)
        lines.append(f"- {name}: {cause}, {min(shares):.0%} to {max(shares):.0%} covered, in frames {frames}")
    return lines

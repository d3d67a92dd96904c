"""The public statement that goes with a copy. It holds no name, path, hash, date or place of the source."""

from __future__ import annotations

from collections import Counter
from typing import Any

from redact.plan import UNHEARD, Plan, Settings, Verdict


def make_statement(plan: Plan, verdict: Verdict) -> dict[str, Any]:
    """Return the public statement on a copy. It claims no more than what was done and checked."""
    settings: Settings = plan.settings
    rate = plan.source.frames / max(float(plan.source.ends - plan.source.begins), 1e-9)
    seconds = round(plan.covered_frames() / rate, 1) if plan.source.frames > 1 else 0.0
    return {
        "statement": f"Parts of this {'picture' if plan.source.still else 'video'} were covered before publication.",
        "covered": dict(Counter(t.label for t in plan.tracks if t.action == "cover")),
        "left_visible_by_decision": dict(Counter(t.label for t in plan.tracks if t.action == "show")),
        "seconds_with_something_covered": seconds,
        "how": {
            "blur": "filled smoothly from the pixels around the region; nothing of what was there is left",
            "solid": "filled with black",
            "mosaic": "filled with blocks made from the pixels around the region; nothing of what was there is left",
        }[settings.effect],
        "damaged_frames_covered_whole": plan.source.damaged,
        "stretches_that_could_not_be_decoded": len(plan.source.lost),
        "sound": _sound(settings, any(c.name == UNHEARD for c in verdict.checks)),
        **describe_checks(verdict),
        "reviewed_by_a_person": _describe_review(plan),
    }


def describe_checks(verdict: Verdict) -> dict[str, Any]:
    """Return what a statement says of the checks."""
    return {
        "checked": {c.name: "held" if c.passed else "failed" for c in verdict.checks if c.passed is not None},
        "not_checked": [c.name for c in verdict.checks if c.passed is None],
    }


def _sound(settings: Settings, heard: bool) -> str:
    """Return what became of the sound."""
    if not heard:
        return "removed" if settings.audio == "none" else "there was none"
    kept = "the recorded sound, encoded again" if settings.audio == "keep" else "another sound in place of the recorded"
    return f"{kept}; parts of it were taken out" if settings.mute else kept


def _describe_review(plan: Plan) -> str:
    """Return in words how much of an excerpt a person has looked at; the share is rounded down."""
    if plan.review is None:
        return "no"
    share = plan.review.frames_seen * 100 // plan.source.frames
    left = f"; {plan.review.doubts_left} doubtful stretches left undecided" if plan.review.doubts_left else ""
    return f"yes, {share} % of the frames were looked at{left}"

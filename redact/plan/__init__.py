"""What flows between the rooms: detections, tracks, doubts, settings, the plan, and the verdict on a copy.

The plan is the heart: a small file that a person can read, compare line by line and correct (see `records`).
"""

from __future__ import annotations

from redact.plan.contents import (
    FLOW,
    FOLLOWED,
    LONGEST_LIST,
    SCHEMA,
    Detection,
    Doubt,
    Edit,
    Looked,
    Plan,
    Review,
    Source,
    Track,
)
from redact.plan.settings import (
    ASKED_FOR,
    AUDIO,
    EFFECTS,
    FARTHEST,
    HEADS,
    LABELS,
    LEVELS,
    LONGEST_NAME,
    PERMISSIONS,
    Keyframe,
    Region,
    Settings,
)
from redact.plan.verdict import UNHEARD, Check, Verdict

__all__ = [
    "ASKED_FOR",
    "AUDIO",
    "EFFECTS",
    "FARTHEST",
    "FLOW",
    "FOLLOWED",
    "HEADS",
    "LABELS",
    "LEVELS",
    "LONGEST_LIST",
    "LONGEST_NAME",
    "PERMISSIONS",
    "SCHEMA",
    "UNHEARD",
    "Check",
    "Detection",
    "Doubt",
    "Edit",
    "Keyframe",
    "Looked",
    "Plan",
    "Region",
    "Review",
    "Settings",
    "Source",
    "Track",
    "Verdict",
]

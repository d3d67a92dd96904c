"""How much two boxes are one, for tests that compare what was found with what is there."""

from __future__ import annotations

from redact.geometry import Box


def iou(a: Box, b: Box) -> float:
    """Return intersection over union: 0 for boxes that are apart, 1 for equal ones."""
    shared = a.intersect(b)
    return shared.area / (a.area + b.area - shared.area) if shared else 0.0

"""Model cards, finding and checking weight files, and fetching them. Weights are never part of the project."""

from __future__ import annotations

from redact.weights.card import Card, Thresholds, Upstream, cards, ranges
from redact.weights.installed import fetch, folder, is_installed, load
from redact.weights.upstream import obtain

__all__ = [
    "Card",
    "Thresholds",
    "Upstream",
    "cards",
    "fetch",
    "folder",
    "is_installed",
    "load",
    "obtain",
    "ranges",
]

"""Boxes in the pixels of the upright picture, and the arithmetic on them. Every rounding goes outward."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A half-open rectangle of pixels: columns x0 to x1 - 1, rows y0 to y1 - 1.

    The origin is the top left corner of the upright picture. A box may leave the picture; it is never empty.

    Raises:
        ValueError: the box is empty or turned inside out.
    """

    x0: int
    y0: int
    x1: int
    y1: int

    def __post_init__(self) -> None:
        """Refuse empty boxes."""
        if self.x0 >= self.x1 or self.y0 >= self.y1:
            raise ValueError(f"an empty box: {self.x0},{self.y0} to {self.x1},{self.y1}")

    @classmethod
    def outward(cls, x0: float, y0: float, x1: float, y1: float) -> Box:
        """Return the smallest box of whole pixels that holds the rectangle."""
        left, top = math.floor(x0), math.floor(y0)
        return cls(left, top, max(math.ceil(x1), left + 1), max(math.ceil(y1), top + 1))

    @property
    def width(self) -> int:
        """Columns of the box."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Rows of the box."""
        return self.y1 - self.y0

    @property
    def area(self) -> int:
        """Pixels of the box."""
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        """The middle of the box (x, y)."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def contains(self, other: Box) -> bool:
        """Return whether every pixel of the other box is in this one."""
        return self.x0 <= other.x0 and self.y0 <= other.y0 and self.x1 >= other.x1 and self.y1 >= other.y1

    def intersect(self, other: Box) -> Box | None:
        """Return the box of the shared pixels, or None where there are none."""
        x0, y0 = max(self.x0, other.x0), max(self.y0, other.y0)
        x1, y1 = min(self.x1, other.x1), min(self.y1, other.y1)
        return Box(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None

    def shift(self, dx: float, dy: float) -> Box:
        """Return the box moved by a number of pixels, rounded outward."""
        return Box.outward(self.x0 + dx, self.y0 + dy, self.x1 + dx, self.y1 + dy)

    def grow(self, left: float, top: float, right: float, bottom: float) -> Box:
        """Return the box grown by shares of its own width (left, right) and height (top, bottom)."""
        w, h = self.width, self.height
        return Box.outward(self.x0 - left * w, self.y0 - top * h, self.x1 + right * w, self.y1 + bottom * h)

    def clip(self, width: int, height: int) -> Box | None:
        """Return the part of the box that lies in a picture of this size, or None where nothing does."""
        return self.intersect(Box(0, 0, width, height))


def join(boxes: Iterable[Box]) -> Box:
    """Return the smallest box that covers all of them.

    Raises:
        ValueError: there are none.
    """
    held = list(boxes)
    return Box(min(b.x0 for b in held), min(b.y0 for b in held), max(b.x1 for b in held), max(b.y1 for b in held))


def covered_share(a: Box, b: Box) -> float:
    """Return the share of box a that lies in box b."""
    shared = a.intersect(b)
    return shared.area / a.area if shared else 0.0

"""Code detectors: QR codes and bar codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from redact.detectors.looks import Look, Rows, detection_maker, joined, see, upright
from redact.plan import Detection

LEAST_LONG, MOST_LONG = 640, 1280  # pixels of the longer side of what is shown
LEAST_SIDE = 40  # pixels of the shorter side of what is shown: less has no room for a code that can be read
SMALLER = 0.75  # the second size at which bar codes are looked for: wide ones are missed at one (bench/pictures.py)
RIM = 0.1  # of the shorter side of a code: corners are found loosely
CELLS = 6  # that stripes are measured in, for the shorter side of a piece of a bar code
STRIPED = 0.75  # how much the brightness of a cell must change along one direction rather than all
FAINT = 0.3  # of the contrast of the piece that was found: what is fainter no longer belongs to it
# Share of the change that must run in their direction in what the stripes around a piece would make of it: of 313
# pieces of bar codes pasted into photographs, turned by up to 60 degrees, none has under 0.68; shelves have 0.3.
ALONG = 0.6
# What OpenCV takes for a piece of a bar code is one only if its change of brightness runs along one of its sides, and
# if that many bars and gaps lie beside each other. Of 347 codes pasted into photographs, turned by any angle, blurred
# and noisy, each has a piece with 0.87 and 5; of 199 others one is lost, whose bars of a pixel are blurred away. Of 16
# false pieces in 323 frames of clips 9 have less: flags, beams, legs of tripods.
COHERENT, BARS = 0.75, 4
# Many bars and gaps beside each other that are as wide as most, and few others: blinds, fences or the bars of a cell.
# How many at least, what share of all, and how far off the median a width may be. Of 1,732 codes drawn as
# bench/drawn.py does it 1,548 are seen; in none of them each piece has more than 0.6, one has a piece with 0.68.
MANY, MOST, EVEN = 8, 0.7, 0.25
CALM = 0.7  # pixels by which a piece is blurred before that: noise is no bar
BAR = 0.15  # of the range of the profile across the bars: what stands out less is noise
REACH = 1  # longer sides of the piece that was found: stripes further away are other things


class CodeDetector:
    """QR codes and bar codes, by the detectors of OpenCV. Where a bar code ends, its stripes tell.

    OpenCV finds pieces of bar codes; but any slice across all the bars can be read.
    """

    name = "codes"
    labels: tuple[str, ...] = ("code",)
    models: Mapping[str, str] = {"codes": f"opencv {cv2.__version__}"}
    every_s = Fraction(16, 25)
    holds = True

    def __init__(self, weights_folder: Path | None = None) -> None:
        """Make one; it needs no weights."""

    def looks(self, side: int) -> tuple[Look, ...]:
        """Return the picture as large as it is, up to a bound; see `PacedDetector.looks`."""
        return (Look(min(max(side, LEAST_LONG), MOST_LONG)),)

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the codes in one picture; see `Detector.detect`. The score is 1: a code is seen or not."""
        return see(_find, picture, looks, detection_maker(frame, "code", self.name))


def _find(shown: NDArray[np.uint8]) -> Rows:
    """Return the codes in what is shown, as rows of x0, y0, x1, y1, score."""
    if min(shown.shape[:2]) < LEAST_SIDE:
        return np.empty((0, 5))
    grey = np.asarray(cv2.cvtColor(shown, cv2.COLOR_BGR2GRAY), np.uint8)
    found = [*map(_around, _corners(cv2.QRCodeDetectorAruco(), grey)), *_bar_codes(grey)]
    return joined(np.array([_grown(box) for box in found], np.float64).reshape(-1, 5))


def _bar_codes(grey: NDArray[np.uint8]) -> Iterator[NDArray[np.float64]]:
    """Yield the x0, y0, x1, y1 of each bar code, or of each piece of one with the stripes around it."""
    small = np.asarray(cv2.resize(grey, None, fx=SMALLER, fy=SMALLER, interpolation=cv2.INTER_AREA), np.uint8)
    for shown, factor in ((grey, 1.0), (small, SMALLER)):
        for piece in _corners(cv2.barcode.BarcodeDetector(), shown):
            if _has_bars(piece / factor, grey):
                yield _stripes_around(_around(piece / factor), grey)


def _corners(
    detector: cv2.QRCodeDetectorAruco | cv2.barcode.BarcodeDetector, grey: NDArray[np.uint8]
) -> Iterator[NDArray[np.float64]]:
    """Yield the four corners (x, y) of each code that a detector of OpenCV finds; threads cannot share detectors."""
    try:
        found, corners = detector.detectMulti(grey)
    except cv2.error:  # they raise it for some pictures in which they begin to see a code
        return
    for four in np.asarray(corners, np.float64).reshape(-1, 4, 2) if found else ():
        sides = np.ptp(four, axis=0)
        if np.isfinite(four).all() and sides.min() >= 1 and np.abs(four).max() < 2 * max(grey.shape):
            yield four


def _around(four: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the x0, y0, x1, y1 around four corners."""
    return np.concatenate([four.min(axis=0), four.max(axis=0)])


def _has_bars(piece: NDArray[np.float64], grey: NDArray[np.uint8]) -> bool:
    """Return whether a piece of a bar code, given by its corners, shows bars and gaps beside each other."""
    middle, size, angle = cv2.minAreaRect(piece.astype(np.float32))
    width, height = (max(round(side), 2) for side in size)
    part = upright(grey, middle, (width, height), angle).astype(np.float32)
    part = np.asarray(cv2.GaussianBlur(part, (0, 0), CALM), np.float32)
    across, down = (cv2.Sobel(part, cv2.CV_32F, x, y) for x, y in ((1, 0), (0, 1)))
    along, athwart = float((across * across).sum()), float((down * down).sum())
    if max(along, athwart) < COHERENT * (along + athwart):
        return False
    profile = part.mean(axis=0 if along > athwart else 1)
    level = cv2.blur(profile[None], (max(len(profile) // 3, 3), 1))[0]
    over = profile - level
    out = np.flatnonzero(np.abs(over) > BAR * np.ptp(profile))
    turns = np.flatnonzero(np.diff(np.sign(over[out])))
    last, first = out[turns], out[turns + 1]  # of one sign, and of the other: between them it passes the level
    edges = last + (first - last) * over[last] / (over[last] - over[first])
    return len(turns) >= BARS and not _are_even(np.diff(edges))


def _are_even(widths: NDArray[np.float64]) -> bool:
    """Return whether so many bars and gaps of one width lie beside each other as in no code."""
    usual = np.median(widths)
    others = np.flatnonzero(np.pad(np.abs(widths - usual) > EVEN * usual, 1, constant_values=True))
    return int(np.diff(others).max()) - 1 >= max(MANY, MOST * len(widths))


def _stripes_around(piece: NDArray[np.float64], grey: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return a piece of a bar code grown over the stripes around it that run in its direction.

    In each cell the structure tensor tells how much the brightness changes, and how much of that along one direction.
    """
    reach = REACH * (piece[2:] - piece[:2]).max()
    corner = np.maximum(piece[:2] - reach, 0).astype(int)
    stop = np.minimum(np.ceil(piece[2:] + reach), grey.shape[::-1]).astype(int)
    near = grey[corner[1] : stop[1], corner[0] : stop[0]]
    cell = max(4, round((piece[2:] - piece[:2]).min() / CELLS))
    if min(near.shape) < cell:
        return piece
    size = near.shape[1] // cell, near.shape[0] // cell
    across, down = (cv2.Sobel(near, cv2.CV_32F, x, y) for x, y in ((1, 0), (0, 1)))
    products = (across * across - down * down, 2 * across * down, across * across + down * down)
    real, imaginary, change = (cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in products)
    scale = (near.shape[1] / size[0], near.shape[0] / size[1]) * 2
    x0, y0, x1, y1 = ((piece - np.tile(corner, 2)) / scale).round().astype(int).clip(0)
    of_piece = slice(min(y0, size[1] - 1), max(y1, y0 + 1)), slice(min(x0, size[0] - 1), max(x1, x0 + 1))
    way = complex(real[of_piece].sum(), imaginary[of_piece].sum())
    along = (real * way.real + imaginary * way.imag) / max(abs(way), 1e-6)  # of the change, what is in that direction
    striped = (along > STRIPED * change) & (change > FAINT * change[of_piece].mean())
    closed = cv2.dilate(striped.astype(np.uint8), np.ones((3, 3), np.uint8))  # over the widest of bars and gaps
    _, parts = cv2.connectedComponents(closed)
    rows, columns = np.nonzero(striped & np.isin(parts, parts[of_piece][striped[of_piece]]))
    if not len(rows):
        return piece
    whole = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    if abs(complex(real[whole].sum(), imaginary[whole].sum())) < ALONG * change[whole].sum():
        return piece  # it lies among other things with edges
    low = np.array([columns.min(), rows.min()]) * scale[:2] + corner
    high = np.array([columns.max() + 1, rows.max() + 1]) * scale[:2] + corner
    return np.concatenate([np.minimum(piece[:2], low), np.maximum(piece[2:], high)])


def _grown(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a row with a rim around the box."""
    rim = RIM * (box[2:] - box[:2]).min()
    return np.concatenate([box[:2] - rim, box[2:] + rim, [1.0]])

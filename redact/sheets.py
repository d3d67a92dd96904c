"""Contact sheets: what is in doubt, on one picture, for the person who reviews.

The clip is decoded once and only the tiles are kept, so memory does not grow with its length. Tiles show the picture
covered, as the copy will be, unless the reviewer has to see more.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from redact.crew import Progress
from redact.effects import Coverer
from redact.geometry import Box
from redact.media import Frame, FrameReader, open_excerpt
from redact.plan import Doubt, Plan, Track

Picture = NDArray[np.uint8]
Cover = Callable[[Picture, int], Picture]

MOST_TILES = 60  # what a person looks through in a few minutes
COLUMNS = 5
TILE = 240  # pixels, both sides of a tile's picture
SURROUNDINGS = 3  # sides of the box that a tile shows: a face with its shoulders, and what is beside it
LEAST_SIDE = 120  # pixels of the clip that a tile shows at least: smaller ones cannot be made out when enlarged
GAP = 8  # pixels between tiles
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_SCALE = 0.42  # the smallest at which the letters of the font do not run into each other
LINE = 17  # pixels from one line of text to the next
MOST_LETTERS, LEAST_LETTERS = 60, 8  # on a line: more of the narrowest do not fit a tile, so many of the widest do
CAPTION_LINES = 3
STRIP = LINE * (1 + CAPTION_LINES) + 6  # pixels: the line with the frame and its time, and the caption
GROUND = (40, 40, 40)
TEXT = (255, 255, 255)
FAINT = (190, 190, 190)
OUTLINE = ((0, 255, 255), (0, 0, 0))  # inner and outer line: on any ground, one of the two stands out


@dataclass(frozen=True, slots=True)
class Moment:
    """One tile of a sheet.

    Attributes:
        frame: index of the frame in the clip.
        box: what is looked at, in that frame.
        caption: what is to be known about it; the frame and its time are written above it anyway.
    """

    frame: int
    box: Box
    caption: str


def moments_of(doubts: Iterable[Doubt]) -> list[Moment]:
    """Return the moment that shows each doubt best, the highest risk first."""
    moments = []
    for doubt in sorted(doubts, key=lambda d: d.risk, reverse=True):
        stretch = f", frames {doubt.first}-{doubt.last}" if doubt.first < doubt.last else ""
        moments.append(Moment(doubt.frame, doubt.box, f"risk {doubt.risk:.2f}{stretch}: {doubt.reason}"))
    return moments


def moments_of_tracks(tracks: Iterable[Track], width: int, height: int) -> list[Moment]:
    """Return the moment in which most of each track is in the picture, in the order of their frames."""
    moments = []
    for track in sorted(tracks, key=lambda t: (t.first, t.id)):
        inside = [box.clip(width, height) for box in track.boxes]
        best = max(range(len(inside)), key=lambda n: box.area if (box := inside[n]) else 0)
        stretch = f", frames {track.first}-{track.last}" if track.first < track.last else ""
        shown = f", left visible by {track.decided_by}" if track.action == "show" else ""
        moments.append(
            Moment(track.first + best, track.boxes[best], f"track {track.id}: {track.label}{stretch}{shown}")
        )
    return moments


def draw_sheet(moments: Sequence[Moment], plan: Plan, clip: Path, covered: bool, progress: Progress) -> Picture:
    """Return the sheet of moments of a clip, decoded up to the last of them.

    Args:
        moments: what to show, the most important first.
        plan: what is covered, and which excerpt the clip is read for.
        clip: the file that the plan was made for.
        covered: whether the tiles are covered as the copy will be; otherwise they show the clip itself.
        progress: called with the frames read and the number of frames to read.

    Raises:
        InputError: the clip cannot be read.
        PlanError: the clip is not the plan's.
        ValueError: a moment is not in the excerpt.
    """
    coverer = Coverer(plan)

    def cover(picture: Picture, frame: int) -> Picture:
        return coverer.cover(picture, frame)[0]

    with open_excerpt(plan, clip) as reader:
        return draw_tiles(moments, reader, cover if covered else _leave, progress)


def draw_copy_sheet(moments: Sequence[Moment], plan: Plan, copy: Path, progress: Progress) -> Picture:
    """Return the sheet of the same moments as a finished copy shows them; frames and times are the clip's.

    Raises:
        InputError: the copy cannot be read.
        ValueError: a moment is not in the copy.
    """
    with FrameReader(copy) as reader:
        return draw_tiles(moments, _as_in_the_clip(reader, plan), _leave, progress)


def draw_tiles(moments: Sequence[Moment], frames: Iterable[Frame], cover: Cover, progress: Progress) -> Picture:
    """Return the sheet of moments: a grid in their order, of `MOST_TILES` at most, and how many were left out.

    Args:
        moments: what to show, the most important first.
        frames: the pictures, in order, with the indices that the moments use. Read once, up to the last needed one.
        cover: gives the picture that is shown, from a picture and its index; only called for frames that are needed.
        progress: called with the frames read and the number of frames to read.

    Returns:
        BGR, uint8, (height, width, 3).

    Raises:
        ValueError: a moment is not among the frames.
    """
    if not moments:
        return _write_line("There is nothing to show.", TILE + 2 * GAP)
    shown = moments[:MOST_TILES]
    tiles = _collect(shown, frames, cover, progress)
    missing = [moment.frame for n, moment in enumerate(shown) if n not in tiles]
    if missing:
        raise ValueError(f"frame {missing[0]} of a moment is not in the excerpt")
    sheet = _arrange([tiles[n] for n in range(len(shown))])
    left_out = len(moments) - len(shown)
    if left_out:
        return np.vstack([sheet, _write_line(f"and {left_out} more that are not shown here", sheet.shape[1])])
    return sheet


def encode_png(picture: Picture) -> bytes:
    """Return a picture (BGR, uint8) as a PNG file, without loss."""
    done, data = cv2.imencode(".png", picture)
    if not done:
        raise ValueError("the picture could not be encoded")
    return data.tobytes()


def _leave(picture: Picture, frame: int) -> Picture:
    """Return the picture as it is."""
    return picture


def _as_in_the_clip(copy: Iterable[Frame], plan: Plan) -> Iterator[Frame]:
    """Yield the frames of a copy, which begins at zero, under the clip's indices and times."""
    for frame in copy:
        yield replace(frame, index=frame.index + plan.source.first, time=frame.time + plan.begin)


def _collect(
    moments: Sequence[Moment], frames: Iterable[Frame], cover: Cover, progress: Progress
) -> dict[int, Picture]:
    """Return the tile of each moment that is among the frames, by its place in the list."""
    wanted: dict[int, list[int]] = {}
    for n, moment in enumerate(moments):
        wanted.setdefault(moment.frame, []).append(n)
    tiles: dict[int, Picture] = {}
    last, total = max(wanted), 0
    for done, frame in enumerate(frames, start=1):
        total = total or max(1, last - frame.index + 1)
        if frame.index in wanted:
            picture = cover(frame.picture, frame.index)
            for n in wanted[frame.index]:
                tiles[n] = _draw_tile(picture, frame, moments[n])
        progress(done, total)
        if frame.index >= last:
            break
    return tiles


def _draw_tile(picture: Picture, frame: Frame, moment: Moment) -> Picture:
    """Return the surroundings of the box with an outline around it, and the text below; (TILE + STRIP, TILE, 3)."""
    height, width = picture.shape[:2]
    window = _window(moment.box, width, height)
    view = _cut(picture, window)
    how = cv2.INTER_AREA if window.width > TILE else cv2.INTER_CUBIC
    tile = np.full((TILE + STRIP, TILE, 3), GROUND, np.uint8)
    tile[:TILE] = cv2.resize(view, (TILE, TILE), interpolation=how)
    _draw_outline(tile[:TILE], moment.box.shift(-window.x0, -window.y0), TILE / window.width)
    _put(tile, f"frame {frame.index} at {_clock(frame.time)}", TILE + LINE, TEXT)
    for n, line in enumerate(_wrap(moment.caption), start=2):
        _put(tile, line, TILE + n * LINE, FAINT)
    return tile


def _window(box: Box, width: int, height: int) -> Box:
    """Return the square around a box that a tile shows: in the picture where it fits in, else over its middle."""
    longer = min(max(box.width, box.height), max(width, height))
    side = min(max(SURROUNDINGS * longer, LEAST_SIDE), max(longer, min(width, height)))

    def begin(middle: float, whole: int) -> int:
        return round(min(max(middle - side / 2, 0), whole - side)) if side <= whole else (whole - side) // 2

    x, y = box.center
    left, top = begin(x, width), begin(y, height)
    return Box(left, top, left + side, top + side)


def _cut(picture: Picture, window: Box) -> Picture:
    """Return what the picture shows in a window, on the sheet's ground where the window leaves the picture."""
    height, width = picture.shape[:2]
    view = np.full((window.height, window.width, 3), GROUND, np.uint8)
    seen = window.clip(width, height)
    if seen:
        part = seen.shift(-window.x0, -window.y0)
        view[part.y0 : part.y1, part.x0 : part.x1] = picture[seen.y0 : seen.y1, seen.x0 : seen.x1]
    return view


def _draw_outline(view: Picture, box: Box, scale: float) -> None:
    """Draw two thin lines around a box given in pixels of the clip; they stay in the view where the box leaves it."""
    inner = Box.outward(box.x0 * scale, box.y0 * scale, box.x1 * scale, box.y1 * scale)
    for distance, colour in enumerate(OUTLINE, start=1):
        # The inner line keeps one pixel from the edge, so that the outer one is seen there too.
        least, most = 2 - distance, TILE - 3 + distance
        x0, y0 = (min(max(v - distance, least), most) for v in (inner.x0, inner.y0))
        x1, y1 = (min(max(v + distance - 1, least), most) for v in (inner.x1, inner.y1))
        cv2.rectangle(view, (x0, y0), (x1, y1), colour, 1)


def _arrange(tiles: Sequence[Picture]) -> Picture:
    """Return tiles in rows of `COLUMNS`, with gaps between and around them."""
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    down, across = TILE + STRIP + GAP, TILE + GAP
    sheet = np.full((rows * down + GAP, columns * across + GAP, 3), GROUND, np.uint8)
    for n, tile in enumerate(tiles):
        y, x = n // columns * down + GAP, n % columns * across + GAP
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return sheet


def _write_line(text: str, width: int) -> Picture:
    """Return a strip of this width with one line of text."""
    strip = np.full((LINE + 2 * GAP, width, 3), GROUND, np.uint8)
    _put(strip[:, GAP:], text, GAP + LINE - 4, TEXT)
    return strip


def _wrap(text: str) -> list[str]:
    """Return a text in ASCII, in lines that fit the width of a tile; it is shortened where they are too few.

    OpenCV's letters differ in width, and from version to version: the lines are measured.
    """
    plain = text.encode("ascii", "replace").decode()
    lines: list[str] = []
    for length in range(MOST_LETTERS, LEAST_LETTERS - 1, -1):
        lines = textwrap.wrap(plain, length, max_lines=CAPTION_LINES, placeholder="...")
        if all(cv2.getTextSize(line, FONT, FONT_SCALE, 1)[0][0] < TILE for line in lines):
            break
    return lines


def _put(picture: Picture, text: str, baseline: int, colour: tuple[int, int, int]) -> None:
    """Write one line of ASCII text at the left edge."""
    cv2.putText(picture, text, (1, baseline), FONT, FONT_SCALE, colour, 1, cv2.LINE_AA)


def _clock(time: Fraction) -> str:
    """Return a time as [hours:]minutes:seconds, down to the millisecond; never later than it is."""
    seconds, thousandths = divmod(int(time * 1000), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    front = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{front}:{seconds:02}.{thousandths:03}"

"""Composing films: title cards and copies one after the other, with captions in the picture.

The only room that imports MoviePy, which lays texts and pictures over each other. It counts time in floats, so it never
says when a picture is shown: that is laid out beforehand in exact times, and MoviePy is asked for what is seen halfway
between one of them and the next. Frames are read and written by `media`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from moviepy import CompositeVideoClip, TextClip, VideoClip
from numpy.typing import NDArray
from PIL import ImageFont

from redact.captions import Caption
from redact.errors import InputError, UsageError
from redact.media import Colour, Frame, FrameReader, Picture

UNIT = Fraction(1, 90_000)  # of the film's times: the usual rates are whole numbers of it
STILL_RATE = 5  # frames a second of what does not move: enough to seek in, and few to search for faces
STILL_S = Fraction(4)  # how long a card or a photograph is shown
CARD_LETTERS, CAPTION_LETTERS = 14, 20  # how many lines would fill the picture
TEXT_WIDTH = Fraction(9, 10)  # of the picture
WHITE, SHADE = "white", (0, 0, 0, 160)
NO_LETTER = "\U0010ffff"  # which no font has: how it is drawn is how all that are missing are drawn


@dataclass(frozen=True)
class Shot:
    """A copy: where it is, what it was when it was measured, and the times of its frames from its beginning."""

    path: Path
    size: tuple[int, int]
    times: tuple[Fraction, ...]
    length: Fraction
    rate: Fraction
    colour: Colour


@dataclass(frozen=True)
class Part:
    """A stretch of a film.

    Attributes:
        shows: the text of a card, or a copy.
        begins: when, in seconds from the beginning of the film.
        moments: when the picture may change, from the beginning of the part; the first is zero.
        length: in seconds.
    """

    shows: str | Path
    begins: Fraction
    moments: tuple[Fraction, ...]
    length: Fraction


@dataclass(frozen=True)
class Film:
    """A film that is laid out; `media.FrameWriter` takes its form.

    Attributes:
        parts: one after the other, without gaps.
        captions: in times of the film.
        size: width and height in pixels, both even.
        rate: frames a second; good for guesses only.
        colour: how numbers become colours.
        font: the file of a font; None for the one that comes with Pillow.
    """

    parts: tuple[Part, ...]
    captions: tuple[Caption, ...]
    size: tuple[int, int]
    rate: Fraction
    colour: Colour
    font: Path | None
    time_base: Fraction = UNIT

    @property
    def length(self) -> Fraction:
        """In seconds."""
        return self.parts[-1].begins + self.parts[-1].length

    @property
    def times(self) -> tuple[Fraction, ...]:
        """Presentation time of each frame."""
        return tuple(part.begins + moment for part in self.parts for moment in part.moments)

    def part_at(self, time: Fraction) -> Part:
        """Return the part that is shown at a time."""
        return next(part for part in reversed(self.parts) if part.begins <= time)


def measure(copy: Path) -> Shot:
    """Decode a copy to its end, and return what it is.

    Raises:
        InputError: it cannot be decoded whole.
    """
    with FrameReader(copy) as reader:
        size, times = (0, 0), []
        for frame in reader:
            if frame.damaged:
                raise InputError(f"{copy.name} is damaged, at {float(frame.time):.2f} s.", "Make the copy again.")
            size = frame.picture.shape[1], frame.picture.shape[0]
            times.append(frame.time)
        if reader.still:
            return Shot(copy, size, _still_times(), STILL_S, Fraction(STILL_RATE), reader.colour)
        step = times[-1] - times[-2] if len(times) > 1 else 1 / reader.rate
        return Shot(copy, size, tuple(times), times[-1] + step, reader.rate, reader.colour)


def lay_out(shows: Sequence[str | Shot], captions: Sequence[Caption], size: tuple[int, int], font: Path | None) -> Film:
    """Return the film that shows cards and copies in this order.

    Args:
        shows: texts of cards, and copies; at least one copy.
        captions: in times of the film.
        size: width and height in pixels; copies of another size are fitted in.
        font: the file of a font; None for the one that comes with Pillow.

    Raises:
        InputError: the font cannot be read, or a caption lies behind the end.
        UsageError: a text does not fit into the picture, or the font lacks letters of it.
    """
    parts: list[Part] = []
    now = Fraction(0)
    for shown in shows:
        length = _on_grid(shown.length if isinstance(shown, Shot) else STILL_S)
        changes = {_on_grid(time) for time in (shown.times if isinstance(shown, Shot) else _still_times())}
        changes |= {_on_grid(edge) - now for caption in captions for edge in (caption.begin, caption.end)}
        moments = tuple(sorted({Fraction(0), *(m for m in changes if 0 < m < length)}))
        parts.append(Part(shown.path if isinstance(shown, Shot) else shown, now, moments, length))
        now += length
    if captions and captions[-1].begin >= now:
        raise InputError(f"The last captions begin after the end of the film, {float(now):.2f} s.", "Correct the file.")
    first = next(shown for shown in shows if isinstance(shown, Shot))
    even = size[0] + size[0] % 2, size[1] + size[1] % 2
    film = Film(tuple(parts), tuple(captions), even, first.rate, first.colour, font)
    for text in (shown for shown in shows if isinstance(shown, str)):
        _write_text(text, film, CARD_LETTERS)
    for caption in captions:
        _write_text(caption.text, film, CAPTION_LETTERS)
    return film


def compose(film: Film) -> Iterator[tuple[Picture, Fraction]]:
    """Yield each picture of a film, BGR, uint8, (height, width, 3), and the time from which it is shown.

    Raises:
        InputError: a copy cannot be read.
    """
    for part in film.parts:
        with ExitStack() as stack:
            clip = CompositeVideoClip([_show(part, film, stack), *_captions_in(part, film)], size=film.size)
            for moment, after in pairwise((*part.moments, part.length)):
                picture = clip.get_frame(float((moment + after) / 2))
                yield np.ascontiguousarray(picture[..., ::-1], np.uint8), part.begins + moment


def _still_times() -> tuple[Fraction, ...]:
    """Return the times of the frames of what does not move."""
    return tuple(Fraction(n, STILL_RATE) for n in range(int(STILL_S * STILL_RATE)))


def _on_grid(time: Fraction) -> Fraction:
    """Return a time as the film can hold it."""
    return round(time / UNIT) * UNIT


def _show(part: Part, film: Film, stack: ExitStack) -> Any:
    """Return what a part shows, in the middle of the picture."""
    if isinstance(part.shows, str):
        shown = _write_text(part.shows, film, CARD_LETTERS)
    else:
        shown = VideoClip(_Shown(stack.enter_context(FrameReader(part.shows))).at)
        factor = min(film.size[0] / shown.w, film.size[1] / shown.h)
        if factor != 1:
            shown = shown.resized((round(shown.w * factor), round(shown.h * factor)))
    return shown.with_duration(float(part.length)).with_position("center")


class _Shown:
    """The frames of a reader, asked for in the order of their times."""

    def __init__(self, reader: FrameReader) -> None:
        self._frames = iter(reader)
        self._now: Frame = next(self._frames)
        self._next = next(self._frames, None)

    def at(self, time: float) -> NDArray[np.uint8]:
        """Return the picture that is shown at a time, RGB."""
        while self._next is not None and self._next.time <= time:
            self._now, self._next = self._next, next(self._frames, None)
        return self._now.picture[..., ::-1]


def _captions_in(part: Part, film: Film) -> list[Any]:
    """Return the captions that are to be read in a part, near the lower edge."""
    clips = []
    for caption in film.captions:
        begin, end = _on_grid(caption.begin) - part.begins, _on_grid(caption.end) - part.begins
        if begin < part.length and end > 0:
            clip = _write_text(caption.text, film, CAPTION_LETTERS)
            place = "center", max(0, film.size[1] - clip.h - film.size[1] // CAPTION_LETTERS)
            clips.append(clip.with_start(float(begin)).with_duration(float(end - begin)).with_position(place))
    return clips


def _write_text(text: str, film: Film, share: int) -> Any:
    """Return a text in white on a shade, as wide as it is, its letters this share of the picture's height.

    Raises:
        InputError: the font cannot be read.
        UsageError: the text does not fit, or the font lacks letters of it.
    """
    size = max(10, film.size[1] // share)
    try:
        font = ImageFont.truetype(film.font, size) if film.font else ImageFont.load_default(size)
    except OSError as error:
        raise InputError(f"The font {film.font} cannot be read: {error}.", "Name a .ttf or .otf file.") from error
    if missing := sorted({c for c in text if not c.isspace() and _looks(font, c) == _looks(font, NO_LETTER)}):
        raise UsageError(
            f"The font has no letters for {' '.join(missing[:10])}.", "Name a font that has them with --font FILE."
        )
    wrapped = _wrap(text, font, int(film.size[0] * TEXT_WIDTH) - size)
    clip = TextClip(
        text=wrapped,
        font=str(film.font) if film.font else None,
        font_size=size,
        color=WHITE,
        bg_color=SHADE,
        margin=(size // 2, size // 4),
        text_align="center",
        interline=size // 4,
    )
    if clip.w > film.size[0] or clip.h > film.size[1]:
        raise UsageError(f"The text {text[:40]!r} does not fit into {film.size[0]}x{film.size[1]}.", "Shorten it.")
    return clip


def _looks(font: Any, letter: str) -> tuple[Any, bytes]:
    """Return how a font draws a letter."""
    drawn = font.getmask(letter)
    return drawn.size, bytes(drawn)


def _wrap(text: str, font: Any, width: int) -> str:
    """Return a text whose lines are at most so many pixels wide, broken between words.

    MoviePy breaks lines too, but within words where a text has several lines.
    """
    lines = []
    for line in text.split("\n"):
        words = line.split()
        full = words[:1]
        for word in words[1:]:
            if font.getlength(f"{full[-1]} {word}") <= width:
                full[-1] += f" {word}"
            else:
                full.append(word)
        lines += full
    return "\n".join(lines)

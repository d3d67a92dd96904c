"""What a decoder's process says, in words: nothing of it is believed before it was checked here.

What makes no sense raises a TypeError, a ValueError or an ArithmeticError.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from redact.media.decoding import Header
from redact.media.files import Contents
from redact.media.frames import Colour
from redact.media.listening import AAC_RATES, LAYOUTS, SoundHeader

LARGEST_NUMBER = 1 << 256  # time stamps have 64 bits, and parts of their units 32: a time is made from a few of these


def check_header(untrusted: Any) -> Header:
    """Return a header that was sent."""
    base, rate, colour, sounds, still, frames, end = untrusted
    check_numbers(*colour, sounds, frames or 0)
    unit, per_second, ends = check_fraction(base), check_fraction(rate), None if end is None else check_fraction(end)
    if len(colour) != 3 or min(unit, per_second) <= 0 or sounds < 0:
        raise ValueError
    return Header(unit, per_second, Colour(*colour), sounds, still is True, frames, ends)


def check_sound_header(untrusted: Any) -> SoundHeader:
    """Return a header of sound that was sent."""
    rate, layout = untrusted
    if type(rate) is not int or rate not in AAC_RATES or layout not in LAYOUTS:
        raise ValueError
    return SoundHeader(rate, layout)


def check_contents(untrusted: Any) -> Contents:
    """Return contents that were sent."""
    streams, pixel_format, tags, chapters = untrusted
    check_numbers(chapters)
    return Contents(tuple(map(str, streams)), str(pixel_format), tuple(map(str, tags)), chapters)


def check_stretches(untrusted: Any) -> list[tuple[Fraction, Fraction]]:
    """Return stretches that were sent."""
    return [(check_fraction(begin), check_fraction(end)) for begin, end in untrusted]


def check_fraction(untrusted: Any) -> Fraction:
    """Return a fraction that was sent: not as text, which can ask for more digits than there is time for."""
    numerator, denominator = untrusted
    check_numbers(numerator, denominator)
    return Fraction(numerator, denominator)


def check_numbers(*untrusted: Any) -> None:
    """Refuse what is no whole number, or one that nothing in a clip comes near."""
    if not all(type(number) is int and abs(number) <= LARGEST_NUMBER for number in untrusted):
        raise ValueError

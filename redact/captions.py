"""Captions, and reading them from SubRip files (.srt)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from redact.errors import InputError

HOW = "Correct the file, or save it again as SubRip (.srt) in UTF-8."
_TIMES = re.compile(r"\s*([\d:.,]+)\s*-->\s*([\d:.,]+)(?:\s.*)?")
_TIME = re.compile(r"(\d{1,4}):(\d\d):(\d\d)[,.](\d{1,3})")
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>|\{\\[^{}]*\}")  # italics, colours, places: pictures show the words alone


@dataclass(frozen=True, slots=True)
class Caption:
    """What is to be read from one time to another, in seconds; lines as they were broken."""

    begin: Fraction
    end: Fraction
    text: str


def read_captions(path: Path) -> tuple[Caption, ...]:
    """Return the captions in a SubRip file, in order.

    Raises:
        InputError: it cannot be read, is no such file, or two of its captions would be shown at once.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The captions {path.name} cannot be read: {error}.", HOW) from error
    blocks = re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").replace("\r", "\n"))
    captions = tuple(_read_block(block.strip("\n"), path.name) for block in blocks if block.strip())
    if not captions:
        raise InputError(f"{path.name} holds no captions.", HOW)
    for one, other in pairwise(captions):
        if other.begin < one.end:
            raise InputError(f"In {path.name}: the caption {_short(other.text)} begins before the last one ends.", HOW)
    return captions


def _read_block(block: str, name: str) -> Caption:
    """Return the caption of one block: a number, which may be missing, the times, and the text."""
    lines = block.split("\n")
    if lines[0].strip().isdecimal() and len(lines) > 1:
        lines = lines[1:]
    times = _TIMES.fullmatch(lines[0])
    begin, end = (_read_time(word) for word in times.groups()) if times else (None, None)
    text = "\n".join(line.strip() for line in _MARKUP.sub("", "\n".join(lines[1:])).split("\n")).strip()
    if begin is None or end is None or begin >= end:
        raise InputError(f"In {name}: {_short(lines[0])} is not the beginning and end of a caption.", HOW)
    if not text or not text.replace("\n", "").isprintable():
        raise InputError(f"In {name}: the caption at {lines[0].strip()} holds no text, or what is no text.", HOW)
    return Caption(begin, end, text)


def _read_time(word: str) -> Fraction | None:
    """Return a time in seconds."""
    found = _TIME.fullmatch(word)
    if not found:
        return None
    hours, minutes, seconds = (int(part) for part in found.groups()[:3])
    return 3600 * hours + 60 * minutes + seconds + Fraction(int(found[4].ljust(3, "0")), 1000)


def _short(text: str) -> str:
    """Return the beginning of a text, for a message."""
    return repr(text[:40])

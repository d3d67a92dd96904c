"""What an MP4 file holds besides its pictures and its sound: its boxes, and whether its tracks tell of every byte."""

from __future__ import annotations

import re
import stat
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from redact.boxes import BLOCK, Enough, FileBox, Walk, name_of
from redact.errors import InputError

MAX_UNITS = 64  # NAL units of one frame; x264 writes one
SOUND_DELAY = 1024  # samples before the sound, which every AAC encoder needs and every player skips
# What encoders and muxers sign with. In a gigabyte of encoded pictures four given bytes turn up by chance; there a
# version has to follow. Each expression begins with fixed letters: that is searched ten times as fast.
MARKS = re.compile(rb"Lav[cf]"), re.compile(rb"x264")
SURE_MARKS = re.compile(rb"Lav[cf]\d{1,4}\.\d"), re.compile(rb"x264 - ")


@dataclass(frozen=True)
class _Track:
    """A track whose tables agree: its handler, and where its chunks and their samples are."""

    box: FileBox
    handler: str
    sizes: Sequence[int]
    chunks: list[tuple[int, int, int, int]]  # begin and end in the file, first sample, number of samples


def find_residue(path: Path) -> list[str]:
    """Return what an MP4 file holds that a copy must not hold, in plain words; empty if there is nothing.

    Whatever the file is, this ends: reading it once is the most that is done, and nothing in it raises.

    Raises:
        InputError: it is no file, or cannot be read.
    """
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise InputError(f"{path.name} is not a file.", "Name a copy.")
        with path.open("rb") as file:
            walk = Walk(file, about.st_size)
            try:
                _check(walk)
            except Enough:
                walk.findings.append("file: the rest was not looked at")
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror}.") from error
    return walk.findings


def blank_user_data(path: Path) -> None:
    """Make the box of tags, which the muxer writes even where there are none, into free space of zeros, in place.

    Raises:
        OSError: the file cannot be read or written.
    """
    with path.open("r+b") as file:
        walk = Walk(file, path.stat().st_size)
        for kind, _, start, end in [*walk.spans(FileBox("file", "file", 0, walk.size))]:
            if kind != "moov":
                continue
            for inner, at, first, last in [*walk.spans(FileBox("moov", "moov", start, end))]:
                if inner == "udta":
                    file.seek(at + 4)
                    file.write(b"free")
                    file.seek(first)
                    file.write(bytes(last - first))


def _check(walk: Walk) -> None:
    """Make all checks."""
    top = FileBox("file", "file", 0, walk.size)
    walk.open(top)
    media, movie = top.inside.get("mdat", []), top.first("moov")
    _check_marks(walk, media)
    if movie is None:
        return
    traks = movie.inside.get("trak", [])
    _check_handlers(walk, traks)
    tracks = [track for trak in traks if (track := _read_track(walk, trak))]
    for track in tracks:
        _check_times(walk, track, movie)
    if len(media) == 1 and len(tracks) == len(traks) and _check_layout(walk, tracks, media[0]):
        for track in tracks:
            if track.handler == "vide":
                _check_units(walk, track)


def _check_marks(walk: Walk, media: list[FileBox]) -> None:
    """Look for what encoders and muxers sign with, in the whole file."""
    overlap, at = 32, 0
    for box in [*media, FileBox("file", "file", walk.size, walk.size)]:
        for place, marks, start, end in (("file", MARKS, at, box.start), (box.path, SURE_MARKS, box.start, box.end)):
            for begin in range(start, end, BLOCK):
                block = walk.read(begin, min(BLOCK + overlap, end - begin))
                for found in filter(None, (mark.search(block) for mark in marks)):
                    walk.say(place, f"the text {found[0][:4].decode()}, with which an encoder signs")
        at = box.end


def _check_handlers(walk: Walk, traks: list[FileBox]) -> None:
    """Check that there is one track of pictures, at most one of sound, and no other; each as its kind has to be."""
    kinds = [_handler(trak) for trak in traks]
    if kinds.count("vide") != 1:
        walk.say("moov", f"{kinds.count('vide')} tracks of pictures")
    if kinds.count("soun") > 1:
        walk.say("moov", f"{kinds.count('soun')} tracks of sound")
    for trak, kind in zip(traks, kinds, strict=True):
        if kind not in ("vide", "soun"):
            walk.say(trak.path, f"a track that is neither of pictures nor of sound, but {kind}")
            continue
        head, entry, other = ("vmhd", "avc1", "soun") if kind == "vide" else ("smhd", "mp4a", "vide")
        if trak.first(f"mdia/minf/{head}") is None or trak.first(f"mdia/minf/stbl/stsd/{entry}") is None:
            walk.say(trak.path, f"it says that it is {kind}, but not how it is encoded, or as {other}")


def _handler(trak: FileBox) -> str:
    """Return what kind of track it is."""
    box = trak.first("mdia/hdlr")
    return name_of(box.values.get("handler", 0).to_bytes(4)) if box else "unknown"


def _read_track(walk: Walk, trak: FileBox) -> _Track | None:
    """Return a track whose tables agree with each other, or None."""
    table = trak.first("mdia/minf/stbl")
    if table is None:
        return None
    offsets = [n for kind in ("stco", "co64") for box in table.inside.get(kind, ()) for n in box.numbers]
    sizes, runs = (box.numbers if (box := table.first(kind)) else () for kind in ("stsz", "stsc"))
    triples = [*zip(runs[::3], runs[1::3], runs[2::3], strict=True)]
    starts = [first for first, _, _ in triples] + [len(offsets) + 1]
    fine = (
        bool(sizes) and min(sizes) > 0 and bool(triples) and starts[0] == 1 and all(a < b for a, b in pairwise(starts))
    )
    fine = fine and all(per > 0 and entry == 1 for _, per, entry in triples)
    fine = fine and ("stco" in table.inside) != ("co64" in table.inside)
    ranges = zip(triples, pairwise(starts), strict=True) if fine else ()
    counts = [per for (_, per, _), (a, b) in ranges for _ in range(a, b)]
    if sum(counts) != len(sizes) or not counts:
        walk.say(table.path, "its tables do not say of each sample where it is")
        return None
    chunks, sample = [], 0
    for begin, count in zip(offsets, counts, strict=True):
        chunks.append((begin, begin + sum(sizes[sample : sample + count]), sample, count))
        sample += count
    return _Track(trak, _handler(trak), sizes, chunks)


def _check_times(walk: Walk, track: _Track, movie: FileBox) -> None:
    """Check that every sample has a time of its own, and that the edit list shows every one of them."""
    table = track.box.first("mdia/minf/stbl")
    scales = [box.values.get("time scale", 0) for box in (movie.first("mvhd"), track.box.first("mdia/mdhd")) if box]
    assert table is not None
    durations, delays = (_expanded(table.first(kind), len(track.sizes)) for kind in ("stts", "ctts"))
    if durations is None or (delays is None and "ctts" in table.inside) or len(scales) < 2 or 0 in scales:
        walk.say(table.path, "its tables do not say of each sample when it is shown")
        return
    keys = box.numbers if (box := table.first("stss")) else ()
    if any(a >= b for a, b in pairwise((0, *keys, len(track.sizes) + 1))):
        walk.say(table.path + "/stss", "its key frames are not in order")
    times, now = [], 0
    for n, duration in enumerate(durations):
        times.append(now + (delays[n] if delays else 0))
        now += duration
    times.sort()
    if any(a == b for a, b in pairwise(times)):
        walk.say(table.path, "two samples have the same time, so that one of them is hidden")
    edits = track.box.first("edts/elst")
    if edits is not None:
        _check_edits(walk, track, edits, (times[0], times[-1]), (scales[0], scales[1]))
    lengths = [box.values.get("length", 0) for box in (movie.first("mvhd"), track.box.first("tkhd")) if box]
    # Both are lengths in the movie's unit; a player may stop where they end. The delay of the sound is not counted.
    needed = times[-1] - times[0] - (SOUND_DELAY if track.handler == "soun" else 0)
    if len(lengths) < 2 or lengths[0] < lengths[1] or lengths[1] * scales[1] < needed * scales[0] or not lengths[1]:
        walk.say(track.box.path, "the file says that it is shorter than it is")


def _check_edits(walk: Walk, track: _Track, box: FileBox, times: tuple[int, int], scales: tuple[int, int]) -> None:
    """Check that an edit list only says when the first sample is shown, and hides none."""
    edits = [*struct.iter_unpack(">QqI" if box.version == 1 else ">IiI", bytes(box.numbers))]
    if len(edits) == 2 and edits[0][1] == -1:
        edits = edits[1:]
    if len(edits) != 1 or edits[0][1] < 0 or edits[0][2] != 1 << 16:
        walk.say(box.path, "it does more than say when the track begins")
        return
    length, begin, _ = edits[0]
    movie, media = scales
    # The delay of the sound is skipped; and its length is rounded to the movie's unit of time.
    first, slack = (times[0] + SOUND_DELAY, 1) if track.handler == "soun" else (times[0], 0)
    if begin > first or times[1] * movie >= begin * movie + (length + slack) * media:
        walk.say(box.path, "it hides samples that are in the file")


def _check_layout(walk: Walk, tracks: list[_Track], media: FileBox) -> bool:
    """Check that every byte of the media data belongs to one sample; return whether each sample is where it can be."""
    at, fine = media.start, True
    for begin, end, _, _ in sorted(chunk for track in tracks for chunk in track.chunks):
        if begin > at:
            walk.say(media.path, f"{begin - at} bytes from {at} on belong to no sample")
        fine = fine and begin >= at
        at = max(at, end)
    if not fine or at > media.end:
        walk.say(media.path, "samples lie over each other or outside")
        return False
    if at < media.end:
        walk.say(media.path, f"{media.end - at} bytes from {at} on belong to no sample")
    return True


def _check_units(walk: Walk, track: _Track) -> None:
    """Check that each frame is made of slices only: no SEI, where encoders leave their settings, and no filler."""
    seen: dict[str, list[int]] = {}
    for begin, _, first, count in track.chunks:
        at = begin
        for sample in range(first, first + count):
            end = at + track.sizes[sample]
            for what in set(_odd_units(walk, at, end)):
                seen.setdefault(what, [sample, 0])[1] += 1
            at = end
    for what, (sample, count) in seen.items():
        walk.say(track.box.path, f"{what} in {count} frames, the first is number {sample} in the file")


def _odd_units(walk: Walk, at: int, end: int) -> Iterator[str]:
    """Yield what is not to be in one frame."""
    for _ in range(MAX_UNITS):
        if at == end:
            return
        size, head, kind = struct.unpack(">IBB", walk.read(at, 6)) if end - at >= 6 else (0, 0, 0)
        at += 4 + size
        if size < 2 or at > end or head & 0x80:
            yield "a NAL unit that is not whole"
            return
        if head & 31 == 6:
            yield "user data in an SEI unit" if kind in (4, 5) else "an SEI unit"
        elif head & 31 not in (1, 5):
            yield f"a NAL unit of type {head & 31}"
    if at != end:
        yield f"more than {MAX_UNITS} NAL units"


def _expanded(box: FileBox | None, count: int) -> list[int] | None:
    """Return the second number of each pair, as often as the first one says; None unless that makes so many."""
    if box is None or sum(box.numbers[::2]) != count:
        return None
    return [value for times, value in zip(box.numbers[::2], box.numbers[1::2], strict=True) for _ in range(times)]

"""What an MP4 file holds besides its pictures and its sound: a strict walk through its boxes.

Only what `media.FrameWriter` writes is known here; everything else is a finding. The file is hostile until it is
walked: boxes, tables and findings are bounded, and media data is never held in memory. A finding names a place and
what is wrong with it, and never quotes what was found. The layout is that of ISO/IEC 14496-12, -14 and -15.
"""

from __future__ import annotations

import re
import stat
import struct
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from redact.errors import InputError

MAX_FINDINGS = 50  # what more there is would not change what is to be done
MAX_BOXES = 1000  # a copy has about 50
MAX_SAMPLES = 1 << 22  # of one track: a day at 48 frames a second
MAX_UNITS = 64  # NAL units of one frame; x264 writes one
MAX_LEAF = 4096  # bytes of a box that is no table; the largest of a copy has 100
MAX_PARAMETERS = 64  # bytes of an SPS or PPS; x264 writes about 30
SOUND_DELAY = 1024  # samples before the sound, which every AAC encoder needs and every player skips
BLOCK = 1 << 20
# What encoders and muxers sign with. In a gigabyte of encoded pictures four given bytes turn up by chance; there a
# version has to follow. Each expression begins with fixed letters: that is searched ten times as fast.
MARKS = re.compile(rb"Lav[cf]"), re.compile(rb"x264")
SURE_MARKS = re.compile(rb"Lav[cf]\d{1,4}\.\d"), re.compile(rb"x264 - ")

_ONE, _MAYBE, _ANY = (1, 1), (0, 1), (0, MAX_BOXES)
_INSIDE = {  # of each box that holds boxes: those it may hold, with the least and the most of them
    "file": {"ftyp": _ONE, "moov": _ONE, "mdat": _ONE, "free": _ANY, "skip": _ANY, "wide": _ANY},
    "moov": {"mvhd": _ONE, "trak": _ANY, "free": _ANY},
    "trak": {"tkhd": _ONE, "edts": _MAYBE, "mdia": _ONE},
    "edts": {"elst": _ONE},
    "mdia": {"mdhd": _ONE, "hdlr": _ONE, "minf": _ONE},
    "minf": {"vmhd": _MAYBE, "smhd": _MAYBE, "dinf": _ONE, "stbl": _ONE},
    "dinf": {"dref": _ONE},
    "stbl": dict.fromkeys(("stsd", "stts", "stsc", "stsz"), _ONE)
    | dict.fromkeys(("stss", "ctts", "stco", "co64", "sgpd", "sbgp"), _MAYBE),
    "stsd": {"avc1": _MAYBE, "mp4a": _MAYBE},
    "avc1": {"avcC": _ONE, "colr": _MAYBE, "pasp": _MAYBE, "btrt": _MAYBE},
    "mp4a": {"esds": _ONE, "btrt": _MAYBE},
}
_REASONS = {
    "udta": "user data: tags, names, places",
    "meta": "tags",
    "uuid": "private data",
    "ID32": "tags",
    "XMP_": "tags",
    "tref": "one track refers to another, as for chapters",
    "moof": "a fragment",
}

# Fields of boxes in their order: bytes that have to be these, or a number of bytes that may be any.
_DATE, _LENGTH = -1, -2  # 4 bytes, or 8 where the box's version is 1; a date has to be zero
_Fields = tuple[tuple[str, bytes | int], ...]
_DATES: _Fields = (("creation date", _DATE), ("modification date", _DATE))
_MATRIX = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
_FIELDS: dict[str, _Fields] = {
    "ftyp": (("brand", b"isom\0\0\2\0isomiso2avc1mp41"),),
    "mvhd": (
        *_DATES,
        ("time scale", 4),
        ("length", _LENGTH),
        ("rate, volume or reserved part", b"\0\1\0\0\1\0" + bytes(10)),
        ("matrix", _MATRIX),
        ("reserved part", bytes(24)),
        ("next track", 4),
    ),
    "tkhd": (
        *_DATES,
        ("track number", 4),
        ("reserved part", bytes(4)),
        ("length", _LENGTH),
        ("reserved part", bytes(8)),
        ("layer", bytes(2)),
        ("alternate group and volume", 4),
        ("reserved part", bytes(2)),
        ("matrix", _MATRIX),
        ("width and height", 8),
    ),
    "mdhd": (*_DATES, ("time scale", 4), ("length", _LENGTH), ("language", b"\x55\xc4"), ("reserved part", bytes(2))),
    "vmhd": (("graphics mode", bytes(8)),),
    "smhd": (("balance", bytes(4)),),
    "dref": (("place of the media", b"\0\0\0\1\0\0\0\x0curl \0\0\0\1"),),
    "stsd": (("number of entries", b"\0\0\0\1"),),
    "avc1": (
        ("reserved part or reference", bytes(7) + b"\1"),
        ("reserved part", bytes(16)),
        ("width and height", 4),
        ("resolution", b"\0\x48\0\0\0\x48\0\0" + bytes(4)),
        ("number of frames", b"\0\1"),
        ("encoder name", bytes(32)),
        ("depth", b"\0\x18\xff\xff"),
    ),
    "mp4a": (
        ("reserved part or reference", bytes(7) + b"\1"),
        ("reserved part", bytes(8)),
        ("channels", 2),
        ("sample size or reserved part", b"\0\x10" + bytes(4)),
        ("sample rate", 4),
    ),
    "colr": (("kind", b"nclx"), ("colours", 7)),
    "pasp": (("aspect ratio", b"\0\0\0\1\0\0\0\1"),),
    "btrt": (("bit rates", 12),),
    "sgpd": (("grouping", b"roll\0\0\0\2\0\0\0\1\xff\xff"),),
    "sbgp": (("grouping", b"roll\0\0\0\1"), ("number of samples", 4), ("group", b"\0\0\0\1")),
}
_UNVERSIONED = {"ftyp", "avc1", "mp4a", "colr", "pasp", "btrt", "avcC"}
_VERSIONS = {"mvhd": (0, 1), "tkhd": (0, 1), "mdhd": (0, 1), "elst": (0, 1), "sgpd": (1,)}
_FLAGS = {"tkhd": 3, "vmhd": 1}  # a track that is not enabled is not shown
_TABLES = {"stts": "II", "ctts": "II", "stsc": "III", "stss": "I", "stco": "I", "co64": "Q"}
_HANDLER_NAMES = (b"", b"\0", b"VideoHandler\0", b"SoundHandler\0")
_SOUND_FORM = re.compile(  # of an esds: three descriptors in each other and one beside; sizes of one or four bytes
    rb"\x03(?:\x80{3})?(.)\0.\0\x04(?:\x80{3})?(.)\x40\x15.{11}\x05(?:\x80{3})?(.)(.{2,5})(?:\x06(?:\x80{3})?\x01\x02)",
    re.DOTALL,
)


class _Enough(Exception):
    """There is no sense in walking on."""


@dataclass
class _Box:
    """A box: its kind, where it is in the tree, where its payload is in the file, and what was read from it."""

    kind: str
    path: str
    start: int
    end: int
    inside: dict[str, list[_Box]] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    numbers: Sequence[int] = ()
    version: int = 0

    def first(self, path: str) -> _Box | None:
        """Return the first box at a path below this one."""
        box: _Box | None = self
        for kind in path.split("/"):
            box = next(iter(box.inside.get(kind, ())), None) if box else None
        return box


@dataclass(frozen=True)
class _Track:
    """A track whose tables agree: its handler, and where its chunks and their samples are."""

    box: _Box
    handler: str
    sizes: Sequence[int]
    chunks: list[tuple[int, int, int, int]]  # begin and end in the file, first sample, number of samples


class _Walk:
    """An open file and what was found in it."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size
        self.findings: list[str] = []
        self.boxes = 0

    def say(self, place: str, what: str) -> None:
        """Note a finding."""
        finding = f"{place}: {what}"
        if finding not in self.findings:
            self.findings.append(finding)
        if len(self.findings) >= MAX_FINDINGS:
            raise _Enough

    def read(self, at: int, size: int) -> bytes:
        """Return bytes of the file: never fewer."""
        self.file.seek(at)
        data = self.file.read(size)
        if len(data) < size:
            self.say("file", "it became shorter while it was read")
            raise _Enough
        return data

    def spans(self, box: _Box, skip: int = 0) -> Iterator[tuple[str, int, int, int]]:
        """Yield the boxes in a box after so many bytes: kind, begin, begin of the payload, end."""
        at = box.start + skip
        while at < box.end:
            left = box.end - at
            if left < 8:
                self.say(box.path, f"{left} bytes after its last box")
                return
            self.boxes += 1
            if self.boxes > MAX_BOXES:
                self.say(box.path, f"more than {MAX_BOXES} boxes")
                raise _Enough
            size, kind = struct.unpack(">I4s", self.read(at, 8))
            head = 8
            if size == 1 and left >= 16:
                size, head = int.from_bytes(self.read(at + 8, 8)), 16
            if not head <= size <= left:
                self.say(box.path, f"a box {_name(kind)} says that it has {size} bytes, where {left} are left")
                return
            yield _name(kind), at, at + head, at + size
            at += size

    def open(self, box: _Box, skip: int = 0) -> None:
        """Read the tree of boxes below a box."""
        known = _INSIDE[box.kind]
        for kind, _, start, end in self.spans(box, skip):
            place = kind if box.kind == "file" else f"{box.path}/{kind}"
            if kind not in known:
                self.say(place, _REASONS.get(kind, "a box that copies do not have"))
                continue
            others = box.inside.setdefault(kind, [])
            others.append(_Box(kind, f"{place} {len(others) + 1}" if kind == "trak" else place, start, end))
            self.look_into(others[-1])
        for kind, (least, most) in known.items():
            count = len(box.inside.get(kind, ()))
            if not least <= count <= most:
                self.say(box.path, f"{count} boxes {kind}" if count else f"the box {kind} is missing")

    def look_into(self, box: _Box) -> None:
        """Read what is in a box: its fields, its table or its boxes."""
        if box.kind in ("free", "skip", "wide"):
            blocks = (self.read(at, min(BLOCK, box.end - at)) for at in range(box.start, box.end, BLOCK))
            if any(block.count(0) < len(block) for block in blocks):
                self.say(box.path, "free space that is not empty")
        elif box.kind in _TABLES or box.kind in ("stsz", "elst"):
            self.read_table(box)
        elif box.kind in _FIELDS and box.kind in _INSIDE:
            size = sum(len(v) if isinstance(v, bytes) else v for _, v in _FIELDS[box.kind])
            size = min(size + 4 * (box.kind not in _UNVERSIONED), box.end - box.start)
            self.read_fields(box, self.read(box.start, size))
            self.open(box, size)
        elif box.kind in _INSIDE:
            self.open(box)
        elif box.kind != "mdat":
            if box.end - box.start > MAX_LEAF:
                self.say(box.path, "larger than it can be")
                return
            payload = self.read(box.start, box.end - box.start)
            _LEAVES.get(box.kind, _Walk.read_fields)(self, box, payload)

    def check_version(self, box: _Box, payload: bytes) -> bytes:
        """Check the version and flags with which most boxes begin; return what follows."""
        if box.kind in _UNVERSIONED:
            return payload
        box.version = payload[0] if payload else 0
        flags = int.from_bytes(payload[1:4])
        if len(payload) < 4 or box.version not in _VERSIONS.get(box.kind, (0,)) or flags != _FLAGS.get(box.kind, 0):
            self.say(box.path, "its version or flags are not the usual ones")
        return payload[4:]

    def read_fields(self, box: _Box, payload: bytes) -> None:
        """Check each field of a box, and keep those that are numbers."""
        payload = self.check_version(box, payload)
        at = 0
        for name, want in _FIELDS[box.kind]:
            size = len(want) if isinstance(want, bytes) else want
            size = size if size > 0 else 8 if box.version == 1 else 4
            value = payload[at : at + size]
            at += size
            if len(value) < size:
                self.say(box.path, "shorter than it has to be")
                return
            if want == _DATE:
                want = bytes(size)
            if isinstance(want, bytes) and value != want:
                self.say(box.path, f"its {name} is not {'the usual one' if any(want) else 'empty'}")
            box.values[name] = int.from_bytes(value)
        if at < len(payload):
            self.say(box.path, f"{len(payload) - at} bytes more than it needs")

    def read_table(self, box: _Box) -> None:
        """Read a table whose size agrees with the number of its entries."""
        size = box.end - box.start
        extra = 4 * (box.kind == "stsz")  # one size for all samples, or zero
        if size < 8 + extra:
            self.say(box.path, "shorter than it has to be")
            return
        head = self.check_version(box, self.read(box.start, 8 + extra))
        same, count = int.from_bytes(head[:extra]), int.from_bytes(head[extra:])
        form = _TABLES.get(box.kind, "I")
        entry = {"stsz": 0 if same else 4, "elst": 20 if box.version == 1 else 12}.get(
            box.kind, struct.calcsize(f">{form}")
        )
        if count > MAX_SAMPLES:
            self.say(box.path, f"{count} entries, more than can be checked")
        elif size != 8 + extra + count * entry:
            self.say(box.path, f"{size} bytes do not hold {count} entries")
        elif same:
            box.numbers = array("I", [same]) * count
        else:
            data = self.read(box.start + 8 + extra, count * entry)
            box.numbers = data if box.kind == "elst" else _numbers(data, form[0])

    def check_handler(self, box: _Box, payload: bytes) -> None:
        """Keep what kind of track it is; its name has to be one that says nothing."""
        rest = self.check_version(box, payload)
        box.values["handler"] = int.from_bytes(rest[4:8])
        if any(rest[:4]) or any(rest[8:20]) or len(rest) < 20:
            self.say(box.path, "its reserved part is not empty")
        if rest[20:] not in _HANDLER_NAMES:
            self.say(box.path, "its handler name is not a neutral one")

    def check_parameters(self, box: _Box, data: bytes) -> None:
        """Check that an avcC holds one SPS, one PPS and nothing else."""
        at = 8 + int.from_bytes(data[6:8])
        sps, end = data[8:at], at + 3 + int.from_bytes(data[at + 1 : at + 3])
        pps, rest = data[at + 3 : end], data[end:]
        whole = len(data) >= end and data[:1] + data[4:6] + data[at : at + 1] == b"\1\xff\xe1\1"
        if not whole or sps[:1] != b"\x67" or pps[:1] != b"\x68" or rest not in (b"", b"\xfd\xf8\xf8\0"):
            self.say(box.path, "it does not hold one SPS, one PPS and nothing else")
        elif max(len(sps), len(pps)) > MAX_PARAMETERS:
            self.say(box.path, "its SPS or PPS is longer than it can be")

    def check_sound_form(self, box: _Box, payload: bytes) -> None:
        """Check that an esds holds the descriptors of AAC and nothing else."""
        data = self.check_version(box, payload)
        match = _SOUND_FORM.fullmatch(data)
        sizes = match and (len(data) - match.end(1), match.end(4) - match.end(2), len(match[4]))
        if not match or sizes != (match[1][0], match[2][0], match[3][0]):
            self.say(box.path, "it does not hold the description of AAC sound and nothing else")


_LEAVES: dict[str, Callable[[_Walk, _Box, bytes], None]] = {
    "hdlr": _Walk.check_handler,
    "avcC": _Walk.check_parameters,
    "esds": _Walk.check_sound_form,
}


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
            walk = _Walk(file, about.st_size)
            try:
                _check(walk)
            except _Enough:
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
        walk = _Walk(file, path.stat().st_size)
        for kind, _, start, end in [*walk.spans(_Box("file", "file", 0, walk.size))]:
            if kind != "moov":
                continue
            for inner, at, first, last in [*walk.spans(_Box("moov", "moov", start, end))]:
                if inner == "udta":
                    file.seek(at + 4)
                    file.write(b"free")
                    file.seek(first)
                    file.write(bytes(last - first))


def _check(walk: _Walk) -> None:
    """Make all checks."""
    top = _Box("file", "file", 0, walk.size)
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


def _check_marks(walk: _Walk, media: list[_Box]) -> None:
    """Look for what encoders and muxers sign with, in the whole file."""
    overlap, at = 32, 0
    for box in [*media, _Box("file", "file", walk.size, walk.size)]:
        for place, marks, start, end in (("file", MARKS, at, box.start), (box.path, SURE_MARKS, box.start, box.end)):
            for begin in range(start, end, BLOCK):
                block = walk.read(begin, min(BLOCK + overlap, end - begin))
                for found in filter(None, (mark.search(block) for mark in marks)):
                    walk.say(place, f"the text {found[0][:4].decode()}, with which an encoder signs")
        at = box.end


def _check_handlers(walk: _Walk, traks: list[_Box]) -> None:
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


def _handler(trak: _Box) -> str:
    """Return what kind of track it is."""
    box = trak.first("mdia/hdlr")
    return _name(box.values.get("handler", 0).to_bytes(4)) if box else "unknown"


def _read_track(walk: _Walk, trak: _Box) -> _Track | None:
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


def _check_times(walk: _Walk, track: _Track, movie: _Box) -> None:
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


def _check_edits(walk: _Walk, track: _Track, box: _Box, times: tuple[int, int], scales: tuple[int, int]) -> None:
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


def _check_layout(walk: _Walk, tracks: list[_Track], media: _Box) -> bool:
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


def _check_units(walk: _Walk, track: _Track) -> None:
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


def _odd_units(walk: _Walk, at: int, end: int) -> Iterator[str]:
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


def _expanded(box: _Box | None, count: int) -> list[int] | None:
    """Return the second number of each pair, as often as the first one says; None unless that makes so many."""
    if box is None or sum(box.numbers[::2]) != count:
        return None
    return [value for times, value in zip(box.numbers[::2], box.numbers[1::2], strict=True) for _ in range(times)]


def _numbers(data: bytes, form: str) -> Sequence[int]:
    """Return the big-endian numbers that stand in a table."""
    numbers = array(form, data)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _name(kind: bytes) -> str:
    """Return the name of a kind of box, in letters that can be shown."""
    text = kind.decode("ascii", "replace")
    return text if text.isascii() and text.isprintable() and text.strip() == text else f"0x{kind.hex()}"

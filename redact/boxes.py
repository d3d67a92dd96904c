"""The boxes of an MP4 file: a strict walk through those that a copy has.

Only what `media.FrameWriter` writes is known here; everything else is a finding. The file is hostile until it is
walked: boxes, tables and findings are bounded, and media data is never held in memory. A finding names a place and
what is wrong with it, and never quotes what was found. The layout is that of ISO/IEC 14496-12, -14 and -15.
"""

from __future__ import annotations

import re
import struct
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

MAX_FINDINGS = 50  # what more there is would not change what is to be done
MAX_BOXES = 1000  # a copy has about 50
MAX_SAMPLES = 1 << 22  # of one track: a day at 48 frames a second
MAX_LEAF = 4096  # bytes of a box that is no table; the largest of a copy has 100
MAX_PARAMETERS = 64  # bytes of an SPS or PPS; x264 writes about 30
BLOCK = 1 << 20

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


class Enough(Exception):
    """There is no sense in walking on."""


@dataclass
class FileBox:
    """A box: its kind, where it is in the tree, where its payload is in the file, and what was read from it."""

    kind: str
    path: str
    start: int
    end: int
    inside: dict[str, list[FileBox]] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    numbers: Sequence[int] = ()
    version: int = 0

    def first(self, path: str) -> FileBox | None:
        """Return the first box at a path below this one."""
        box: FileBox | None = self
        for kind in path.split("/"):
            box = next(iter(box.inside.get(kind, ())), None) if box else None
        return box


class Walk:
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
            raise Enough

    def read(self, at: int, size: int) -> bytes:
        """Return bytes of the file: never fewer."""
        self.file.seek(at)
        data = self.file.read(size)
        if len(data) < size:
            self.say("file", "it became shorter while it was read")
            raise Enough
        return data

    def spans(self, box: FileBox, skip: int = 0) -> Iterator[tuple[str, int, int, int]]:
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
                raise Enough
            size, kind = struct.unpack(">I4s", self.read(at, 8))
            head = 8
            if size == 1 and left >= 16:
                size, head = int.from_bytes(self.read(at + 8, 8)), 16
            if not head <= size <= left:
                self.say(box.path, f"a box {name_of(kind)} says that it has {size} bytes, where {left} are left")
                return
            yield name_of(kind), at, at + head, at + size
            at += size

    def open(self, box: FileBox, skip: int = 0) -> None:
        """Read the tree of boxes below a box."""
        known = _INSIDE[box.kind]
        for kind, _, start, end in self.spans(box, skip):
            place = kind if box.kind == "file" else f"{box.path}/{kind}"
            if kind not in known:
                self.say(place, _REASONS.get(kind, "a box that copies do not have"))
                continue
            others = box.inside.setdefault(kind, [])
            others.append(FileBox(kind, f"{place} {len(others) + 1}" if kind == "trak" else place, start, end))
            self.look_into(others[-1])
        for kind, (least, most) in known.items():
            count = len(box.inside.get(kind, ()))
            if not least <= count <= most:
                self.say(box.path, f"{count} boxes {kind}" if count else f"the box {kind} is missing")

    def look_into(self, box: FileBox) -> None:
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
            _LEAVES.get(box.kind, Walk.read_fields)(self, box, payload)

    def check_version(self, box: FileBox, payload: bytes) -> bytes:
        """Check the version and flags with which most boxes begin; return what follows."""
        if box.kind in _UNVERSIONED:
            return payload
        box.version = payload[0] if payload else 0
        flags = int.from_bytes(payload[1:4])
        if len(payload) < 4 or box.version not in _VERSIONS.get(box.kind, (0,)) or flags != _FLAGS.get(box.kind, 0):
            self.say(box.path, "its version or flags are not the usual ones")
        return payload[4:]

    def read_fields(self, box: FileBox, payload: bytes) -> None:
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

    def read_table(self, box: FileBox) -> None:
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

    def check_handler(self, box: FileBox, payload: bytes) -> None:
        """Keep what kind of track it is; its name has to be one that says nothing."""
        rest = self.check_version(box, payload)
        box.values["handler"] = int.from_bytes(rest[4:8])
        if any(rest[:4]) or any(rest[8:20]) or len(rest) < 20:
            self.say(box.path, "its reserved part is not empty")
        if rest[20:] not in _HANDLER_NAMES:
            self.say(box.path, "its handler name is not a neutral one")

    def check_parameters(self, box: FileBox, data: bytes) -> None:
        """Check that an avcC holds one SPS, one PPS and nothing else."""
        at = 8 + int.from_bytes(data[6:8])
        sps, end = data[8:at], at + 3 + int.from_bytes(data[at + 1 : at + 3])
        pps, rest = data[at + 3 : end], data[end:]
        whole = len(data) >= end and data[:1] + data[4:6] + data[at : at + 1] == b"\1\xff\xe1\1"
        if not whole or sps[:1] != b"\x67" or pps[:1] != b"\x68" or rest not in (b"", b"\xfd\xf8\xf8\0"):
            self.say(box.path, "it does not hold one SPS, one PPS and nothing else")
        elif max(len(sps), len(pps)) > MAX_PARAMETERS:
            self.say(box.path, "its SPS or PPS is longer than it can be")

    def check_sound_form(self, box: FileBox, payload: bytes) -> None:
        """Check that an esds holds the descriptors of AAC and nothing else."""
        data = self.check_version(box, payload)
        match = _SOUND_FORM.fullmatch(data)
        sizes = match and (len(data) - match.end(1), match.end(4) - match.end(2), len(match[4]))
        if not match or sizes != (match[1][0], match[2][0], match[3][0]):
            self.say(box.path, "it does not hold the description of AAC sound and nothing else")


_LEAVES: dict[str, Callable[[Walk, FileBox, bytes], None]] = {
    "hdlr": Walk.check_handler,
    "avcC": Walk.check_parameters,
    "esds": Walk.check_sound_form,
}


def _numbers(data: bytes, form: str) -> Sequence[int]:
    """Return the big-endian numbers that stand in a table."""
    numbers = array(form, data)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def name_of(kind: bytes) -> str:
    """Return the name of a kind of box, in letters that can be shown."""
    text = kind.decode("ascii", "replace")
    return text if text.isascii() and text.isprintable() and text.strip() == text else f"0x{kind.hex()}"

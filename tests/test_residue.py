"""A copy holds nothing but pictures and sound, and what is put beside them is found."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redact import pipeline, rendering
from redact.boxes import BLOCK, MAX_FINDINGS
from redact.errors import InputError
from redact.media import FrameReader, FrameWriter, SoundReader
from redact.residue import blank_user_data, find_residue
from tests.clips import moving_portrait, write_clip
from tests.conftest import MadeClip, Result

CONTAINERS = ("moov", "trak", "edts", "mdia", "minf", "dinf", "stbl")
TABLES = "moov/trak/mdia/minf/stbl"
IRREGULAR = [840, 880, 930, 935, 1140, 1840, 1841, 1880]


def pictures(count: int = 8, width: int = 96, height: int = 72) -> list[Any]:
    return [picture for picture, _ in moving_portrait(count, width, height, 0.15)]


def write_copy(clip: Path, path: Path, sound: bool, begin: Fraction = Fraction(0)) -> Path:
    with (
        FrameReader(clip, begin) as reader,
        SoundReader(clip, begin, None) if sound else nullcontext() as voice,
        FrameWriter(path, reader, 17, voice) as writer,
    ):
        for frame in reader:
            writer.write(frame.picture, frame.time - begin)
    return path


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("residue")
    clip = write_clip(folder / "clip.mp4", pictures(), sound=True)
    return write_copy(clip, folder / "copy.mp4", sound=True).read_bytes()


@pytest.fixture
def look(tmp_path: Path) -> Callable[[bytes], list[str]]:
    """Find what is in some bytes."""

    def find(data: bytes) -> list[str]:
        path = tmp_path / "some.mp4"
        path.write_bytes(data)
        return find_residue(path)

    return find


def box(kind: str, payload: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind.encode()) + payload


def boxes(data: bytes, begin: int = 0, end: int | None = None, path: str = "") -> Iterator[tuple[str, int, int]]:
    """Yield every box that is no sample entry: path, begin, end. The second of a kind has the number 2 behind it."""
    at, counts = begin, dict[str, int]()
    while at < (len(data) if end is None else end):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        name = kind.decode()
        counts[name] = counts.get(name, 0) + 1
        place = path + name + (str(counts[name]) if counts[name] > 1 else "")
        yield place, at, at + size
        if name in CONTAINERS:
            yield from boxes(data, at + 8, at + size, place + "/")
        at += size


def where(data: bytes, path: str) -> tuple[int, int]:
    return next((begin, end) for place, begin, end in boxes(data) if place == path)


def put(data: bytes, path: str, new: bytes, beside: bool = False) -> bytes:
    """Put bytes at the end of a box, or behind it; sizes and chunk offsets are made to fit."""
    fixed, (_, at), (media, _) = bytearray(data), where(data, path), where(data, "mdat")
    for place, begin, end in boxes(data):
        if path.startswith(place + "/") or (path == place and not beside):
            fixed[begin : begin + 4] = struct.pack(">I", end - begin + len(new))
        if place.endswith("/stco") and at <= media:
            offsets = struct.unpack(f">{(end - begin - 16) // 4}I", data[begin + 16 : end])
            fixed[begin + 16 : end] = struct.pack(f">{len(offsets)}I", *(n + len(new) for n in offsets))
    return bytes(fixed[:at] + new + fixed[at:])


def patch(data: bytes, path: str, offset: int, new: bytes) -> bytes:
    """Overwrite bytes of a box, counted from its beginning."""
    at = where(data, path)[0] + offset
    return data[:at] + new + data[at + len(new) :]


def behind(data: bytes, text: bytes, offset: int, new: bytes) -> bytes:
    """Overwrite bytes, counted from where a text is found first."""
    at = data.index(text) + offset
    return data[:at] + new + data[at + len(new) :]


def add_to(data: bytes, path: str, offset: int, number: int) -> bytes:
    """Add to a number of four bytes in a box."""
    at = where(data, path)[0] + offset
    return patch(data, path, offset, struct.pack(">I", struct.unpack(">I", data[at : at + 4])[0] + number))


def in_first_frame(data: bytes, offset: int, new: bytes) -> bytes:
    """Overwrite bytes of the first frame in the file, counted from the size of its first NAL unit."""
    (at,) = struct.unpack(">I", data[(begin := where(data, f"{TABLES}/stco")[0] + 16) : begin + 4])
    return data[: at + offset] + new + data[at + offset + len(new) :]


def twice(data: bytes, path: str) -> bytes:
    begin, end = where(data, path)
    return put(data, path, data[begin:end], beside=True)


CLIPS = {
    "sound": ("a.mp4", {"sound": True}, True, Fraction(0)),
    "no sound": ("a.mp4", {"sound": True}, False, Fraction(0)),
    "excerpt": ("a.mp4", {"sound": True}, True, Fraction(3, 25)),
    "late": ("a.mkv", {"sound": True, "times": IRREGULAR}, True, Fraction(0)),
    "coarse time": ("a.avi", {"sound": True, "codec": "mpeg4"}, True, Fraction(0)),
    "colours": ("a.mkv", {"options": {"x264-params": "colorprim=bt709:transfer=bt709:colormatrix=bt709"}}, False, 0),
}


@pytest.mark.parametrize("kind", CLIPS)
def test_a_copy_has_no_residue(kind: str, tmp_path: Path) -> None:
    name, options, sound, begin = CLIPS[kind]
    clip = write_clip(tmp_path / name, pictures(), metadata={"title": "Cell 7"}, **options)  # type: ignore[arg-type]
    copy = write_copy(clip, tmp_path / "copy.mp4", sound, Fraction(begin))
    assert find_residue(copy) == []
    assert len([b for b in boxes(copy.read_bytes()) if b[0].endswith("mdhd")]) == 1 + sound


def test_a_copy_of_one_frame_has_no_residue(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", pictures(1))
    assert find_residue(write_copy(clip, tmp_path / "copy.mp4", sound=False)) == []


def test_the_tags_that_the_muxer_writes_are_blanked_in_place(copy: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tagged.mp4"
    path.write_bytes(put(copy, "moov", box("udta", box("meta", b"Ana Horvat"))))
    assert find_residue(path) == ["moov/udta: user data: tags, names, places"]
    blank_user_data(path)
    assert find_residue(path) == []
    assert b"Ana Horvat" not in path.read_bytes()
    before = path.read_bytes()
    blank_user_data(path)
    assert path.read_bytes() == before


SOUND = "moov/trak2"
PLANTED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "tags": ("moov/udta: user data", lambda d: put(d, "moov", box("udta"))),
    "tags of a track": ("moov/trak 1/udta: user data", lambda d: put(d, "moov/trak", box("udta"))),
    "tags in a new form": ("moov/meta: tags", lambda d: put(d, "moov", box("meta", bytes(4)))),
    "tags beside all": ("meta: tags", lambda d: d + box("meta", bytes(4))),
    "private data": ("uuid: private data", lambda d: put(d, "ftyp", box("uuid", b"x" * 40), beside=True)),
    "ID3": ("ID32: tags", lambda d: put(d, "moov", box("ID32", b"x" * 40))),
    "XMP": ("XMP_: tags", lambda d: put(d, "moov/trak/mdia", box("XMP_", b"x" * 40))),
    "chapters": ("refers to another", lambda d: put(d, "moov/trak", box("tref", box("chap", b"\0\0\0\2")))),
    "an unknown box": ("stbl/abcd: a box that copies do not have", lambda d: put(d, TABLES, box("abcd"))),
    "a box without a name": ("0x00ff0aa9: a box", lambda d: d + b"\0\0\0\x08\0\xff\n\xa9"),
    "free space": ("free: free space that is not empty", lambda d: d + box("free", bytes(99) + b"A")),
    "free space in moov": ("moov/free: free space", lambda d: put(d, "moov", box("free", b"Ana"))),
    "loose bytes": ("file: 5 bytes after its last box", lambda d: d + b"Ana H"),
    "loose bytes in moov": ("moov: 3 bytes after its last box", lambda d: put(d, "moov", b"Ana")),
    "a box to the end": ("a box free says that it has 0 bytes", lambda d: d + b"\0\0\0\0freeAna"),
    "a second movie": ("file: 2 boxes moov", lambda d: twice(d, "moov")),
    "second media data": ("file: 2 boxes mdat", lambda d: d + box("mdat", b"Ana")),
    "hidden media data": ("bytes from", lambda d: put(d, "mdat", b"Ana")),
    "a brand": ("ftyp: its brand is not the usual one", lambda d: patch(d, "ftyp", 8, b"mp42")),
    "a date": ("mvhd: its creation date is not empty", lambda d: patch(d, "moov/mvhd", 15, b"\1")),
    "a date of change": ("mvhd: its modification date", lambda d: patch(d, "moov/mvhd", 16, b"\xdd")),
    "a date of a track": ("tkhd: its creation date", lambda d: patch(d, "moov/trak/tkhd", 12, b"\xdd")),
    "a date of media": ("trak 2/mdia/mdhd: its mod", lambda d: patch(d, f"{SOUND}/mdia/mdhd", 17, b"\xdd")),
    "a language": ("its language is not the usual one", lambda d: patch(d, "moov/trak/mdia/mdhd", 28, b"\x15\xc7")),
    "a handler name": ("its handler name is not a neutral", lambda d: behind(d, b"VideoHandler", 0, b"AnaHorvat123")),
    "a longer handler name": ("its handler name", lambda d: put(d, f"{SOUND}/mdia/hdlr", b"Ana\0")),
    "an encoder name": ("avc1: its encoder name is not empty", lambda d: behind(d, b"avc1\0", 46, b"\x07Ana Cam")),
    "a matrix": ("tkhd: its matrix is not the usual one", lambda d: patch(d, "moov/trak/tkhd", 48, b"\xff")),
    "text in a reserved part": ("tkhd: its reserved part", lambda d: patch(d, "moov/trak/tkhd", 36, b"Ana")),
    "more in a header": ("mvhd: 3 bytes more than it needs", lambda d: put(d, "moov/mvhd", b"Ana")),
    "more in a table": ("bytes do not hold 8 entries", lambda d: put(d, f"{TABLES}/stsz", b"Ana Horvat")),
    "a track that is not enabled": ("tkhd: its version or flags", lambda d: patch(d, "moov/trak/tkhd", 11, b"\2")),
    "a second picture track": ("moov: 2 tracks of pictures", lambda d: twice(d, "moov/trak")),
    "a second sound track": ("moov: 2 tracks of sound", lambda d: twice(d, SOUND)),
    "a text track": ("sound, but text", lambda d: behind(d, b"soun", 0, b"text")),
    "a time code track": ("sound, but tmcd", lambda d: behind(d, b"soun", 0, b"tmcd")),
    "a hint track": ("sound, but hint", lambda d: behind(d, b"soun", 0, b"hint")),
    "pictures as sound": ("moov: 0 tracks of pictures", lambda d: behind(d, b"vide", 0, b"soun")),
    "media elsewhere": ("dref: its place of the media", lambda d: patch(d, "moov/trak/mdia/minf/dinf/dref", 27, b"\0")),
    "an edit that hides the first": ("it hides samples", lambda d: add_to(d, "moov/trak/edts/elst", 20, 1)),
    "an edit that hides the last": ("it hides samples", lambda d: add_to(d, "moov/trak/edts/elst", 16, -512)),
    "an edit that hides sound": ("trak 2/edts/elst: it hides", lambda d: add_to(d, f"{SOUND}/edts/elst", 20, 1)),
    "an edit that hides late sound": (
        "trak 2/edts/elst: it hides",
        lambda d: add_to(d, f"{SOUND}/edts/elst", 16, -999),
    ),
    "an edit at another speed": ("elst: it does more", lambda d: patch(d, "moov/trak/edts/elst", 24, b"\0\2")),
    "many edits": (
        "elst: it does more",
        lambda d: put(patch(d, "moov/trak/edts/elst", 15, b"\2"), "moov/trak/edts/elst", bytes(12)),
    ),
    "a short movie": ("says that it is shorter", lambda d: patch(d, "moov/mvhd", 24, b"\0\0\0\1")),
    "a short track": ("says that it is shorter", lambda d: patch(d, "moov/trak/tkhd", 28, b"\0\0\0\1")),
    "two frames at one time": ("two samples have the same time", lambda d: patch(d, f"{TABLES}/stts", 20, bytes(4))),
    "a sample less": ("when it is shown", lambda d: add_to(d, f"{TABLES}/stts", 16, -1)),
    "a chunk elsewhere": ("samples lie over each other", lambda d: add_to(d, f"{TABLES}/stco", 16, -8)),
    "a sample that is larger": ("samples lie over each other", lambda d: add_to(d, f"{TABLES}/stsz", 20, 8)),
    "a sample that is smaller": ("8 bytes from", lambda d: add_to(d, f"{TABLES}/stsz", 20, -8)),
    "key frames out of order": ("key frames are not in order", lambda d: patch(d, f"{TABLES}/stss", 16, bytes(4))),
    "an SEI with user data": (
        "moov/trak 1: user data in an SEI unit in 1 frames, the first is number 0",
        lambda d: in_first_frame(d, 4, b"\x06\x05"),
    ),
    "another SEI": ("an SEI unit in 1 frames", lambda d: in_first_frame(d, 4, b"\x06\x01")),
    "filler": ("a NAL unit of type 12", lambda d: in_first_frame(d, 4, b"\x0c")),
    "an unknown unit": ("a NAL unit of type 30", lambda d: in_first_frame(d, 4, b"\x3e")),
    "a broken unit": ("a NAL unit that is not whole", lambda d: in_first_frame(d, 0, b"\xff")),
    "many units": ("more than 64 NAL units", lambda d: in_first_frame(d, 0, b"\0\0\0\2\x41\x9a" * 70)),
    "settings as text": ("mdat: the text x264", lambda d: in_first_frame(d, 9, b"x264 - core 164 r3108")),
    "a version as text": ("mdat: the text Lavc", lambda d: in_first_frame(d, 9, b"Lavc60.31.102")),
    "a muxer's name": ("file: the text Lavf", lambda d: put(d, "moov", box("udta", b"Lavf"))),
    "two SPS": ("avcC: it does not hold one SPS", lambda d: behind(d, b"avcC", 9, b"\xe2")),
    "an SPS of another kind": ("avcC: it does not hold", lambda d: behind(d, b"avcC", 12, b"\x06")),
    "another description of sound": ("esds: it does not hold", lambda d: behind(d, b"esds", 9, b"\x26")),
    "a sound profile": ("esds: it does not hold", lambda d: behind(d, b"esds", 21, b"\x6b")),
}


def test_the_clean_copy_is_clean(copy: bytes, look: Callable[[bytes], list[str]]) -> None:
    assert look(copy) == []
    assert look(put(copy, "moov", box("free", bytes(300)))) == []


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_found_and_named(what: str, copy: bytes, look: Callable[[bytes], list[str]]) -> None:
    words, plant = PLANTED[what]
    findings = look(plant(copy))
    assert [f for f in findings if words in f], findings
    assert not [f for f in findings if "Ana" in f]


def test_the_forms_of_large_and_long_copies_are_clean(copy: bytes, look: Callable[[bytes], list[str]]) -> None:
    """The muxer writes them from 4 GiB on, or from 2^32 units of time on."""
    (free, media), (_, end) = where(copy, "free"), where(copy, "mdat")
    assert copy[media:].startswith(struct.pack(">I4s", end - media, b"mdat"))
    wide = copy[:free] + struct.pack(">I4sQ", 1, b"mdat", end - free) + copy[media + 8 :]
    assert look(wide) == []
    path, (begin, end) = f"{TABLES}/stco", where(copy, f"{TABLES}/stco")
    count = (end - begin - 16) // 4
    far = put(copy, path, bytes(4 * count))
    offsets = struct.unpack(f">{count}I", far[begin + 16 : end])
    far = patch(patch(far, path, 16, struct.pack(f">{count}Q", *offsets)), path, 4, b"co64")
    assert look(far) == []
    begin, _ = where(copy, "moov/mvhd")
    scale, length = struct.unpack(">II", copy[begin + 20 : begin + 28])
    times = b"\1" + bytes(19) + struct.pack(">IQ", scale, length)
    long = patch(put(copy, "moov/mvhd", bytes(12)), "moov/mvhd", 8, times + copy[begin + 28 : begin + 108])
    assert look(long) == []
    assert look(patch(long, "moov/mvhd", 15, b"\1")) == ["moov/mvhd: its creation date is not empty"]


def test_a_mark_is_found_where_two_blocks_meet(look: Callable[[bytes], list[str]]) -> None:
    for shift in range(5):
        data = bytes(BLOCK - shift) + b"x264" + bytes(99)
        assert "file: the text x264, with which an encoder signs" in look(data)


def test_four_letters_in_encoded_pictures_are_chance(copy: bytes, look: Callable[[bytes], list[str]]) -> None:
    assert look(in_first_frame(copy, 9, b"Lavc..")) == []


def write_foreign(path: Path, kind: str) -> None:
    """Write a file as other programs do."""
    if kind in ("title", "comment", "creation_time"):
        write_clip(path, pictures(), metadata={kind: "2019-05-04T10:00:00"})
        return
    plain = write_clip(path.with_name("plain.mp4"), pictures())
    with av.open(str(plain)) as source, av.open(str(path), "w", options={"fflags": "+bitexact"}) as target:
        streams = [target.add_stream_from_template(source.streams.video[0]) for _ in range(1 + (kind == "second"))]
        if kind == "chapters":
            target.set_chapters([{"id": 1, "start": 0, "end": 100, "time_base": Fraction(1, 1000), "metadata": {}}])
        for stream in streams:
            source.seek(0)
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)


FOREIGN = {
    "title": "moov/udta",
    "comment": "moov/udta",
    "creation_time": "creation date",
    "second": "2 tracks of pictures",
    "chapters": "refers to another",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_other_programs_write_is_found(kind: str, tmp_path: Path) -> None:
    write_foreign(tmp_path / "foreign.mp4", kind)
    findings = find_residue(tmp_path / "foreign.mp4")
    assert [f for f in findings if FOREIGN[kind] in f], findings


QUICK = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(st.binary(max_size=600))
def test_random_bytes_are_findings(look: Callable[[bytes], list[str]], data: bytes) -> None:
    assert look(data)


@QUICK
@given(st.data())
def test_a_copy_that_ends_early_is_a_finding(
    copy: bytes, look: Callable[[bytes], list[str]], data: st.DataObject
) -> None:
    assert look(copy[: data.draw(st.integers(0, len(copy) - 1))])


@QUICK
@given(st.data())
def test_a_damaged_copy_never_raises(copy: bytes, look: Callable[[bytes], list[str]], data: st.DataObject) -> None:
    damaged, head = bytearray(copy), where(copy, "mdat")[0] + 40
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, head), st.integers(0, 255)), min_size=1, max_size=4)):
        damaged[at] = value
    assert isinstance(look(bytes(damaged)), list)


HOSTILE = {
    "sizes of 2^63": lambda d: d + struct.pack(">I4sQ", 1, b"free", 1 << 63),
    "a million boxes": lambda d: d + box("free") * 1_000_000,
    "a million unknown boxes": lambda d: box("aaaa") * 1_000_000,
    "boxes in boxes": lambda d: b"".join(struct.pack(">I4s", 8 * n, b"moov") for n in range(20_000, 0, -1)),
    "four billion samples of one size": lambda d: patch(d, f"{TABLES}/stsz", 12, b"\0\0\0\1\xff\xff\xff\xff"),
    "chunks without end": lambda d: patch(d, f"{TABLES}/stsc", 16, b"\0\0\0\1\xff\xff\xff\xff"),
    "runs without end": lambda d: patch(d, f"{TABLES}/stsc", 28, b"\xff\xff\xff\xff"),
    "times without end": lambda d: patch(d, f"{TABLES}/stts", 12, b"\0\0\0\1\xff\xff\xff\xff"),
    "marks without end": lambda d: d + box("mdat", b"x264" * 500_000),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_done_with_soon(kind: str, copy: bytes, look: Callable[[bytes], list[str]]) -> None:
    data = HOSTILE[kind](copy)
    begin = time.process_time()
    findings = look(data)
    assert time.process_time() - begin < 3
    assert 0 < len(findings) <= MAX_FINDINGS + 1


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "missing.mp4", tmp_path / "pipe"):
        with pytest.raises(InputError):
            find_residue(path)
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert "file: the box moov is missing" in find_residue(tmp_path / "empty.mp4")


@pytest.mark.usefixtures("fake")
def test_copies_of_one_plan_are_equal_wherever_and_whenever_they_are_made(
    redact: Callable[..., Result], clip: MadeClip, tmp_path: Path
) -> None:
    assert redact("analyse", clip.path, "-o", tmp_path / "out").code == 0
    plan = pipeline.read_plan(next((tmp_path / "out" / "private").glob("*.plan.json")))
    plan = plan.with_settings(replace(plan.settings, audio="keep"))
    copies = [tmp_path / "one" / "first copy.mp4", tmp_path / "another folder" / "b.mp4"]
    for n, path in enumerate(copies):
        time.sleep(1.1 * n)  # dates in MP4 are whole seconds
        path.parent.mkdir()
        rendering.render(plan, clip.path, path, lambda done, total: None)
    one, two = (path.read_bytes() for path in copies)
    assert one == two
    assert find_residue(copies[0]) == []

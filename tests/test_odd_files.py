"""Files as they come: the copy shows what a player shows, upright, at its time; what is damaged is covered whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from redact.errors import InputError, UsageError
from redact.excerpts import cut_source, find_timeline
from redact.media import Colour, Frame, FrameReader, frame_at, list_contents
from redact.pipeline import read_plan
from tests.clips import moving_portrait, textured_background, write_clip
from tests.conftest import MadeClip, Result
from tests.fakes import BlindDetector, FakeDetector

Redact = Callable[..., Result]
Picture = NDArray[np.uint8]


def read(path: Path, stream: int = 1) -> list[Frame]:
    with FrameReader(path, stream=stream) as reader:
        return list(reader)


def write_frames(path: Path, frames: list[av.VideoFrame], codec: str, **options: str) -> Path:
    """Write frames as they are, 25 a second."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        first = frames[0]
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, first.format.name
        context = stream.codec_context
        context.color_range, context.colorspace = first.color_range, first.colorspace
        context.color_primaries, context.color_trc = first.color_primaries, first.color_trc
        for n, frame in enumerate(frames):
            frame.pts, frame.time_base = n, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def coloured(picture: Picture, form: str, colour: Colour) -> av.VideoFrame:
    """Return a picture (BGR) as a frame with a colour description; its numbers are those of BT.709."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
    frame = frame.reformat(format=form, dst_colorspace=1, dst_color_range=1)
    frame.colorspace, frame.color_primaries, frame.color_trc = colour.matrix, colour.primaries, colour.transfer
    return frame


def two_films(path: Path, first: list[Picture], second: list[Picture]) -> Path:
    """Write a file with two streams of pictures."""
    with av.open(str(path), "w") as container:
        streams: list[Any] = []
        for pictures in (first, second):
            stream: Any = container.add_stream("libx264", rate=25)
            stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], "yuv420p"
            streams.append(stream)
        for stream, pictures in zip(streams, (first, second), strict=True):
            for n, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
                frame.pts, frame.time_base = n, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def test_one_stream_of_pictures_is_chosen_and_the_others_never_leak(
    redact: Redact, see: Callable[[Any], None], tmp_path: Path
) -> None:
    films = [[textured_background(160, 120, seed)] * 6 for seed in (1, 2)]
    clip = two_films(tmp_path / "two.mp4", *films)
    see(FakeDetector([(10, 10, 20, 20)] * 6))
    for number in (1, 2):
        out = tmp_path / str(number)
        assert redact("run", clip, "-o", out, "--stream", number).code == 0
        (copy,) = (out / "release").glob("*.mp4")
        assert list_contents(copy).streams == ("video h264",)
        apart = [np.abs(read(copy)[3].picture[60:].astype(int) - film[3][60:]).mean() for film in films]
        assert apart[number - 1] < 5 < 15 < apart[2 - number]
    result = redact("run", clip, "-o", tmp_path / "3", "--stream", "3")
    assert (result.code, "2 streams of pictures" in result.err) == (2, True)
    result = redact("run", clip, "-o", tmp_path / "1", "--stream", "2")
    assert (result.code, "stream" in result.err) == (6, True)


def test_a_cover_picture_is_no_stream_of_pictures(tmp_path: Path) -> None:
    plain = write_clip(tmp_path / "plain.mp4", [textured_background(160, 120)] * 3)
    cover = cv2.imencode(".png", textured_background(64, 64, 5))[1].tobytes()
    clip = tmp_path / "cover.mp4"
    with av.open(str(plain)) as source, av.open(str(clip), "w") as target:
        picture: Any = target.add_stream("png", rate=1)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "rgb24"
        picture.disposition = av.stream.Disposition.attached_pic
        stream = target.add_stream_from_template(source.streams.video[0])
        packet = av.Packet(cover)
        packet.stream, packet.pts, packet.dts = picture, 0, 0
        target.mux(packet)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert read(clip)[0].picture.shape == (120, 160, 3)
    with pytest.raises(UsageError):
        read(clip, 2)


def test_high_dynamic_range_becomes_standard(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 256)[None].repeat(64, axis=0)
    levels = np.vstack([ramp * 876 + 64, np.full((32, 256), 512)]).astype(np.uint16)
    frame = av.VideoFrame.from_ndarray(levels, format="yuv420p10le")
    frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range = 9, 9, 18, 1
    clip = write_frames(tmp_path / "hdr.mkv", [frame], "ffv1")
    with FrameReader(clip) as reader:
        assert reader.colour == Colour(1, 1, 1)
        (shown,) = reader
    row = shown.picture[32].astype(int)
    assert (row.max(axis=1) - row.min(axis=1)).max() <= 2  # grey stays grey
    assert (np.diff(row[:, 0]) >= 0).all()
    assert row[0, 0] < 4 < 250 < row[-1, 0]
    assert (
        150 < row[round(255 * 0.75), 0] < 230
    )  # the white of paper (ITU-R BT.2408) is bright, but lights are brighter
    assert row[-1, 0] - row[-40, 0] > 4  # and lights still differ


@pytest.mark.parametrize("size", [(160, 120), (161, 121)])
@pytest.mark.parametrize("colour", [Colour(1, 1, 1), Colour(9, 9, 14), Colour(6, 6, 6), Colour()])
def test_colours_are_those_of_the_source_also_where_the_size_is_odd(
    size: tuple[int, int], colour: Colour, redact: Redact, see: Callable[[Any], None], tmp_path: Path
) -> None:
    see(FakeDetector([(4, 4, 8, 8)]))
    red = np.zeros((size[1], size[0], 3), np.uint8)
    red[:] = 40, 60, 200
    clip = write_frames(tmp_path / "a.mkv", [coloured(red, "yuv444p", colour)], "ffv1")
    assert redact("run", clip, "-o", tmp_path / "copy.mp4").code == 0

    def player(path: Path) -> NDArray[np.int_]:
        with av.open(str(path)) as container:
            frame = next(iter(container.decode(video=0)))
            return frame.reformat(format="bgr24").to_ndarray()[80, 80].astype(int)

    assert np.abs(player(tmp_path / "copy.mp4") - player(clip)).max() <= 6


def test_interlaced_pictures_are_made_whole_one_from_each(tmp_path: Path) -> None:
    pictures, bar = [], np.array([220, 220, 220], np.uint8)
    for n in range(10):
        fields = []
        for half in (0, 1):
            field = np.full((120, 160, 3), 40, np.uint8)
            field[:, 8 * (2 * n + half) % 140 :][:, :16] = bar
            fields.append(field)
        picture = fields[0].copy()
        picture[1::2] = fields[1][1::2]
        pictures.append(picture)
    options = {"x264-params": "interlaced=1:tff=1", "crf": "5"}
    clip = write_clip(tmp_path / "a.mkv", pictures, options=options)
    with av.open(str(clip)) as container:
        assert all(frame.interlaced_frame for frame in container.decode(video=0))
    frames = read(clip)
    assert [frame.time for frame in frames] == [Fraction(n, 25) for n in range(10)]

    def comb(picture: Picture) -> float:
        lines = picture[20:-20, :, 1].astype(int)
        return float(np.abs(2 * lines[1:-1] - lines[:-2] - lines[2:]).mean())

    assert comb(pictures[5]) > 15
    assert all(comb(frame.picture) < 5 for frame in frames[1:-1])


@pytest.mark.parametrize(
    ("name", "codec", "form"), [("a.mov", "png", "rgba"), ("a.mkv", "ffv1", "yuva420p"), ("a.gif", "gif", "pal8")]
)
def test_what_is_transparent_in_a_film_is_not_shown(name: str, codec: str, form: str, tmp_path: Path) -> None:
    picture = np.dstack([textured_background(160, 120), np.full((120, 160), 255, np.uint8)])
    picture[:60, :, 3] = 0
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgra")
    if form == "pal8":
        graph = av.filter.Graph()
        nodes = [graph.add_buffer(width=160, height=120, format=frame.format, time_base=Fraction(1, 25))]
        nodes += [graph.add("split"), graph.add("palettegen", "reserve_transparent=1"), graph.add("paletteuse")]
        nodes[0].link_to(nodes[1])
        nodes[1].link_to(nodes[3], 0, 0)
        nodes[1].link_to(nodes[2], 1, 0)
        nodes[2].link_to(nodes[3], 0, 1)
        nodes[3].link_to(graph.add("buffersink"))
        graph.configure()
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        graph.push(frame)
        graph.push(None)
        frame = graph.pull()
    else:
        frame = frame.reformat(format=form)
    shown = read(write_frames(tmp_path / name, [frame], codec))[0].picture
    assert shown[:58].max() < 8
    assert np.abs(shown[64:].astype(int) - picture[64:, :, :3]).mean() < 12


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_film_is_shown_upright_also_where_it_is_mirrored(quarters: int, mirrored: bool, tmp_path: Path) -> None:
    plain = write_clip(tmp_path / "plain.mp4", [textured_background(160, 120)] * 2)
    data = bytearray(plain.read_bytes())
    head = data.find(b"tkhd") + 4
    turn = {0: (1, 0, 0, 1), 1: (0, -1, 1, 0), 2: (-1, 0, 0, -1), 3: (0, 1, -1, 0)}[quarters]
    a, b, c, d = (-turn[0], -turn[1], *turn[2:]) if mirrored else turn
    numbers = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    data[head + 40 : head + 76] = b"".join(n.to_bytes(4, signed=True) for n in numbers)
    clip = tmp_path / "turned.mp4"
    clip.write_bytes(data)
    as_stored, shown = read(plain)[0].picture, read(clip)[0].picture
    expected = np.rot90(as_stored[:, ::-1] if mirrored else as_stored, quarters)
    assert shown.shape == expected.shape
    assert (shown == expected).all()


PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile '{}'\n",
    "list.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_file_that_names_other_files_is_refused(name: str, clip: MadeClip, tmp_path: Path) -> None:
    (tmp_path / name).write_text(PLAYLISTS[name].format(clip.path))
    with pytest.raises(InputError):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["concat:a.mp4|a.mp4", "http:nowhere.mp4", "frame%03d.mp4", "-a.mp4"])
def test_a_name_means_nothing_but_the_file(name: str, clip: MadeClip, tmp_path: Path) -> None:
    odd = tmp_path / name
    odd.write_bytes(clip.path.read_bytes())
    assert frame_at(odd, Fraction(0)).picture.shape == (240, 320, 3)


def damaged_clip(path: Path, key_frames: int = 250, count: int = 1) -> Path:
    """Write 40 frames of which some are damaged, the first of them in the second quarter."""
    options = {"g": str(key_frames), "x264-params": "scenecut=0"}
    pictures = [picture for picture, _ in moving_portrait(40, 320, 240, 0.6)]
    write_clip(path, pictures, options=options)
    with av.open(str(path)) as container:
        packets = [(p.pos or 0, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    for at, size in packets[12 : 12 + 4 * count : 4]:
        data[at + size // 3 : at + size // 3 + 60] = bytes(range(60))
    path.write_bytes(data)
    return path


def test_what_is_made_from_a_damaged_frame_is_covered_whole_up_to_the_next_key_frame(
    redact: Redact, see: Callable[[Any], None], tmp_path: Path
) -> None:
    clip = damaged_clip(tmp_path / "a.mp4", key_frames=20)
    damaged = [frame.index for frame in read(clip) if frame.damaged]
    assert damaged
    assert damaged == list(range(damaged[0], 20))
    see(BlindDetector())
    out = tmp_path / "out"
    result = redact("run", clip, "-o", out, "--allow-empty", "--json", "--effect", "solid")
    (outcome,) = json.loads(result.out)
    check = next(c for c in outcome["checks"] if c["name"] == "frames that are damaged in the source are covered whole")
    assert (check["passed"], check["figure"]) == (True, f"{len(damaged)} of {len(damaged)} frames")
    for frame in read(Path(outcome["copy"])):
        assert (frame.picture.max() < 24) == (frame.index in damaged), frame.index
    statement = json.loads((out / "release" / "excerpt-0001.statement.json").read_text())
    assert statement["damaged_frames_covered_whole"] == len(damaged)


def test_verify_refuses_a_plan_that_shows_a_damaged_frame(
    redact: Redact, see: Callable[[Any], None], tmp_path: Path
) -> None:
    clip = damaged_clip(tmp_path / "a.mp4", key_frames=20)
    see(BlindDetector())
    assert redact("analyse", clip, "-o", tmp_path / "out").code == 0
    path = tmp_path / "out" / "private" / "a.plan.json"
    plan = json.loads(path.read_text())
    (track,) = plan["tracks"]
    track["boxes"][1] = "0,0,16,16"
    path.write_text(json.dumps(plan))
    result = redact("render", path, "-o", tmp_path / "out", "--allow-empty")
    assert (result.code, "damaged in the source" in result.err) == (7, True)


def test_a_damaged_clip_decodes_to_the_same_pictures_each_time(tmp_path: Path) -> None:
    clip = damaged_clip(tmp_path / "a.mp4", count=5)
    first = read(clip)
    for _ in range(7):
        again = read(clip)
        assert [f.damaged for f in again] == [f.damaged for f in first]
        assert all((a.picture == b.picture).all() for a, b in zip(first, again, strict=True))


def cut_clip(path: Path) -> Path:
    """Write 2 s of which the second half is missing, as after a copy that was broken off."""
    pictures = [textured_background(320, 240, n) for n in range(50)]
    write_clip(path, pictures, options={"bf": "0"}, container_options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def test_what_cannot_be_decoded_is_said_with_its_times(
    redact: Redact, see: Callable[[Any], None], tmp_path: Path
) -> None:
    clip = cut_clip(tmp_path / "a.mp4")
    see(BlindDetector())
    out = tmp_path / "out"
    assert redact("run", clip, "-o", out, "--allow-empty").code == 0
    source = read_plan(out / "private" / "a.plan.json").source
    assert 15 < source.frames < 35
    assert source.lost[-1][1] == 2
    assert abs(source.lost[-1][0] - source.ends) <= Fraction(2, 25)
    verdict = redact("verify", out / "release" / "excerpt-0001.mp4", "--plan", out / "private" / "a.plan.json").out
    (line,) = [line for line in verdict.splitlines() if "what cannot be decoded" in line]
    assert line.startswith("NOT CHECKED")
    assert "to 2.00 s" in line
    early = tmp_path / "early"
    assert redact("run", clip, "-o", early, "--allow-empty", "--to", "0.4", "--strict").code == 0
    assert read_plan(early / "private" / "a.plan.json").source.lost == ()


def test_a_shorter_excerpt_misses_only_what_is_missing_in_it(
    redact: Redact, see: Callable[[Any], None], tmp_path: Path
) -> None:
    clip, path = cut_clip(tmp_path / "a.mp4"), tmp_path / "out" / "private" / "a.plan.json"
    see(BlindDetector())
    assert redact("analyse", clip, "-o", tmp_path / "out").code == 0
    plan = read_plan(path)
    timeline = find_timeline(plan, path, clip, lambda *_: None)
    last = plan.source.frames - 1
    assert cut_source(plan, clip, timeline, 0, 5, lambda *_: None)[0].lost == ()
    assert cut_source(plan, clip, timeline, 5, last, lambda *_: None)[0].lost == plan.source.lost != ()


@pytest.mark.parametrize("make", [damaged_clip, cut_clip])
def test_strict_stops_at_damage(
    make: Callable[[Path], Path], redact: Redact, see: Callable[[Any], None], tmp_path: Path
) -> None:
    clip = make(tmp_path / "a.mp4")
    see(BlindDetector())
    result = redact("run", clip, "-o", tmp_path / "out", "--allow-empty", "--strict")
    assert (result.code, "cannot be decoded whole" in result.err) == (3, True)
    assert not list((tmp_path / "out" / "release").iterdir())
    assert redact("analyse", clip, "-o", tmp_path / "out").code == 0
    plan = tmp_path / "out" / "private" / "a.plan.json"
    assert redact("render", plan, "-o", tmp_path / "out", "--allow-empty", "--strict").code == 3
    assert redact("render", plan, "-o", tmp_path / "out", "--allow-empty").code == 0

"""No picture that the decoder had to guess passes for a whole one, in whatever order frames are stored."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from redact.media import FrameReader
from redact.media.decoding import Decoder
from redact.seeking import FrameSeeker
from tests.clips import textured_background

KEYS = 12  # frames from one key frame to the next
LONG = 60
WRONG = 8  # levels by which a pixel of a guessed frame is off


def write_with_beside(path: Path) -> Path:
    """Write a clip in which three of four frames are made from the frames on both sides."""
    order = f"bframes=3:keyint={KEYS}:min-keyint={KEYS}:scenecut=0:b-adapt=0:open-gop=0"
    background = textured_background(480, 240)
    with av.open(str(path), "w", format="matroska") as file:
        stream = file.add_stream("libx264", rate=25, options={"x264-params": order})
        stream.width, stream.height, stream.pix_fmt = 240, 240, "yuv420p"
        for n in range(LONG):
            picture = np.ascontiguousarray(background[:, 3 * n : 3 * n + 240])
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = n
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def damage(clip: Path, path: Path, number: int, how: str) -> Path:
    """Write the clip again with one packet cut off, or with another beginning."""
    with av.open(str(clip)) as source, av.open(str(path), "w", format="matroska") as file:
        stream = file.add_stream_from_template(source.streams.video[0])
        for n, packet in enumerate(p for p in source.demux(video=0) if p.size):
            data = bytes(packet)
            if n == number:
                data = data[: len(data) // 3] if how == "cut off" else data[:4] + b"\xff" * 8 + data[12:]
            made = av.Packet(data)
            made.pts, made.dts, made.time_base, made.duration = (
                packet.pts,
                packet.dts,
                packet.time_base,
                packet.duration,
            )
            made.is_keyframe, made.stream = packet.is_keyframe, stream
            file.mux_one(made)
    return path


@pytest.mark.parametrize("how", ["cut off", "other beginning"])
@pytest.mark.parametrize("number", [1, 2, 5, 13, 14, 17, 25])
def test_what_is_made_from_a_damaged_frame_is_damaged_on_both_sides_of_it(
    tmp_path: Path, number: int, how: str
) -> None:
    whole = write_with_beside(tmp_path / "whole.mkv")
    with Decoder(whole) as decoder:
        good = {frame.time: frame.plain for frame in decoder.frames()}
    with Decoder(damage(whole, tmp_path / "damaged.mkv", number, how)) as decoder:
        seen = list(decoder.frames())
    off = {f.time for f in seen if np.abs(f.plain.astype(int) - good[f.time]).max() > WRONG}
    assert off
    assert off <= {f.time for f in seen if f.damaged}
    assert not any(f.damaged for f in seen[(number // KEYS + 2) * KEYS :])  # a key frame that came later is whole again


def test_what_is_remembered_of_key_frames_does_not_grow(tmp_path: Path) -> None:
    with Decoder(write_with_beside(tmp_path / "whole.mkv")) as decoder:
        assert sum(not frame.damaged for frame in decoder.frames()) == LONG
        assert not decoder._keys


def test_pictures_are_as_large_as_the_first_of_the_clip_wherever_the_excerpt_begins(tmp_path: Path) -> None:
    clip = tmp_path / "clip.ts"
    with av.open(str(clip), "w", format="mpegts") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for start, width, height in ((0, 320, 240), (50, 640, 480)):
            encoder = av.CodecContext.create("libx264", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
            encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
            frames = [av.VideoFrame.from_ndarray(textured_background(width, height), format="bgr24")] * 50
            for n, frame in enumerate(frames):
                frame.pts, frame.time_base = start + n, Fraction(1, 25)
                file.mux([_of(packet, stream) for packet in encoder.encode(frame)])
            file.mux([_of(packet, stream) for packet in encoder.encode(None)])
    with FrameReader(clip) as reader:
        begin = [frame.time for frame in reader][60]
    with FrameReader(clip, begin) as reader:
        excerpt = [(frame.index, frame.time, frame.picture) for frame in reader]
    with FrameSeeker(clip, excerpt[0][0], [time for _, time, _ in excerpt]) as seeker:
        for index, _, picture in excerpt[::10]:
            assert picture.shape == (240, 320, 3)
            assert (seeker.read(index).picture == picture).all()


def _of(packet: av.Packet, stream: av.VideoStream) -> av.Packet:
    """Return a packet as one of a stream."""
    packet.stream, packet.time_base = stream, Fraction(1, 25)
    return packet

"""Frames come in at their times and go out at the same ones, with nothing beside them."""

from __future__ import annotations

import gc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from redact.errors import InputError, OutputError
from redact.media import Frame, FrameReader, FrameWriter, SoundReader, as_encoded, list_contents
from redact.media.decoding import Decoder
from tests.clips import moving_portrait, textured_background, write_clip


def pictures(frames: int = 12, width: int = 160, height: int = 120) -> list[np.ndarray]:
    return [picture for picture, _ in moving_portrait(frames, width, height, 0.25)]


def read(path: Path, begin: Fraction | None = None, end: Fraction | None = None) -> list[Frame]:
    with FrameReader(path, begin, end) as reader:
        return list(reader)


def rewrite(source: Path, target: Path) -> list[Frame]:
    with FrameReader(source) as reader, FrameWriter(target, reader, crf=17) as writer:
        frames = list(reader)
        for frame in frames:
            writer.write(frame.picture, frame.time)
    return frames


IRREGULAR = [0, 40, 90, 95, 300, 1000, 1001, 1040, 1300, 1301, 1400, 2000]
CLIPS = {
    "even": {"name": "a.mp4"},
    "irregular": {"name": "a.mkv", "times": IRREGULAR},
    "late": {"name": "a.mkv", "times": [t + 840 for t in IRREGULAR], "sound": True},
    "mpeg": {"name": "a.mpg", "codec": "mpeg2video"},
    "lossless rgb": {"name": "a.mkv", "codec": "libx264rgb", "pix_fmt": "rgb24", "options": {"crf": "0"}},
    "ten bit": {"name": "a.mkv", "codec": "ffv1", "pix_fmt": "yuv420p10le"},
}


@pytest.mark.parametrize("kind", CLIPS)
def test_a_copy_has_the_same_frames_at_the_same_times(kind: str, tmp_path: Path) -> None:
    options = dict(CLIPS[kind])
    source = write_clip(tmp_path / str(options.pop("name")), pictures(), **options)  # type: ignore[arg-type]
    before = rewrite(source, tmp_path / "copy.mp4")
    after = read(tmp_path / "copy.mp4")
    assert len(before) == 12
    assert [f.time for f in after] == [f.time for f in before]
    assert [f.index for f in after] == list(range(12))
    assert (before[0].time > 0) == (kind == "late")
    for a, b in zip(before, after, strict=True):
        assert np.abs(a.picture.astype(int) - b.picture).mean() < 4


def test_an_odd_size_is_padded_by_its_edge(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", pictures(5, 161, 121), codec="ffv1", pix_fmt="bgr0")
    before = rewrite(source, tmp_path / "copy.mp4")
    after = read(tmp_path / "copy.mp4")
    assert before[0].picture.shape == (121, 161, 3)
    assert after[0].picture.shape == (122, 162, 3)
    assert np.abs(after[3].picture[:121, :161].astype(int) - before[3].picture).mean() < 4


def test_pixels_reach_the_encoder_as_the_decoder_gave_them(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", pictures())
    for frame in read(source):
        assert np.abs(as_encoded(frame.picture).astype(int) - frame.picture).mean() < 0.05


def test_an_excerpt_is_exact_to_the_frame(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", pictures(), rate=25)
    frames = read(source, Fraction(3, 25), Fraction(7, 25))
    assert [f.index for f in frames] == [3, 4, 5, 6]
    assert read(source, Fraction(3, 25) + Fraction(1, 1000), None)[0].index == 4


def test_a_turned_picture_is_shown_upright(tmp_path: Path) -> None:
    plain = write_clip(tmp_path / "plain.mp4", pictures(3))
    turned = tmp_path / "turned.mp4"
    with av.open(str(plain)) as source, av.open(str(turned), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(90)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    a, b = read(plain)[0].picture, read(turned)[0].picture
    assert b.shape == (160, 120, 3)
    assert any((np.rot90(a, k) == b).all() for k in (1, 3))


def test_decoded_frames_are_gone_at_once_and_do_not_wait_for_a_collection(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", pictures(30))
    gc.collect()
    gc.disable()
    try:
        with Decoder(clip) as decoder:
            assert sum(1 for _ in decoder.frames()) == 30
        left = sum(isinstance(held, av.VideoFrame) for held in gc.get_objects())
    finally:
        gc.enable()
    assert left < 5


def test_the_same_pictures_give_the_same_bytes_and_no_text(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", pictures(), metadata={"title": "Cell 7", "comment": "of Ana"})
    rewrite(source, tmp_path / "one.mp4")
    rewrite(source, tmp_path / "two.mp4")
    data = (tmp_path / "one.mp4").read_bytes()
    assert data == (tmp_path / "two.mp4").read_bytes()
    for text in (b"x264", b"Lavc", b"Lavf", b"Cell 7", b"Ana"):
        assert text not in data
    contents = list_contents(tmp_path / "one.mp4")
    assert contents.streams == ("video h264",)
    assert contents.tags == ()
    assert "title=Cell 7" in list_contents(source).tags


def test_sound_is_cut_to_the_excerpt_to_the_sample(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", pictures(25), rate=25, sound=True)
    with SoundReader(source, Fraction(1, 5), Fraction(3, 5)) as sound:
        parts = list(sound)
    assert parts[0].position == 0
    assert sum(part.samples.shape[1] for part in parts) == round(sound.rate * Fraction(2, 5))


BAD = {
    "missing.mp4": None,
    "empty.mp4": b"",
    "text.mp4": b"This is a letter, not a film.\n" * 99,
    "noise.mp4": bytes(np.random.default_rng(3).integers(0, 256, 9999, dtype=np.uint8)),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_clip_is_refused_with_advice(name: str, tmp_path: Path) -> None:
    data = BAD[name]
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=name) as caught:
        read(tmp_path / name)
    assert caught.value.advice


def test_sound_alone_and_a_folder_are_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "voice.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match="no moving picture"):
        read(tmp_path / "voice.mp4")
    with pytest.raises(InputError, match="folder"):
        read(tmp_path)


def test_broken_data_in_the_middle_marks_frames_as_damaged(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", (textured_background(320, 240, n) for n in range(30)))
    data = bytearray(source.read_bytes())
    start = data.find(b"mdat") + 4
    middle = start + (len(data) - start) // 2
    data[middle : middle + 400] = bytes(400)
    source.write_bytes(data)
    frames = read(source)
    assert frames
    assert any(frame.damaged for frame in frames)


def test_an_unfinished_file_is_removed(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", pictures())
    target = tmp_path / "copy.mp4"

    def stop_in_the_middle() -> None:
        with FrameReader(source) as reader, FrameWriter(target, reader, crf=17) as writer:
            for frame in reader:
                writer.write(frame.picture, frame.time)
                if frame.index == 6:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_in_the_middle()
    assert not target.exists()


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", pictures())
    with pytest.raises(OutputError):
        rewrite(source, tmp_path / "nowhere" / "copy.mp4")

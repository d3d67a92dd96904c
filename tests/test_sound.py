"""Sound that is kept stays with its pictures, and what is taken out of it is not heard."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from redact import cli
from redact.cli.options import VOICES
from redact.errors import UsageError
from redact.media import FrameReader, FrameWriter, SoundReader, list_contents
from redact.plan import Settings
from tests.conftest import Result
from tests.fakes import FakeDetector

Redact = Callable[..., Result]
Samples = NDArray[np.float32]

RATE, PER_FRAME = 48000, 1920
FRAMES = 50
FLASH = 30  # the frame that is white, with a click in the sound
FACE = (40, 30, 30, 40)


def noise(seconds: float, seed: int = 1) -> Samples:
    return (np.random.default_rng(seed).normal(0, 0.1, (1, round(seconds * RATE)))).astype(np.float32)


def click() -> Samples:
    samples = noise(FRAMES / 25) * 0.01
    samples[:, FLASH * PER_FRAME : FLASH * PER_FRAME + 240] = 0.8
    return samples


def write_talk(path: Path, sounds: list[Samples], late: int = 0, gap: int = 0) -> Path:
    """Write 2 s of pictures, one of them white, with sounds.

    Args:
        path: an .mkv file.
        sounds: one for each stream of sound, mono, 48 kHz.
        late: pictures begin so many frames after the sound.
        gap: the second half of the sound has time stamps later by so many samples.
    """
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        voices: list[Any] = [container.add_stream("flac", rate=RATE, layout="mono") for _ in sounds]
        for voice, samples in zip(voices, sounds, strict=True):
            for start in range(0, samples.shape[1], 4800):
                part = (samples[:, start : start + 4800] * 32767).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
                frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
                frame.pts = start + (gap if start >= samples.shape[1] // 2 else 0)
                container.mux(voice.encode(frame))
            container.mux(voice.encode(None))
        background = np.random.default_rng(2).integers(60, 150, (120, 160, 3), dtype=np.uint8)
        for n in range(FRAMES):
            picture = np.full_like(background, 255) if n == FLASH else background
            image = av.VideoFrame.from_ndarray(picture, format="bgr24")
            image.pts, image.time_base = n + late, Fraction(1, 25)
            container.mux(video.encode(image))
        container.mux(video.encode(None))
    return path


def heard(path: Path) -> Samples:
    """Return the sound of a file, decoded without redact, from time zero on."""
    with av.open(str(path)) as container:
        (stream,) = container.streams.audio
        parts = [(frame.pts, frame.to_ndarray()) for frame in container.decode(stream)]
    first = parts[0][0]
    assert first >= 0
    return np.hstack([np.zeros((parts[0][1].shape[0], first), np.float32), *(samples for _, samples in parts)])


def level(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))


@pytest.fixture
def run(redact: Redact, see: Callable[[Any], None], tmp_path: Path) -> Callable[..., Path]:
    """Run a clip and return its copy."""
    see(FakeDetector([FACE] * FRAMES))

    def made(clip: Path, *options: object) -> Path:
        copy = tmp_path / "copy.mp4"
        result = redact("run", clip, "-o", copy, *options)
        assert result.code == 0, result.err
        return copy

    return made


@pytest.mark.parametrize(
    ("late", "excerpt"), [(0, ()), (0, ("--from", "0.4", "--to", "1.6")), (0, ("--from", "0.33333")), (21, ())]
)
def test_kept_sound_stays_with_its_pictures_to_the_frame(
    late: int, excerpt: tuple[str, ...], run: Callable[..., Path], tmp_path: Path
) -> None:
    samples = np.hstack([np.zeros((1, late * PER_FRAME), np.float32), click()])
    copy = run(write_talk(tmp_path / "talk.mkv", [samples], late), "--audio", "keep", *excerpt)
    with FrameReader(copy) as reader:
        (flash,) = [frame.time for frame in reader if frame.picture[90:].mean() > 230]
    loud = int(np.argmax(np.abs(heard(copy)[0]) > 0.4))
    assert abs(Fraction(loud, RATE) - flash) < Fraction(1, 50)
    assert list_contents(copy).streams == ("video h264", "audio aac")


def test_a_time_stamp_that_lies_costs_its_sound_and_no_memory_and_no_hours_of_silence(tmp_path: Path) -> None:
    clip = write_talk(tmp_path / "talk.mkv", [click()], gap=RATE * 10**7)
    with SoundReader(clip, end=Fraction(100)) as reader:
        chunks = list(reader)
    believed = sum(chunk.samples.shape[1] for chunk in chunks)
    assert abs(believed - FRAMES // 2 * PER_FRAME) < 4800  # the encoder's frames are not those that it was given


def test_sound_after_a_gap_stays_with_its_pictures(tmp_path: Path) -> None:
    clip = write_talk(tmp_path / "talk.mkv", [click()], gap=RATE // 2)
    with SoundReader(clip) as reader:
        chunks = list(reader)
    assert all(a.position + a.samples.shape[1] == b.position for a, b in pairwise(chunks))
    whole = np.hstack([chunk.samples for chunk in chunks])
    assert abs(int(np.argmax(np.abs(whole[0]) > 0.4)) - FLASH * PER_FRAME - RATE // 2) < RATE / 500
    assert whole[0, RATE + 4800 : RATE * 3 // 2].max() < 1e-6


@pytest.mark.parametrize("beep", [False, True])
def test_what_is_muted_is_not_heard_and_the_rest_is(beep: bool, run: Callable[..., Path], tmp_path: Path) -> None:
    spoken = noise(FRAMES / 25)
    clip = write_talk(tmp_path / "talk.mkv", [spoken])
    options = ("--audio", "keep", "--mute", "1.0-1.4,0.2-0.52", *(("--beep",) if beep else ()))
    sound = heard(run(clip, *options))[0]
    asked = spoken[0].copy()
    for first, last in ((5, 13), (25, 35)):
        asked[first * PER_FRAME : last * PER_FRAME] = 0
    for n in range(FRAMES):
        here = np.s_[n * PER_FRAME : (n + 1) * PER_FRAME]
        muted = 5 <= n < 13 or 25 <= n < 35
        edge = n in (5, 12, 25, 34)
        if not muted:
            assert np.corrcoef(sound[here], spoken[0][here])[0, 1] > 0.8, n
        elif not beep:
            assert level(sound[here]) < (0.02 if edge else 1e-4), n
        else:
            tone = np.abs(np.fft.rfft(sound[here] * np.hanning(PER_FRAME)))
            assert abs(int(np.argmax(tone)) - 40) <= 1, n  # 1000 Hz
            assert edge or tone[:36].max() < 0.01 * tone.max(), n
            assert abs(np.corrcoef(sound[here], spoken[0][here])[0, 1]) < 0.2, n


def test_a_file_is_put_in_the_place_of_the_sound(run: Callable[..., Path], tmp_path: Path) -> None:
    clip = write_talk(tmp_path / "talk.mkv", [noise(2, 1)])
    spoken = noise(3, 2)
    voice = write_talk(tmp_path / "voice.mkv", [spoken])
    sound = heard(run(clip, "--audio", voice, "--from", "0.4", "--mute", "1.0-1.2"))[0]
    assert abs(len(sound) - 1.6 * RATE) < 2100  # it ends with the pictures
    muted = np.s_[round(0.65 * RATE) : round(0.75 * RATE)]  # times of the clip, though the file begins with the copy
    assert level(sound[muted]) < 1e-4
    rest = np.s_[round(0.9 * RATE) : round(1.5 * RATE)]
    assert np.corrcoef(sound[rest], spoken[0][rest])[0, 1] > 0.8
    statement = json.loads((tmp_path / "copy.statement.json").read_text())
    assert statement["sound"] == "another sound in place of the recorded; parts of it were taken out"
    log = (tmp_path / "copy.private" / "custody.jsonl").read_text()
    assert hashlib.sha256(voice.read_bytes()).hexdigest() in log


def test_the_statement_does_not_speak_of_sound_that_there_was_not(run: Callable[..., Path], tmp_path: Path) -> None:
    copy = run(write_talk(tmp_path / "talk.mkv", []), "--audio", "keep")
    assert list_contents(copy).streams == ("video h264",)
    assert json.loads((tmp_path / "copy.statement.json").read_text())["sound"] == "there was none"


def test_the_stream_of_sound_that_was_chosen_is_kept_and_no_other(
    run: Callable[..., Path], redact: Redact, tmp_path: Path
) -> None:
    streams = [noise(2, 1), noise(2, 2)]
    clip = write_talk(tmp_path / "talk.mkv", streams)
    sound = heard(run(clip, "--audio", "keep", "--audio-stream", "2"))[0][: 2 * RATE - 4800]
    likeness = [np.corrcoef(sound, other[0][: len(sound)])[0, 1] for other in streams]
    assert likeness[1] > 0.8 > 0.2 > abs(likeness[0])
    result = redact("run", clip, "-o", tmp_path / "b", "--audio", "keep", "--audio-stream", "3")
    assert (result.code, "2 streams of sound" in result.err) == (2, True)


@pytest.mark.parametrize("beep", [(), ("--beep",)])
def test_short_parts_may_be_muted_beside_noise(beep: tuple[str, ...], run: Callable[..., Path], tmp_path: Path) -> None:
    clip = write_talk(tmp_path / "talk.mkv", [noise(FRAMES / 25) * 3])
    run(clip, "--audio", "keep", "--mute", "0.2-0.3,0.61-0.64,1.1-1.19,1.513-1.514", *beep)
    (log,) = (tmp_path / "copy.private").glob("custody.jsonl")
    assert "1 parts not measured" in log.read_text()


@pytest.mark.parametrize("until", ["0.6", "1.0"])
@pytest.mark.parametrize("wrong", ["heard", "shifted", "another", "short", "untouched"])
def test_verify_refuses_a_copy_with_another_sound_than_was_asked_for(
    wrong: str, until: str, run: Callable[..., Path], redact: Redact, tmp_path: Path
) -> None:
    clip = write_talk(tmp_path / "talk.mkv", [noise(2)])
    copy = run(clip, "--audio", "keep", "--mute", f"0.5-{until}")
    mute = () if wrong == "heard" else ((Fraction(1, 2), Fraction(until)),)
    other = write_talk(tmp_path / "other.mkv", [noise(2, 2)]) if wrong == "another" else clip
    begin = Fraction(1, 100) if wrong == "shifted" else Fraction(0)
    forged = tmp_path / "forged.mp4"
    with (
        FrameReader(copy) as reader,
        SoundReader(other, begin, Fraction(7, 4) if wrong == "short" else None, 1, mute) as sound,
        FrameWriter(forged, reader, 17, sound) as writer,
    ):
        for frame in reader:
            writer.write(frame.picture, frame.time)
    plan = tmp_path / "copy.private" / "talk.plan.json"
    result = redact("verify", forged, "--plan", plan)
    assert result.code == (0 if wrong == "untouched" else 7)
    failed = [line for line in result.out.splitlines() if line.startswith("FAILED")]
    assert len(failed) == (wrong != "untouched")
    expected = "muted parts" if wrong == "heard" else "the sound is what was asked for"
    assert all(expected in line for line in failed)


@pytest.mark.parametrize(
    "options",
    [{"mute": ((Fraction(1), Fraction(2)),)}, {"audio": "keep", "mute": ((Fraction(2), Fraction(2)),)},
     {"audio": "keep", "mute": ((Fraction(-1), Fraction(2)),)}, {"audio": "keep", "beep": True}, {"stream": 0},
     {"audio": "keep", "audio_stream": 0}, {"audio": "voice.wav"}],
)  # fmt: skip
def test_settings_of_sound_and_stream_have_bounds(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Settings(**options)


@pytest.mark.parametrize(
    "options", [["--mute", "1-2"], ["--audio", "keep", "--mute", "1"], ["--audio", "keep", "--beep"],
                ["--audio", "missing.wav"], ["--audio", "/not/there.wav"], ["--audio", "keep", "--mute", "1-2-3"]],
)  # fmt: skip
def test_senseless_sound_is_refused_before_anything_is_done(options: list[str], redact: Redact, tmp_path: Path) -> None:
    assert redact("run", "talk.mkv", "-o", tmp_path / "out", *options).code == 2
    assert not (tmp_path / "out").exists()


def test_the_help_says_why_there_is_no_disguise_of_voices() -> None:
    help_text = next(p.help for p in cli.cli.commands["run"].params if p.name == "audio")
    assert VOICES in help_text
    assert "still recognised by software" in VOICES

"""Films of released copies: every frame at its time, nothing in them but what was released, and no face."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import stat
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redact import cli, custody, detectors, media
from redact.detectors.faces import CenterFace
from redact.residue import find_residue
from tests.clips import moving_portrait, write_clip
from tests.conftest import Result
from tests.fakes import BlindDetector, FakeDetector

Redact = Callable[..., Result]
CARD, RATE = 4, 5  # seconds of a card, and its frames in each
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two copies were released: one with frames at uneven times, one of another size."""
    pytest.importorskip("moviepy")
    folder = tmp_path_factory.mktemp("reel")
    pictures, faces = zip(*moving_portrait(12, 320, 240, 0.5), strict=True)
    write_clip(folder / "a cell 7.mp4", iter(pictures), [0, 40, 50, 130, 333, 400, 440, 500, 541, 600, 1000, 1040])
    write_clip(folder / "b gate.mp4", (p for p, _ in moving_portrait(12, 480, 240, 0.5)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detectors, "load_detectors", lambda *_: [FakeDetector(faces)])
        patch.setattr("redact.pipeline.load_others", lambda: [])
        for name in ("a cell 7.mp4", "b gate.mp4"):
            with pytest.raises(SystemExit, match=r"^0$"):
                cli.main(["run", str(folder / name), "-o", str(folder / "out"), "--cover", "head"])
    return folder / "out"


@pytest.fixture
def out(archive: Path, tmp_path: Path, see: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, and eyes that see nothing."""
    see(BlindDetector())
    monkeypatch.setattr("redact.pipeline.load_others", lambda: [])
    return Path(shutil.copytree(archive, tmp_path / "out"))


def frames_of(path: Path) -> list[media.Frame]:
    with media.FrameReader(path) as reader:
        return list(reader)


def apart(one: media.Frame, other: media.Frame) -> float:
    """Return the mean difference of two pictures in levels; the narrower one lies in the middle of the other."""
    cut = (other.picture.shape[1] - one.picture.shape[1]) // 2
    there = other.picture[:, cut : cut + one.picture.shape[1]]
    return float(np.abs(there.astype(int) - one.picture).mean())


def test_a_film_shows_the_notice_and_then_every_frame_of_each_copy_at_its_time(redact: Redact, out: Path) -> None:
    result = redact("reel", out)
    assert (result.code, result.err) == (0, "")
    film = Path(result.out.strip())
    assert film == out / "release" / "film-0001.mp4"
    shown, now = iter(frames_of(film)), Fraction(CARD)
    assert [next(shown).time for _ in range(RATE * CARD)] == [Fraction(n, RATE) for n in range(RATE * CARD)]
    for name in ("excerpt-0001.mp4", "excerpt-0002.mp4"):
        copy = frames_of(out / "release" / name)
        for frame in copy:
            there = next(shown)
            assert abs(there.time - now - frame.time) <= Fraction(1, 90_000)
            assert there.picture.shape == (240, 480, 3)
            assert apart(frame, there) < 2
        now += 2 * copy[-1].time - copy[-2].time
    assert next(shown, None) is None


def test_a_film_holds_nothing_else_and_is_handed_over_with_a_statement(
    redact: Redact, out: Path, tmp_path: Path
) -> None:
    voice = write_clip(tmp_path / "voice.mp4", (p for p, _ in moving_portrait(200, 32, 32, 0.05)), sound=True)
    film = Path(redact("reel", out, "--title", "One night", "--audio", voice).out.strip())
    assert find_residue(film) == []
    assert media.list_contents(film).streams == ("video h264", "audio aac")
    assert stat.S_IMODE(film.stat().st_mode) == 0o644
    assert not list((out / "private").glob("film*"))
    with media.SoundReader(voice) as asked, media.SoundReader(film) as heard:
        assert media.compare_sounds(asked, heard, []).likeness > 0.9
    text = film.with_name("film-0001.statement.json").read_text()
    said = json.loads(text)
    assert [video["covered"] for video in said["videos"]] == [{"head": 1}, {"head": 1}]
    assert said["checked"]["a second look for faces by fake"] == "held"
    assert {"what titles and captions say", "what is said and heard in the sound"} <= set(said["not_checked"])
    assert not re.search(r"cell 7|gate|[0-9a-f]{64}|voice", text)
    assert redact("release", out, "--to", tmp_path / "press").code == 0
    assert (tmp_path / "press" / "film-0001.mp4").read_bytes() == film.read_bytes()
    assert redact("report", out).code == 0
    assert "A film of excerpt-0001.mp4, excerpt-0002.mp4" in (out / "private" / "report.html").read_text()
    assert "film-0001.mp4" in (out / "release" / "report.html").read_text()


def test_a_face_that_is_seen_in_the_film_refuses_it_and_says_when_and_where(
    redact: Redact, out: Path, see: Callable[[Any], None]
) -> None:
    before = sorted((out / "release").iterdir())
    begins = RATE * CARD + 12  # the first frame of the second copy
    see(FakeDetector([None] * (begins + 5) + [(40, 40, 60, 80)] * 3))
    result = redact("reel", out)
    assert result.code == 7
    assert "1 face that is not covered" in result.err
    assert "(excerpt-0002.mp4 at 0.2" in result.err
    assert sorted((out / "release").iterdir()) == before
    assert not list((out / "private").glob("film*"))
    last = custody.read_log(custody.locate_workspace(out)).entries[-1]
    assert (last["operation"], last["passed"]) == ("verify", False)


@pytest.mark.usefixtures("real_weights")
def test_a_face_that_was_missed_in_a_copy_is_seen_in_the_film(
    redact: Redact, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_clip(tmp_path / "open.mp4", (p for p, _ in moving_portrait(8, 320, 240, 0.7)))
    assert redact("run", clip, "-o", out, "--cover", "face", "--allow-empty").code == 0
    monkeypatch.setattr(detectors, "load_detectors", lambda *_: [CenterFace()])
    result = redact("reel", out, "--notice", "")
    assert (result.code, "(excerpt-0003.mp4 at" in result.err) == (7, True), result.err
    assert not (out / "release" / "film-0001.mp4").exists()


@pytest.mark.parametrize("how", ["changed", "linked", "brought"])
def test_only_what_was_released_is_joined(redact: Redact, out: Path, tmp_path: Path, how: str) -> None:
    copy = out / "release" / "excerpt-0001.mp4"
    if how == "brought":
        shutil.copy(copy, out / "release" / "stranger.mp4")
        result = redact("reel", out, "--copy", "stranger.mp4")
        assert (result.code, "was not released here" in result.err) == (3, True)
    else:
        data = copy.read_bytes()
        (tmp_path / "raw.mp4").write_bytes(data + b"\0" * (how == "changed"))
        copy.unlink()
        copy.symlink_to(tmp_path / "raw.mp4") if how == "linked" else shutil.copy(tmp_path / "raw.mp4", copy)
        result = redact("reel", out)
        assert (result.code, "is not the file that was released" in result.err) == (7, True)
    assert not (out / "release" / "film-0001.mp4").exists()


def test_a_copy_that_changes_while_the_film_is_made_refuses_it(
    redact: Redact, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from redact import reel

    def write(*arguments: Any) -> None:
        with (out / "release" / "excerpt-0002.mp4").open("ab") as file:
            file.write(b"\0")

    monkeypatch.setattr(reel, "_write", write)
    result = redact("reel", out)
    assert (result.code, "excerpt-0002.mp4 is not the file" in result.err) == (7, True), result.err
    assert not list((out / "private").glob("film*"))


def test_captions_are_in_the_picture_exactly_while_they_are_to_be_read(
    redact: Redact, out: Path, tmp_path: Path
) -> None:
    plain = frames_of(Path(redact("reel", out, "--copy", "excerpt-0001.mp4").out.strip()))
    (tmp_path / "words.srt").write_text("1\n00:00:04,100 --> 00:00:04,500\nWe were eleven\nin a cell for two\n")
    again = redact("reel", out, "--copy", "excerpt-0001.mp4", "--captions", tmp_path / "words.srt")
    shown = frames_of(Path(again.out.strip()))
    times = [frame.time for frame in shown]
    assert {Fraction(41, 10), Fraction(45, 10)} <= set(times)  # though no frame of the copy begins then
    for frame in shown:
        before = [p for p in plain if p.time <= frame.time][-1]
        differs = np.abs(frame.picture.astype(int) - before.picture)
        assert (differs[180:].max() > 100) == (Fraction(41, 10) <= frame.time < Fraction(45, 10)), frame.time
        assert differs[:120].mean() < 2


@pytest.mark.parametrize(
    ("options", "added"),
    [
        (["--notice", ""], "nothing"), ([], "titles"), (["--notice", "", "--card", "Cell 7"], "titles"),
        (["--notice", " ", "--captions", "words.srt"], "captions"),
        (["--captions", "words.srt"], "titles and captions"),
    ],
)  # fmt: skip
def test_the_statement_says_what_was_added_and_no_more(
    options: list[str], added: str, redact: Redact, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("words.srt").write_text("00:00:00,000 --> 00:00:01,000\nWords\n")
    film = Path(redact("reel", out, "--copy", "excerpt-0001.mp4", *options).out.strip())
    assert json.loads(film.with_name("film-0001.statement.json").read_text())["added"] == added


def test_cards_stand_before_the_copies_that_they_were_given_for(redact: Redact, out: Path) -> None:
    names = ("--copy", "excerpt-0002.mp4", "--copy", "excerpt-0001.mp4")
    result = redact("reel", out, *names, "--card", "", "--card", "The second", "--notice", "", "--json")
    shown = frames_of(Path(json.loads(result.out)["film"]))
    assert len(shown) == 12 + RATE * CARD + 12
    assert apart(frames_of(out / "release" / "excerpt-0002.mp4")[0], shown[0]) < 2
    assert shown[12].picture[:90].max() < 20
    assert shown[12].picture.max() > 200


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--title", "شب"), 2, "no letters for"),
        (("--title", "word " * 300), 2, "does not fit"),
        (("--title", "o" * 200), 2, "does not fit"),
        (("--card", "1", "--card", "2", "--card", "3"), 2, "3 cards for 2 copies"),
        (("--font", "no such.ttf"), 3, "cannot be read"),
        (("--audio", "no such.wav"), 3, "no such.wav"),
        (("--captions", "no such.srt"), 3, "cannot be read"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    redact: Redact, out: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = redact("reel", out, *arguments)
    assert (result.code, said in result.err) == (code, True), result.err
    assert not list((out / "private").glob("film*"))


def test_a_film_of_films_and_of_nothing_is_refused(redact: Redact, out: Path, tmp_path: Path) -> None:
    assert redact("reel", out, "--copy", "excerpt-0001.mp4").code == 0
    assert redact("reel", out, "--copy", "film-0001.mp4").code == 3
    assert redact("reel", tmp_path / "nothing").code == 6
    assert not (tmp_path / "nothing").exists()


def test_without_moviepy_it_is_said_what_to_install(
    redact: Redact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "redact.reel", raising=False)
    monkeypatch.delitem(sys.modules, "redact.films", raising=False)
    monkeypatch.delattr("redact.reel", raising=False)
    monkeypatch.delattr("redact.films", raising=False)
    monkeypatch.setitem(sys.modules, "moviepy", None)
    result = redact("reel", tmp_path)
    assert (result.code, "pip install 'redact[reel]'" in result.err) == (5, True)


def test_the_commands_of_its_document_work(redact: Redact, out: Path, tmp_path: Path) -> None:
    block = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs" / "reel.md").read_text("utf-8"), re.M | re.S)
    write_clip(tmp_path / "voice.mp4", (p for p, _ in moving_portrait(25, 32, 32, 0.05)), sound=True)
    (tmp_path / "words.srt").write_text("00:00:01,000 --> 00:00:02,000\nWords\n")
    names = {"out": out, "words.srt": tmp_path / "words.srt", "voice.wav": tmp_path / "voice.mp4"}
    lines = [line for text in block for line in text.replace("\\\n", " ").splitlines()]
    assert len(lines) > 1
    for line in lines:
        result = redact(*(names.get(word, word) for word in shlex.split(line)[1:]))
        assert result.code == 0, (line, result)

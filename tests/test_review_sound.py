"""The sound of the copy, as a review decides it: left out, kept, muted in parts."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from redact.media import TAIL_S, SoundReader
from tests.conftest import FRAMES, MadeClip, Result
from tests.serving import plan_in, serving

pytestmark = pytest.mark.usefixtures("fake")


def loudness(path: Path) -> Callable[[float, float], float]:
    """Return what says how loud a file is between two times in seconds: the root mean square of full scale."""
    with SoundReader(path) as reader:
        chunks = [(chunk.position, chunk.samples[0]) for chunk in reader]
        heard = np.zeros(chunks[-1][0] + len(chunks[-1][1]))
        for position, samples in chunks:
            heard[position : position + len(samples)] = samples
        rate = reader.rate
    return lambda a, b: float(np.sqrt(np.mean(heard[round(a * rate) : round(b * rate)] ** 2)))


def test_parts_that_are_muted_in_the_review_are_silent_in_the_copy_and_the_others_are_not(out: Path) -> None:
    with serving(out) as client:
        client.enter()
        assert "no sound" in client.change("mute", 400, first=5, last=9)["error"]
        assert client.change("sound", how="keep")["sound"]["audio"] == "keep"
        assert client.change("mute", first=5, last=9)["sound"]["mute"] == [[200, 400]]
        client.change("mute", 400, first=6, last=8)  # it is muted already
        client.change("mute", 400, first=9, last=5)
        client.change("mute", 400, first=20, last=FRAMES)
        client.change("signoff", who="Ana")
        assert client.wait()["error"] is None
    heard = loudness(out / "release" / "excerpt-0001.mp4")
    assert heard(0.22, 0.38) < 0.001
    assert min(heard(0.03, 0.17), heard(0.43, 0.9)) > 0.1


def test_a_run_does_not_make_heard_again_what_was_muted_in_the_review(
    redact: Callable[..., Result], out: Path, clip: MadeClip
) -> None:
    with serving(out) as client:
        client.enter()
        client.change("sound", how="keep")
        client.change("mute", first=5, last=9)
    reviewed = plan_in(out)
    for asked in (("--audio", "keep"), ("--audio", "keep", "--mute", "0-0.1"), ()):
        refused = redact("run", clip.path, "-o", out, *asked)
        assert (refused.code, "redact render" in refused.err, "--overwrite" in refused.err) == (6, True, False)
        assert plan_in(out) == reviewed
    assert not list((out / "release").iterdir())
    assert redact("run", clip.path, "-o", out, "--audio", "keep", "--mute", "0.2-0.4").code == 0
    assert loudness(out / "release" / "excerpt-0001.mp4")(0.22, 0.38) < 0.001


def test_what_was_muted_can_be_heard_again_and_every_step_is_undone(out: Path) -> None:
    with serving(out) as client:
        client.enter()
        client.change("sound", 400, how="loud")
        client.change("sound", 400, how="beep")  # nothing is muted yet
        client.change("sound", how="keep")
        client.change("mute", first=0, last=3)
        client.change("mute", first=20, last=FRAMES - 1)
        client.change("sound", how="beep")
        settings = plan_in(out).settings
        assert settings.beep
        assert settings.mute[0] == (0, Fraction(4, 25))
        assert settings.mute[1] == (Fraction(20, 25), Fraction(FRAMES - 1, 25) + TAIL_S)  # sound that lasts longer too
        client.change("unmute", 400, place=2)
        client.change("unmute", place=0)
        client.change("unmute", place=0)
        assert (plan_in(out).settings.mute, plan_in(out).settings.beep) == ((), False)
        client.change("undo")
        client.change("undo")
        assert plan_in(out).settings == settings
        client.change("sound", how="none")
        assert (plan_in(out).settings.audio, plan_in(out).settings.mute) == ("none", ())
        client.change("undo")
        assert plan_in(out).settings == settings
        edits = [edit.what for edit in plan_in(out).edits]
        assert edits[:3] == ["keeps the clip's sound", "muted frames 0 to 3", "muted frames 20 to 23"]

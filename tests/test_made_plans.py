"""What was seen becomes a plan: text is left out only where a face that is covered holds it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from redact import analysis
from redact.geometry import Box
from redact.plan import Detection, Settings, Source
from redact.sightings import Sightings

FACE = Box(100, 40, 160, 110)
INSIDE, ACROSS = Box(100, 50, 140, 90), Box(130, 60, 225, 90)


def covered(*chains: tuple[Detection, ...], settings: Settings | None = None) -> set[str]:
    """Return the labels of what the plan of some chains covers."""
    times = tuple(Fraction(n, 25) for n in range(12))
    source = Source("clip.mp4", "0" * 64, 320, 240, 0, 12, Fraction(1, 25), Fraction(0), times[-1], "0" * 64, 0)
    seen = Sightings(source, None, None, False, {}, "", times, (), (), (), (), chains)
    return {track.label for track in analysis.make_plan(seen, settings or Settings()).tracks}


def face(score: float = 0.9, judged: float | None = None) -> tuple[Detection, ...]:
    return tuple(Detection(n, FACE, "face", score, "eyes", judged=judged) for n in range(12))


def text(*boxes: Box) -> tuple[Detection, ...]:
    return tuple(Detection(n, box, "text", 0.9, "texts") for n, box in enumerate(boxes))


@pytest.mark.parametrize(
    ("boxes", "kept"), [((INSIDE, INSIDE), False), ((ACROSS,), True), ((INSIDE, ACROSS), True)]
)  # fmt: skip
def test_what_looks_like_text_in_a_covered_face_alone_is_the_face(boxes: tuple[Box, ...], kept: bool) -> None:
    assert ("text" in covered(face(), text(*boxes))) is kept


def test_text_stays_where_the_face_that_holds_it_is_not_covered() -> None:
    """A print on a shirt was taken for a face, which another model then denied."""
    assert covered(face(0.55, judged=0.0), text(INSIDE)) == {"text"}
    assert covered(face(0.55, judged=0.9), text(INSIDE)) == {"head"}
    assert covered(face(0.45), text(INSIDE)) == {"head", "text"}
    assert covered(face(), text(INSIDE), settings=Settings(cover=("text",))) == {"text"}
    assert covered(face(0.55)[:3], text(INSIDE), settings=replace(Settings(), threshold=0.7)) == {"text"}


def test_what_was_seen_with_other_libraries_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = analysis.versions()
    assert all(name in before for name in ("redact", "av", "opencv", "onnxruntime"))
    found = analysis.distributions
    for name in ("av", "opencv-contrib-python", "onnxruntime"):
        monkeypatch.setattr(
            analysis, "distributions", lambda name, other=name: () if name == other else found(name=name)
        )
        assert analysis.versions() != before

"""Pass 3: decode the finished copy from disk, check it against the clip and the plan, and look for faces again."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from redact.crew import Crew, Progress
from redact.detectors import Detector
from redact.effects import Coverer
from redact.media import (
    Frame,
    FrameReader,
    SoundReader,
    as_encoded,
    compare_sounds,
    holds_only_its_picture,
    is_still,
    list_contents,
    open_excerpt,
    open_sound,
)
from redact.plan import UNHEARD, Check, Detection, Plan, Verdict
from redact.residue import find_residue
from redact.second_look import SecondLook

BLOCK = 16  # pixels; coding error is judged by the mean over blocks of this size
CRF_REFERENCE = 17  # the quality at which the two tolerances below were measured
COVERED_TOLERANCE = 24.0  # levels: the worst block of twelve real and made clips was 10.4 off
OUTSIDE_TOLERANCE = 20.0  # levels: likewise 8.5
SAME_SOUND = 0.8  # correlation: white noise, the hardest sound, has 0.9, speech and music 0.99
SOUND_CUT_S = 0.1  # AAC comes in frames of 1024 samples, and files may end within one
SILENT, TONE_OFF = 0.001, 0.01  # of full scale: how far muted parts may be from silence, or from the tone
# Likewise of short parts: beside loud noise the tone is 0.041 off, and 0.07 where it is missing.
SHORT_TONE_OFF = 0.06
CRF_DOUBLING = 12  # steps of the quantiser over which the allowed error doubles


@dataclass
class _Comparison:
    """What comparing the copy with clip and plan frame by frame has shown so far."""

    planned: int = 0
    copied: int = 0
    damaged: int = 0
    wrong_times: list[int] = field(default_factory=list)
    wrong_size: bool = False
    damage_shown: list[int] = field(default_factory=list)
    covered_worst: tuple[float, int] = (0.0, -1)
    outside_worst: tuple[float, int] = (0.0, -1)


@dataclass(frozen=True)
class _Apart:
    """How far one frame of the copy is from what covering gives.

    Attributes:
        decided: the mask of what is covered, or shown because a person decided it.
        shown: whether anything is not covered.
        covered: the worst block of what is covered, in levels.
        outside: likewise of the rest.
        wrong_size: whether the copy's frame has another size, and nothing could be measured.
    """

    decided: NDArray[np.uint8]
    shown: bool
    covered: float = 0.0
    outside: float = 0.0
    wrong_size: bool = False


@dataclass(frozen=True)
class Findings:
    """What verifying a copy has shown.

    Attributes:
        verdict: the checks.
        faces: chains of sightings of faces that are not covered.
    """

    verdict: Verdict
    faces: tuple[tuple[Detection, ...], ...]


def verify(copy: Path, plan: Plan, clip: Path, detectors: Sequence[Detector], progress: Progress) -> Findings:
    """Check a copy: decode it to the end, compare it with what the plan makes of the clip, and look for faces.

    Args:
        copy: the file to check.
        plan: what it should show.
        clip: the clip that the plan was made for.
        detectors: what looks at the copy.
        progress: called with the frames done and the number of frames.

    Raises:
        InputError: the copy or the clip cannot be read at all.
        PlanError: the clip is not the plan's.
    """
    with open_excerpt(plan, clip) as source, FrameReader(copy) as reader, Crew() as crew:
        look = SecondLook(detectors, plan.settings, crew)
        seen = _compare(plan, source, reader, look, crew, progress)
        with closing(pictures_of(lambda: open_excerpt(plan, clip))) as again:
            faces = look.found(again)
    checks = [*_check_frames(plan, seen), *_check_pictures(plan, seen), *look.checks(faces)]
    with open_sound(plan, clip, source.sounds) or nullcontext() as sound:
        checks += _check_still(copy) if plan.source.still else _check_contents(copy, sound is not None)
        if sound is not None and all(check.passed for check in checks):
            mute = [(a - plan.begin, b - plan.begin) for a, b in plan.settings.mute]
            checks += check_sound(copy, sound, mute, plan.settings.beep)
    verdict = Verdict((*checks, *_not_made(plan, sound is not None, bool(detectors))))
    return Findings(verdict, tuple(tuple(chain) for chain in faces))


def verify_alone(file: Path) -> Verdict:
    """Check what can be checked of a film or a picture without plan and clip: that it holds nothing else.

    Raises:
        InputError: the file cannot be read at all.
    """
    compared = Check("covered as the plan says", None, "not compared: no plan was given")
    held = _check_still(file) if is_still(file) else [check_residue(file)]
    return Verdict((*held, compared))


def pictures_of(opened: Callable[[], FrameReader]) -> Generator[tuple[int, NDArray[np.uint8]]]:
    """Yield the index and the picture of each frame of what is opened, for `SecondLook.found`; it may never be."""
    with opened() as reader:
        for frame in reader:
            yield frame.index, frame.picture


def _compare(
    plan: Plan, source: FrameReader, reader: FrameReader, look: SecondLook, crew: Crew, progress: Progress
) -> _Comparison:
    """Compare the copy with the covered source, frame by frame, and look at it."""
    coverer, seen = Coverer(plan), _Comparison()
    pairs = itertools.zip_longest(source, reader)
    for (expected, copied), apart in crew.each(lambda pair: _measure(coverer, *pair), pairs):
        seen.planned += expected is not None
        seen.copied += copied is not None
        if expected is None or copied is None or apart is None:
            continue
        seen.damaged += copied.damaged
        if copied.time != expected.time - plan.begin:
            seen.wrong_times.append(copied.index)
        if expected.damaged and apart.shown:
            seen.damage_shown.append(expected.index)
        seen.wrong_size |= apart.wrong_size
        seen.covered_worst = max(seen.covered_worst, (apart.covered, expected.index))
        seen.outside_worst = max(seen.outside_worst, (apart.outside, expected.index))
        look.show(copied.picture, expected.picture, apart.decided, expected.index, expected.time)
        progress(seen.planned, plan.source.frames)
    return seen


def _measure(coverer: Coverer, source: Frame | None, copied: Frame | None) -> _Apart | None:
    """Return how far one frame of the copy is from what covering that of the clip gives; None where one is missing."""
    if source is None or copied is None:
        return None
    covered, mask = coverer.cover(source.picture, source.index)
    expected, decided = as_encoded(covered), coverer.decided(mask, source.index)
    shown = not mask.all()
    if copied.picture.shape != expected.shape:
        return _Apart(decided, shown, wrong_size=True)
    height, width = mask.shape
    apart = cv2.cvtColor(cv2.absdiff(expected, copied.picture)[:height, :width], cv2.COLOR_BGR2GRAY).astype(np.float32)
    # A block that is hardly covered (or hardly free) is judged with the other kind's pixels around it, not by a few.
    kind = (mask > 0).astype(np.float32)
    of_covered, of_all = _block_means(apart * kind), _block_means(apart)
    worst_covered = float((of_covered / np.maximum(_block_means(kind), 0.25)).max())
    worst_outside = float(((of_all - of_covered) / np.maximum(_block_means(1 - kind), 0.25)).max())
    return _Apart(decided, shown, worst_covered, worst_outside)


def _block_means(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of each block; beyond the last row and column there is nothing."""
    height, width = values.shape
    whole = cv2.copyMakeBorder(values, 0, -height % BLOCK, 0, -width % BLOCK, cv2.BORDER_CONSTANT)
    size = whole.shape[1] // BLOCK, whole.shape[0] // BLOCK  # a whole factor is nine times faster
    return np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.float32)


def _check_frames(plan: Plan, seen: _Comparison) -> list[Check]:
    """Return the checks of frames and times."""
    complete = seen.copied == seen.planned == plan.source.frames and not seen.damaged and not seen.wrong_size
    figure = f"{seen.copied} of {plan.source.frames} frames decoded, {seen.damaged} of them damaged"
    times = f"{len(seen.wrong_times)} frames at another time than planned"
    if seen.wrong_times:
        times += f", the first is frame {seen.wrong_times[0]}"
    checks = [
        Check("decodes to the end, every frame", complete, figure),
        Check("every frame at its time", not seen.wrong_times and bool(seen.copied), times),
    ]
    if plan.source.damaged:
        shown = f"{plan.source.damaged - len(seen.damage_shown)} of {plan.source.damaged} frames"
        checks.append(Check("frames that are damaged in the source are covered whole", not seen.damage_shown, shown))
    return checks


def _check_pictures(plan: Plan, seen: _Comparison) -> list[Check]:
    """Return the checks of what the frames show."""
    scale = 2 ** (max(0, plan.settings.crf - CRF_REFERENCE) / CRF_DOUBLING)
    checks = []
    for name, (worst, frame), tolerance in (
        ("covered regions equal what covering gives", seen.covered_worst, COVERED_TOLERANCE * scale),
        ("the rest equals the source", seen.outside_worst, OUTSIDE_TOLERANCE * scale),
    ):
        figure = f"worst block {worst:.1f} levels off, allowed {tolerance:.1f}"
        figure += f", in frame {frame}" if frame >= 0 else ""
        checks.append(Check(name, worst <= tolerance and not seen.wrong_size and bool(seen.copied), figure))
    return checks


def _check_contents(copy: Path, sound_expected: bool) -> list[Check]:
    """Return the checks of what else is in the file."""
    contents = list_contents(copy)
    streams = ("video h264", "audio aac") if sound_expected else ("video h264",)
    loose = [*contents.tags, *(["chapters"] if contents.chapters else [])]
    expected = contents.streams == streams and contents.pixel_format == "yuv420p"
    return [
        Check("only the expected streams", expected, ", ".join((*contents.streams, contents.pixel_format))),
        Check("no tags or chapters", not loose, ", ".join(loose) or "none found"),
        check_residue(copy),
    ]


def _check_still(copy: Path) -> list[Check]:
    """Return the check of what else is in a still picture."""
    clean = holds_only_its_picture(copy)
    figure = "the file is what encoding its picture gives" if clean else "there is more in the file"
    return [Check("nothing in the file but the picture", clean, figure)]


def check_residue(file: Path) -> Check:
    """Return the check of every box of a file."""
    residue = find_residue(file)
    return Check("nothing in the file but pictures and sound", not residue, "; ".join(residue) or "none found")


def _not_made(plan: Plan, sound: bool, looked: bool) -> list[Check]:
    """Return what this verification does not look at."""
    checks = [Check("reviewed by a person", None, "no")] if plan.review is None else []
    if plan.source.lost:
        checks.append(Check("what cannot be decoded", None, plan.source.damage()))
    if not looked:
        checks.append(Check("a second look for faces", None, "faces were not to be covered"))
    if sound:
        checks.append(Check(UNHEARD, None, "not made"))
    return checks


def check_sound(
    copy: Path, sound: SoundReader, mute: Sequence[tuple[Fraction, Fraction]] = (), beep: bool = False
) -> list[Check]:
    """Return the checks of the sound: it is the one that was asked for, in step, and not heard where it is muted.

    Args:
        copy: the file to check.
        sound: what was asked for.
        mute: begin and end of the stretches without sound, in seconds from the beginning of the copy.
        beep: a tone instead of silence there.
    """
    with SoundReader(copy) as heard:
        seen = compare_sounds(sound, heard, mute)
    same = seen.likeness >= SAME_SOUND and seen.missing_s <= SOUND_CUT_S
    figure = (
        f"least alike second {seen.likeness:.2f} of 1, allowed {SAME_SOUND}; {seen.missing_s:.2f} s longer or shorter"
    )
    checks = [Check("the sound is what was asked for, in step", same, figure)]
    if mute:
        allowed, short = (TONE_OFF, SHORT_TONE_OFF) if beep else (SILENT, SILENT)
        off = f"worst part {seen.muted_off:.4f} of full scale off, allowed {allowed}; "
        off += f"in the middle of short parts {seen.short_off:.4f}, allowed {short}"
        silent = seen.muted_off <= allowed and seen.short_off <= short
        if seen.untold < len(mute):
            checks.append(Check("muted parts are silent, or a tone", silent, off))
        if seen.untold:
            figure = f"{seen.untold} parts not measured: too short to be told from what is beside them"
            checks.append(Check("very short muted parts are silent, or a tone", None, figure))
    return checks

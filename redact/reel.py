"""One film of released copies: made from the release folder alone, and released only after checks of its own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from redact import custody, films, handover, verification
from redact.captions import read_captions
from redact.crew import Crew, PassProgress, Progress
from redact.custody import Workspace
from redact.detectors import Detector
from redact.errors import InputError, UsageError, VerificationError
from redact.films import Film
from redact.media import FrameReader, FrameWriter, SoundReader, hash_file
from redact.plan import LONGEST_LIST, UNHEARD, Check, Detection, Settings, Verdict
from redact.records import to_plain
from redact.second_look import SecondLook

NOTICE = "To protect people, parts of these pictures were covered before publication."
SETTINGS = Settings()
ADVICE = (
    "Nothing was released. Watch the copy at that time, and cover who can be recognised. A film in which faces are "
    "seen is never released: else leave that copy out."
)


@dataclass(frozen=True)
class Wish:
    """What a film is to be.

    Attributes:
        copies: their names in the release folder, in order; empty for all.
        title: the text of the first card; "" for none.
        notice: the text of the card after it, which says that people are protected.
        cards: the texts of the cards before each copy, in their order; "" for none.
        captions: a SubRip file, in times of the film.
        audio: a file whose sound is the film's; None for silence.
        font: the file of a font for all texts.
    """

    copies: tuple[str, ...] = ()
    title: str = ""
    notice: str = NOTICE
    cards: tuple[str, ...] = ()
    captions: Path | None = None
    audio: Path | None = None
    font: Path | None = None


def make(space: Workspace, wish: Wish, detectors: Sequence[Detector], progress: PassProgress) -> tuple[Path, Verdict]:
    """Join released copies into one film, search it for faces, and release it.

    Args:
        space: where the copies were released.
        wish: what the film is to be.
        detectors: what looks at the film; at least one.
        progress: from the name of a pass to its progress.

    Returns:
        Where the film is, and what was checked.

    Raises:
        RedactError: one of its kinds; nothing was released then.
    """
    entries = handover.released(space)
    copies = _choose(space, wish, entries)
    _check_unchanged(copies, entries)
    film = _lay_out(copies, wish)
    partial = space.private / "film.partial.mp4"
    partial.unlink(missing_ok=True)
    try:
        custody.write_private(partial, b"")  # whoever encodes into it leaves its mode as it is
        _write(film, partial, wish.audio, progress("render"))
        _check_unchanged(copies, entries)
        sha256 = hash_file(partial)
        verdict, seen = _check(film, partial, wish.audio, detectors, progress("verify"))
        joined = {path.name: entries[path.name]["copy_sha256"] for path in copies}
        files = {name: hash_file(path) for name in ("captions", "audio", "font") if (path := getattr(wish, name))}
        details = {"joined": joined, "files": files, "texts": [wish.title, wish.notice, *wish.cards]}
        custody.record(space, "verify", {**details, "passed": verdict.passed, "checks": to_plain(verdict.checks)})
        if not verdict.passed:
            found = "; ".join(f"{check.name}: {check.figure}" for check in verdict.findings)
            raise VerificationError(f"The film did not pass: {found}{seen}.", ADVICE if seen else None)
        parts = [json.loads(entries[path.name]["statement"]) for path in copies]
        statement = _make_statement(parts, wish, verdict)
        target = custody.publish(space, partial, sha256, lambda: custody.next_name(space, "film"), details, statement)
    finally:
        partial.unlink(missing_ok=True)
    return target, verdict


def _choose(space: Workspace, wish: Wish, entries: Mapping[str, Mapping[str, Any]]) -> list[Path]:
    """Return the copies that are joined: those that were named, or all clips that are there.

    Raises:
        InputError: one was not released, or there is none.
        UsageError: the output is a single copy, or there are more cards than copies.
    """
    if space.copy is not None:
        raise UsageError(f"{space.copy} is one copy, not a folder of copies.", "Name the folder given to -o.")
    joinable = [name for name, entry in entries.items() if "joined" not in entry]
    names = wish.copies or tuple(
        name for name in sorted(joinable) if name.endswith(".mp4") and (space.release / name).exists()
    )
    if strangers := [name for name in names if name not in joinable]:
        raise InputError(
            f"{strangers[0]} was not released here, or is a film already.",
            "Name files of the release folder, as `excerpt-0001.mp4`; `redact log OUT` tells which clip they show.",
        )
    if not names:
        raise InputError(f"There are no copies in {space.release}.", "Make some with `redact run CLIP... -o OUT`.")
    if len(wish.cards) > len(names):
        raise UsageError(
            f"There are {len(wish.cards)} cards for {len(names)} copies.", "Give one --card for each copy."
        )
    return [space.release / name for name in names]


def _check_unchanged(copies: Sequence[Path], entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a copy that is not the file that was released."""
    for path in copies:
        if path.is_symlink() or not path.is_file() or hash_file(path) != entries[path.name]["copy_sha256"]:
            raise VerificationError(
                f"{path.name} is not the file that was released: it was changed, or a disk failed. No film was made.",
                handover.HOW,
            )


def _lay_out(copies: Sequence[Path], wish: Wish) -> Film:
    """Return the film: the title, the notice, and each copy after its card."""
    captions = read_captions(wish.captions) if wish.captions else ()
    measured = {path: films.measure(path) for path in copies}
    shows: list[str | films.Shot] = [text for text in (wish.title, wish.notice) if text.strip()]
    for path, card in itertools.zip_longest(copies, wish.cards, fillvalue=""):
        shows += [text for text in (str(card),) if text.strip()]
        shows.append(measured[Path(path)])
    size = max(shot.size[0] for shot in measured.values()), max(shot.size[1] for shot in measured.values())
    return films.lay_out(shows, captions, size, wish.font)


def _write(film: Film, partial: Path, audio: Path | None, progress: Progress) -> None:
    """Encode a film."""
    total = len(film.times)
    with ExitStack() as stack:
        sound = stack.enter_context(SoundReader(audio, end=film.length)) if audio else None
        writer = stack.enter_context(FrameWriter(partial, film, SETTINGS.crf, sound))
        for done, (picture, time) in enumerate(films.compose(film), start=1):
            writer.write(picture, time)
            progress(done, total)


def _check(
    film: Film, partial: Path, audio: Path | None, detectors: Sequence[Detector], progress: Progress
) -> tuple[Verdict, str]:
    """Decode a film from disk, check it and search it for faces.

    Returns:
        The checks, and where faces were seen, in words.
    """
    times, read, damaged = film.times, [], 0
    with FrameReader(partial) as reader, Crew() as crew:
        look = SecondLook(detectors, SETTINGS, crew)
        for frame in reader:
            read.append(frame.time)
            damaged += frame.damaged
            nothing = np.zeros(frame.picture.shape[:2], np.uint8)  # is known to be covered: whatever is seen counts
            look.show(frame.picture, frame.picture, nothing, frame.index, frame.time)
            progress(len(read), len(times))
        with closing(verification.pictures_of(lambda: FrameReader(partial))) as again:
            faces = look.found(again)
    whole = tuple(read) == times and not damaged
    figure = f"{len(read)} of {len(times)} frames decoded, {damaged} of them damaged"
    checks = [Check("decodes to the end, every frame at its time", whole, figure), *look.checks(faces)]
    checks.append(verification.check_residue(partial))
    if audio and all(check.passed for check in checks):
        with SoundReader(audio, end=film.length) as sound:
            checks += verification.check_sound(partial, sound)
    checks += [Check(name, None, "not made") for name in ("what titles and captions say", *[UNHEARD] * bool(audio))]
    return Verdict((*checks, Check("reviewed by a person", None, "no"))), _where(film, read, faces)


def _where(film: Film, times: Sequence[Fraction], faces: Sequence[Sequence[Detection]]) -> str:
    """Return in words when faces are seen, and in which copies; nothing where none are."""
    seen = []
    for time in sorted(times[max(chain, key=lambda d: d.score).frame] for chain in faces):
        part = film.part_at(time)
        where = "a card" if isinstance(part.shows, str) else f"{part.shows.name} at {float(time - part.begins):.2f} s"
        seen.append(f"at {float(time):.2f} s ({where})")
    more = [f"and {len(seen) - LONGEST_LIST} more"] if len(seen) > LONGEST_LIST else []
    return f"; {', '.join([*seen[:LONGEST_LIST], *more])}" if seen else ""


def _make_statement(parts: Sequence[Mapping[str, Any]], wish: Wish, verdict: Verdict) -> dict[str, Any]:
    """Return the public statement on a film, with those on its parts as they were published."""
    texts = ["titles"] * any(text.strip() for text in (wish.title, wish.notice, *wish.cards))
    return {
        "statement": "This film joins videos of which parts were covered before publication.",
        "videos": list(parts),
        "added": " and ".join([*texts, *["captions"] * bool(wish.captions)]) or "nothing",
        "sound": "another sound in place of the recorded" if wish.audio else "removed",
        **custody.describe_checks(verdict),
        "reviewed_by_a_person": "no",
    }

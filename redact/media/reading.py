"""Reading: the frames of a clip, or of an excerpt of it, one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from redact.crew import one_thread
from redact.errors import PlanError, UsageError
from redact.media.apart import ApartDecoder
from redact.media.files import hash_file
from redact.media.frames import FRAMES_AHEAD, Frame
from redact.media.pixels import upright
from redact.media.stills import encode_still
from redact.plan import Plan, Settings


class FrameReader:
    """Reads the frames of a clip, or of an excerpt of it, in display order. A context manager and an iterator.

    Args:
        path: the clip. It is only ever read.
        begin: the first frame is the first one shown at this time or later; None for the clip's first.
        end: the frame shown at this time and those after it are left out; None for none.
        stream: which of its streams of pictures, from 1; cover pictures do not count.

    Attributes:
        rate: frames per second, as the file says; good for guesses only.
        time_base: the unit of the clip's time stamps, in seconds.
        colour: the clip's colour description.
        untrusted_frames: how many frames the file says it has, or None.
        sounds: how many streams of sound the file says it has.
        still: it is a still picture.

    Raises:
        InputError: the clip cannot be opened, holds no picture, or holds one of an unsupported kind.
        UsageError: it has no stream of this number.
    """

    def __init__(self, path: Path, begin: Fraction | None = None, end: Fraction | None = None, stream: int = 1) -> None:
        self.path = path
        self._begin, self._end = begin, end
        self._decoder = ApartDecoder(path, stream)
        header = self._decoder.header
        self.rate, self.time_base, self.colour = header.rate, header.time_base, header.colour
        self.sounds, self.still = header.sounds, header.still
        self.untrusted_frames = self._guess_frames(header.untrusted_frames)
        self._ahead = one_thread()

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._decoder.stop()  # what is decoded ahead is not waited for
        self._ahead.shutdown(cancel_futures=True)
        self._decoder.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames of the excerpt; the next few are decoded meanwhile.

        Raises:
            InputError: not one frame could be decoded, or reading failed.
        """
        frames = self._frames()
        coming = deque(self._ahead.submit(next, frames, None) for _ in range(FRAMES_AHEAD))
        while (frame := coming.popleft().result()) is not None:
            coming.append(self._ahead.submit(next, frames, None))
            yield frame

    @property
    def lost(self) -> tuple[tuple[Fraction, Fraction], ...]:
        """Stretches of the excerpt in which something could not be decoded at all; complete after the last frame."""
        low = self._begin or Fraction(0)
        cut = [(max(a, low), b if self._end is None else min(b, self._end)) for a, b in self._decoder.lost]
        return tuple((a, b) for a, b in cut if a < b)

    def _frames(self) -> Iterator[Frame]:
        """Yield the frames of the excerpt."""
        for frame in self._decoder.frames(self._begin, self._end):
            yield Frame(frame.index, frame.time, upright(frame.plain, frame.turn), frame.damaged)

    def _guess_frames(self, untrusted_total: int | None) -> int | None:
        """Return a guess of the number of frames in the excerpt, for progress only."""
        if self._begin is None and self._end is None:
            return untrusted_total
        whole = untrusted_total / self.rate if untrusted_total else None
        end = whole if self._end is None else self._end if whole is None else min(self._end, whole)
        return None if end is None else max(1, int((end - (self._begin or 0)) * self.rate))


def open_clip(clip: Path, settings: Settings) -> FrameReader:
    """Return a reader of the stream and the excerpt of a clip that settings name.

    Raises:
        InputError: the clip cannot be read.
        UsageError: it has no such stream.
    """
    return FrameReader(clip, settings.from_time, settings.to_time, settings.stream)


def open_excerpt(plan: Plan, clip: Path) -> FrameReader:
    """Return a reader of the excerpt that a plan was made for.

    Raises:
        InputError: the clip cannot be read.
        PlanError: it is not the clip that the plan was made for.
    """
    if hash_file(clip) != plan.source.sha256:
        raise PlanError(
            f"The plan was made for another clip than {clip.name}, or the clip has been changed since. "
            "The plan's boxes would cover the wrong places."
        )
    return open_clip(clip, plan.settings)


def frame_at(path: Path, time: Fraction) -> Frame:
    """Return the frame of a clip that is shown at a time.

    Raises:
        InputError: the clip cannot be read.
        UsageError: it ends before that time, so far as its last frame tells.
    """
    shown: Frame | None = None
    with FrameReader(path) as reader:
        for frame in reader:
            if frame.time > time:
                return shown or frame
            shown = frame
    assert shown is not None
    if time > shown.time + 1 / reader.rate:
        raise UsageError(f"{path.name} ends at {float(shown.time):.2f} s, before {float(time):g} s.")
    return shown


def holds_only_its_picture(path: Path) -> bool:
    """Return whether a file is, byte for byte, what `encode_still` makes of the picture that it shows.

    Raises:
        InputError: it cannot be read.
    """
    with ApartDecoder(path, kind="still") as decoder:
        return [encode_still(frame.plain) for frame in decoder.frames()] == [path.read_bytes()]

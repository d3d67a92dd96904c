"""Pass 2: from the clip and the plan to a copy that is not yet checked."""

from __future__ import annotations

import glob
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from redact.crew import Crew, Progress
from redact.disk import unwritable
from redact.effects import Coverer
from redact.errors import PlanError
from redact.media import Digest, open_excerpt, open_sound, open_writer
from redact.plan import Plan


def render_beside(plan: Plan, clip: Path, partial: Path, progress: Progress) -> Path:
    """Write the covered copy of the plan's excerpt to a new file beside the one that it will be, and return that.

    Where a pass is carried out again because its process is thought to have died, both may still write.

    Raises:
        RedactError: as `render`.
    """
    try:
        descriptor, name = tempfile.mkstemp(partial.suffix, f"{partial.stem}-", partial.parent)
    except OSError as error:
        raise unwritable(partial, error) from error
    os.close(descriptor)
    try:
        render(plan, clip, Path(name), progress)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def unfinished(partial: Path) -> list[Path]:
    """Return the files of `render_beside` that are still there."""
    return list(partial.parent.glob(f"{glob.escape(partial.stem)}-????????{partial.suffix}"))


def render(plan: Plan, clip: Path, partial: Path, progress: Progress) -> None:
    """Write the covered copy of the plan's excerpt. The same plan and clip give the same bytes.

    Args:
        plan: what to cover.
        clip: the file that the plan was made for.
        partial: where the copy goes; what is there is replaced. It is removed again if anything fails.
        progress: called with the frames done and the number of frames.

    Raises:
        InputError: the clip cannot be read.
        PlanError: the clip is not the plan's, or decodes to other frames than when it was analysed.
        OutputError: the copy cannot be written.
    """
    coverer, digest, done = Coverer(plan), Digest(), 0
    with ExitStack() as stack:
        reader = stack.enter_context(open_excerpt(plan, clip))
        sound = open_sound(plan, clip, reader.sounds)
        if sound is not None:
            stack.enter_context(sound)
        writer = stack.enter_context(open_writer(partial, reader, plan.settings.crf, sound))
        crew = stack.enter_context(Crew())
        for frame, (picture, _) in crew.each(lambda frame: coverer.cover(frame.picture, frame.index), reader):
            digest.add(frame)
            writer.write(picture, frame.time - plan.begin)
            done += 1
            progress(done, plan.source.frames)
        if digest.hexdigest() != plan.source.digest:
            raise PlanError(
                f"{clip.name} decodes to other pictures now than when the plan was made "
                "(another version of the decoder, or a failing disk)."
            )

"""The errors that a user can meet.

RedactError                 the base; never raised itself
  UsageError          2     wrong options or values
  InputError          3     the clip cannot be opened, is unsupported, empty, or changed while it was read
  PlanError           4     an unreadable plan, or the plan of another clip
  DependencyError     5     weights or an optional package missing, or a file that is not what its card says
  OutputError         6     exists already, not writable, same as the source, disk full, encoder failed
  VerificationError   7     rendered, but a check found something; nothing was published
  ReviewRequired      8     nothing was found in the clip: a person has to look before it is released

A message says what happened and what that means; the advice says what to do next. Each class owns its exit
code, so that nobody has to match on the text.
"""

from __future__ import annotations

import os


class RedactError(Exception):
    """The base of every error that redact raises on purpose.

    Args:
        message: what happened, and what that means for the user.
        advice: what to do next; the class has a general one.
    """

    exit_code = 1
    default_advice = "Please report this as a bug."

    def __init__(self, message: str, advice: str | None = None) -> None:
        super().__init__(message)
        self.advice = advice or self.default_advice


class UsageError(RedactError):
    """An option has a wrong value."""

    exit_code = 2
    default_advice = "See `redact COMMAND --help`."


class InputError(RedactError):
    """The clip cannot be read."""

    exit_code = 3
    default_advice = "Check that the file plays in a video player; ask for a new copy of it if it does not."


class PlanError(RedactError):
    """The plan cannot be read, or belongs to another clip."""

    exit_code = 4
    default_advice = "Make a new plan with `redact analyse CLIP -o OUT`."


class DependencyError(RedactError):
    """Weights or a package are missing, or a weight file is not the one that its card describes."""

    exit_code = 5
    default_advice = "Run `redact models fetch`, then try again."


class OutputError(RedactError):
    """The output cannot be written."""

    exit_code = 6
    default_advice = "Choose another output with -o, or make room and check the permissions of the folder."


class VerificationError(RedactError):
    """A check found something in the finished copy, which was therefore not released."""

    exit_code = 7
    default_advice = "Nothing was released. Look at the checks above, then run the command again."


class ReviewRequired(RedactError):
    """A person has to look before anything is released."""

    exit_code = 8
    default_advice = "Watch the clip. If nobody can be recognised in it, run again with --allow-empty."


def refused(error: OSError) -> RedactError:
    """Return the error for what the system refuses, where nobody nearer to it has told more."""
    where = "Something" if error.filename is None else os.fsdecode(error.filename)
    what = f"{where} cannot be used: {error.strerror or error}."
    if isinstance(error, FileNotFoundError):
        return InputError(what, "Check the name. Where a clip was moved, --clip says where it is.")
    return OutputError(
        what, "Check its permissions and those of its folders, that the name is not too long, and the disk."
    )

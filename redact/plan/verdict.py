"""What was checked of a copy, and whether it held."""

from __future__ import annotations

from dataclasses import dataclass, field

UNHEARD = "what is said and heard in the sound"  # the check that is never made of a copy with sound


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a copy.

    Attributes:
        name: what was checked.
        passed: whether it held; None where it was not made.
        figure: what was measured, in words that a person can read.
    """

    name: str
    passed: bool | None
    figure: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks of a copy, also those that were not made."""

    checks: tuple[Check, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether some check was made and every check that was made held."""
        made = [c.passed for c in self.checks if c.passed is not None]
        return bool(made) and all(made)

    @property
    def findings(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(c for c in self.checks if c.passed is False)

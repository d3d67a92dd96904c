"""redact covers faces in video evidence for good, and checks the copy before it exists."""

import os
from typing import TYPE_CHECKING, Any

from redact.errors import RedactError
from redact.geometry import Box
from redact.plan import Detection, Plan, Settings, Source, Track, Verdict

if TYPE_CHECKING:
    from redact.api import analyse, render, run, sheet, verify
    from redact.pipeline import Outcome

__version__ = "0.1.0"

# ONNX Runtime 1.29 and later send to their makers what they are used for, from the moment they are imported on. Only
# this keeps them from it, and from writing it down (their `disable_telemetry_events` does not).
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__all__ = [
    "Box",
    "Detection",
    "Outcome",
    "Plan",
    "RedactError",
    "Settings",
    "Source",
    "Track",
    "Verdict",
    "analyse",
    "render",
    "run",
    "sheet",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Load the passes when one of them is first asked for: the libraries that they need take long to load."""
    if name in __all__:
        from redact import api

        return getattr(api, name)
    raise AttributeError(f"module 'redact' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return [*__all__, "__version__"]

"""redact covers faces in video evidence for good, and checks the copy before it exists."""

from redact.errors import RedactError
from redact.geometry import Box
from redact.plan import Detection, Plan, Settings, Source, Track, Verdict

__version__ = "0.1.0"

__all__ = ["Box", "Detection", "Plan", "RedactError", "Settings", "Source", "Track", "Verdict"]

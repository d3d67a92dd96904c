"""The detectors of a run, for passes that may be carried out in other processes."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from redact.detectors import Detector


class Eyes(Sequence["Detector"]):
    """Detectors that are loaded where they are first used. Another process that gets them loads its own, once.

    Args:
        load: makes them; for other processes it has to be a function of a module, or a `partial` of one.
    """

    def __init__(self, load: Callable[[], Sequence[Detector]]) -> None:
        self._load = load
        self._loaded: Sequence[Detector] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _load_once, (pickle.dumps(self._load),)

    def _detectors(self) -> Sequence[Detector]:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def __len__(self) -> int:
        return len(self._detectors())

    @overload
    def __getitem__(self, at: int) -> Detector: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Detector]: ...
    def __getitem__(self, at: int | slice) -> Detector | Sequence[Detector]:
        return self._detectors()[at]


@lru_cache(maxsize=1)
def _load_once(packed: bytes) -> Eyes:
    """Return the detectors that a pickled function makes; the same as before, where it is the same as before."""
    return Eyes(pickle.loads(packed))

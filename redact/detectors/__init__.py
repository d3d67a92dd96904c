"""Detectors: what looks at one picture and says what it saw. One file per family, all behind one protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from redact import marks as library
from redact import weights
from redact.detectors.looks import Look
from redact.errors import UsageError
from redact.plan import Detection, Settings

GROUP = "redact.detectors"  # of entry points
HELPFUL = {"person"}  # labels that are looked for beside faces wherever that can be: each person has a head


class Detector(Protocol):
    """What every detector offers.

    Attributes:
        name: stands in each of its detections.
        labels: the labels that it can give.
        models: sha256 of each model that it runs, by the id of its card and how it is run.
    """

    name: str
    labels: tuple[str, ...]
    models: Mapping[str, str]

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return what is seen in one picture by several looks together, each thing once.

        It is called from several threads at once.

        Args:
            picture: upright, BGR, uint8, (height, width, 3); it is not changed.
            frame: index of the frame, for the detections.
            looks: how the picture is to be shown; `redact.detectors.looks.see` does it.

        Returns:
            Detections in pixels of the picture; a box may reach over its edges.
        """
        ...


@runtime_checkable
class PacedDetector(Detector, Protocol):
    """A detector that says itself how often and how it looks. Others look as faces need it (`looking.Gaze`).

    Attributes:
        every_s: from one of its looks to the next, in seconds; 0 for every frame. At cuts, and where the picture has
            changed much, it looks sooner.
    """

    every_s: Fraction

    def looks(self, side: int) -> tuple[Look, ...]:
        """Return how it wants a picture to be shown.

        Args:
            side: the longer side of the picture in pixels.
        """
        ...


@runtime_checkable
class NearDetector(PacedDetector, Protocol):
    """A paced detector that looks near faces as well, for it misses there what is small."""

    def looks_near(self, faces: Sequence[Detection], width: int, height: int) -> tuple[Look, ...]:
        """Return the looks at what is near some faces.

        Args:
            faces: those that were seen in the picture.
            width: of the picture in pixels.
            height: likewise.
        """
        ...


@runtime_checkable
class HoldingDetector(PacedDetector, Protocol):
    """A paced detector that knows nothing but the picture: while that does not change, it need not look again.

    Attributes:
        holds: whether it does so. It looks again after a bounded time all the same.
    """

    holds: bool


@runtime_checkable
class AskedDetector(Detector, Protocol):
    """A detector of faces with another model that is asked about what it was not sure of."""

    def ask(self, picture: NDArray[np.uint8], detection: Detection) -> float:
        """Return how sure the other model is that a sighting in a picture is one of a face, 0 to 1.

        It is called from several threads at once.

        Args:
            picture: as for `detect`.
            detection: where, and in which turn.
        """
        ...


def detect(
    detectors: Sequence[Detector], picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]
) -> list[Detection]:
    """Return what all detectors see in one picture, those of the first one first."""
    return [seen for detector in detectors for seen in detector.detect(picture, frame, looks)]


def load_detectors(settings: Settings, weights_folder: Path | None = None) -> list[Detector]:
    """Return the detectors that find what is to be covered: those of the entry-point group `redact.detectors`.

    An entry is a class with the attributes of a `Detector`, made from the weights folder; a detector of marks is made
    from their examples by name.

    Args:
        settings: what is covered.
        weights_folder: where the weights are; None for the usual place.

    Raises:
        UsageError: nothing finds a label that is to be covered, or a mark is not in the library.
        DependencyError: weights are missing or damaged.
    """
    wanted = {"face" if label == "head" else label for label in settings.cover}
    entries = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    makers: list[Any] = [entry.load() for entry in entries]
    found = {label for maker in makers for label in maker.labels}
    if missing := sorted(wanted - found):
        raise UsageError(
            f"Nothing that is installed finds {missing[0]!r}.",
            f"Leave it out of --cover, or install a detector that finds it; there are some for {', '.join(found)}.",
        )
    helpful = HELPFUL if "face" in wanted else set()
    detectors: list[Detector] = []
    for entry, maker in zip(entries, makers, strict=True):
        if "mark" in maker.labels:
            if settings.marks:
                detectors.append(maker({name: library.load(name) for name in settings.marks}))
        elif wanted.intersection(maker.labels) or (
            helpful.intersection(maker.labels) and _is_ready(entry.name, maker, weights_folder)
        ):
            detectors.append(maker(weights_folder))
    if "person" in wanted:
        detectors = _outlined(detectors, weights_folder)
    return _judged(detectors, weights_folder) if "face" in wanted else detectors


def _outlined(detectors: list[Detector], weights_folder: Path | None) -> list[Detector]:
    """Return detectors; those of persons grow boxes over silhouettes where the weights for these are installed."""
    from redact.detectors.silhouettes import MODEL, Outlined

    if not weights.is_installed(weights.cards()[MODEL], weights_folder):
        return detectors
    return [
        Outlined(d, weights_folder) if "person" in d.labels and isinstance(d, PacedDetector) else d for d in detectors
    ]


def _is_ready(name: str, maker: Any, weights_folder: Path | None) -> bool:
    """Return whether a detector needs no weights, or has them: those of one of its cards, or of that of its name."""
    known = weights.cards()
    own = [known[card] for card in getattr(maker, "cards", (name,)) if card in known]
    return not own or any(weights.is_installed(card, weights_folder) for card in own)


def _judged(detectors: list[Detector], weights_folder: Path | None) -> list[Detector]:
    """Return detectors; CenterFace with the model that is asked about faces, where its weights are installed."""
    from redact.detectors.judging import MODEL, Judged

    if not weights.is_installed(weights.cards()[MODEL], weights_folder):
        return detectors
    return [Judged(d, weights_folder) if d.name == "centerface" else d for d in detectors]


def judge_among(detectors: Sequence[Detector]) -> AskedDetector | None:
    """Return the detector with another model that is asked about what it was not sure of, if there is one."""
    return next((d for d in detectors if isinstance(d, AskedDetector)), None)


def load_others(weights_folder: Path | None = None) -> list[Detector]:
    """Return the other face detectors whose weights are installed: they look at finished copies as well.

    Args:
        weights_folder: where the weights are; None for the usual place.

    Raises:
        DependencyError: weights are damaged.
    """
    from redact.detectors.faces import YuNet

    installed = weights.is_installed(weights.cards()[YuNet.name], weights_folder)
    return [YuNet(weights_folder)] if installed else []


def give_back_memory() -> None:
    """Give back the memory that models have worked in; the next picture asks for what it needs."""
    from redact.detectors import models

    models.give_back_memory()

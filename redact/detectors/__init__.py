"""Detectors: what looks at one picture and says what it saw. One file per family, all behind one protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from redact.detectors.looks import Look
from redact.plan import Detection


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


def load_detectors(weights_folder: Path | None = None) -> list[Detector]:
    """Return the detectors that look at every frame.

    Args:
        weights_folder: where the weights are; None for the usual place.

    Raises:
        DependencyError: weights are missing or damaged.
    """
    from redact.detectors.faces import CenterFace

    return [CenterFace(weights_folder)]


def load_others(weights_folder: Path | None = None) -> list[Detector]:
    """Return the other face detectors whose weights are installed: they look at finished copies as well.

    Args:
        weights_folder: where the weights are; None for the usual place.

    Raises:
        DependencyError: weights are damaged.
    """
    from redact import weights
    from redact.detectors.faces import YuNet

    installed = weights.is_installed(weights.cards()[YuNet.name], weights_folder)
    return [YuNet(weights_folder)] if installed else []

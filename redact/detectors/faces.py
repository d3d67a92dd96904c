"""Face detectors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from redact import backends, weights
from redact.detectors.looks import Look, Rows, detection_maker, keep_best, see
from redact.plan import Detection
from redact.quantising import identity_model, join_heads, quantise_graph

onnxruntime.set_default_logger_severity(4)

SCORE_FLOOR = 0.08  # what is written down; tracking decides what counts
HEADS = "536", "538", "539"  # CenterFace's tensors that `decode` needs; it gives landmarks too
STRIDE = 4  # pixels of the input for each cell of CenterFace's maps
YUNET_STRIDES = (8, 16, 32)  # likewise of YuNet's


class CenterFace:
    """CenterFace (Xu et al., CenterFace: Joint Face Detection and Alignment, 2019).

    Args:
        weights_folder: where the weights are; None for the usual place.

    Raises:
        DependencyError: the weights are missing or damaged.
    """

    name = "centerface"
    labels: tuple[str, ...] = ("face",)

    def __init__(self, weights_folder: Path | None = None) -> None:
        model = join_heads(weights.load(self.name, weights_folder), HEADS, "maps")
        # On a processor it takes half the time in integers; what it finds stays the same (docs/models.md).
        if backends.name() == backends.CPU:
            model = quantise_graph(model, *weights.ranges(self.name))
        self._session, self.models = open_model(self.name, model)

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the faces in one picture; see `Detector.detect`."""
        return see(self._find, picture, looks, detection_maker(frame, "face", self.name))

    def _find(self, shown: NDArray[np.uint8]) -> Rows:
        """Return the faces in what is shown, as rows of x0, y0, x1, y1, score."""
        (maps,) = self._session.run(None, {"input.1": batch_of(shown, "RGB")})
        return decode(maps[0])


class YuNet:
    """YuNet-n (Wu et al., YuNet: A Tiny Millisecond-level Face Detector, 2023). It misses other faces than CenterFace.

    Args:
        weights_folder: where the weights are; None for the usual place.

    Raises:
        DependencyError: the weights are missing or damaged.
    """

    name = "yunet-n"
    labels: tuple[str, ...] = ("face",)

    def __init__(self, weights_folder: Path | None = None) -> None:
        self._session, self.models = open_model(self.name, weights.load(self.name, weights_folder))

    def detect(self, picture: NDArray[np.uint8], frame: int, looks: Sequence[Look]) -> list[Detection]:
        """Return the faces in one picture; see `Detector.detect`."""
        return see(self._find, picture, looks, detection_maker(frame, "face", self.name))

    def _find(self, shown: NDArray[np.uint8]) -> Rows:
        """Return the faces in what is shown, as rows of x0, y0, x1, y1, score."""
        batch = batch_of(shown, "BGR")
        maps = [m[0] for m in self._session.run(None, {"input": batch})]
        found = []
        for stride, kind, there, box in zip(YUNET_STRIDES, maps[0:3], maps[3:6], maps[6:9], strict=True):
            score = np.sqrt(np.clip(kind[:, 0], 0, 1) * np.clip(there[:, 0], 0, 1)).astype(np.float64)
            cell = np.nonzero(score >= SCORE_FLOOR)[0]
            corner = np.stack(np.divmod(cell, batch.shape[3] // stride)[::-1], axis=1)
            middle = (corner + box[cell, :2]) * stride
            half = np.exp(box[cell, 2:].astype(np.float64)) * stride / 2
            found.append(np.concatenate([middle - half, middle + half, score[cell, None]], axis=1))
        boxes = np.concatenate(found)
        return boxes[keep_best(boxes)]


def open_model(card_id: str, model: bytes) -> tuple[onnxruntime.InferenceSession, Mapping[str, str]]:
    """Return a model that is ready to run, and its sha256 by the id of its card, and by the backend if it is special.

    Raises:
        UsageError: the backend that is asked for is unknown.
        DependencyError: it is missing, or cannot run here.
    """
    backend, provider = backends.choose(onnxruntime.get_available_providers())
    if backend == "cuda":
        with redirect_stdout(None):  # what it cannot find it prints; the error below says it
            onnxruntime.preload_dlls()  # CUDA's libraries, where pip has put them
    _share_memory()
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.log_severity_level = 4
    options.enable_mem_pattern = False  # it keeps memory for each size of picture, of which there are hundreds
    options.intra_op_num_threads = 1  # several pictures are looked at beside each other: that wastes no core
    session = onnxruntime.InferenceSession(model, options, providers=[(provider, backends.OPTIONS.get(backend, {}))])
    if provider not in session.get_providers():  # it goes on with the processor where a driver is missing
        raise backends.missing(backend, "ONNX Runtime has it, but cannot load it: a driver or a library is missing")
    return session, {
        card_id if backend == backends.CPU else f"{card_id} on {backend}": hashlib.sha256(model).hexdigest()
    }


@cache
def _share_memory() -> None:
    """Let all models of this process work in the same memory, which grows by what is missing.

    Each would otherwise keep a share of its own, made larger in steps that double: pictures, and parts of them, have
    hundreds of sizes (docs/performance.md).
    """
    place = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    as_requested = onnxruntime.OrtArenaCfg({"arena_extend_strategy": 1})
    onnxruntime.create_and_register_allocator(place, as_requested)


@cache
def _idle() -> onnxruntime.InferenceSession:
    """Return a model that gives what it is given."""
    return open_model("idle", identity_model())[0]


def give_back_memory() -> None:
    """Give back the memory that models have worked in; the next picture asks for what it needs."""
    order = onnxruntime.RunOptions()
    order.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    _idle().run(None, {"in": np.zeros(1, np.float32)}, order)


def batch_of(shown: NDArray[np.uint8], colour: str) -> NDArray[np.float32]:
    """Return a picture as a batch of one: float32, (1, 3, height, width), sides brought to multiples of 32 by black."""
    canvas = cv2.copyMakeBorder(shown, 0, -shown.shape[0] % 32, 0, -shown.shape[1] % 32, cv2.BORDER_CONSTANT)
    planes = cv2.split(canvas)
    batch = np.empty((1, 3, *canvas.shape[:2]), np.float32)
    for channel, plane in enumerate(planes if colour == "BGR" else reversed(planes)):  # ten times faster than a
        batch[0, channel] = plane  # transposed copy
    return batch


def decode(maps: NDArray[np.float32]) -> Rows:
    """Return the faces in CenterFace's maps as rows of x0, y0, x1, y1, score.

    Args:
        maps: (5, rows, columns): how likely a face has its middle in the cell, as a logit; the logarithm of its height
            and width in cells; where in the cell the middle is (y, x).
    """
    row, column = np.nonzero(maps[0] >= np.log(SCORE_FLOOR / (1 - SCORE_FLOOR)))
    logit, *extent, y, x = maps[:, row, column].astype(np.float64)
    tall, wide = np.exp(extent) * STRIDE
    y, x = (row + y + 0.5) * STRIDE, (column + x + 0.5) * STRIDE
    score = 1 / (1 + np.exp(-logit))
    boxes = np.stack([x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2, score], axis=1)
    return boxes[keep_best(boxes)]

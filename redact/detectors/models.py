"""Models that ONNX Runtime runs: what all detectors share, their memory among it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import redirect_stdout
from functools import cache

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from redact import backends
from redact.quantising import identity_model

onnxruntime.set_default_logger_severity(4)


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

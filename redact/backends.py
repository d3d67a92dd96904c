"""What runs the models: the processor, or what the user names in `REDACT_BACKEND`. Pure: it loads no library."""

from __future__ import annotations

import os
from collections.abc import Collection

from redact.errors import DependencyError, UsageError

VARIABLE = "REDACT_BACKEND"
CPU = "cpu"  # the default, also where there is another: what is found was measured with it, in integers made for it
# For each: ONNX Runtime's name of it, and the package that brings it.
PROVIDERS = {
    CPU: ("CPUExecutionProvider", "onnxruntime"),
    "coreml": ("CoreMLExecutionProvider", "onnxruntime"),
    "cuda": ("CUDAExecutionProvider", "onnxruntime-gpu[cuda,cudnn]"),
    "directml": ("DmlExecutionProvider", "onnxruntime-directml"),
    "openvino": ("OpenVINOExecutionProvider", "onnxruntime-openvino"),
}
# What is told to ONNX Runtime besides. Pictures come in many sizes, and trying algorithms at each would take seconds.
OPTIONS = {"cuda": {"cudnn_conv_algo_search": "DEFAULT"}}


def name() -> str:
    """Return the name of the backend that is asked for."""
    return os.environ.get(VARIABLE) or CPU


def choose(offered: Collection[str]) -> tuple[str, str]:
    """Return the name of the backend that is to be used, and ONNX Runtime's.

    Args:
        offered: what the installed ONNX Runtime can use.

    Raises:
        UsageError: `REDACT_BACKEND` names nothing that is known.
        DependencyError: what it names is not there; it never becomes another one in silence.
    """
    asked = name()
    if asked not in PROVIDERS:
        raise UsageError(f"{VARIABLE} is {asked!r}.", f"It takes {', '.join(PROVIDERS)}.")
    if PROVIDERS[asked][0] not in offered:
        raise missing(asked, "The installed ONNX Runtime does not have it")
    return asked, PROVIDERS[asked][0]


def missing(name: str, why: str) -> DependencyError:
    """Return the error that a backend cannot be used, which says how to get it."""
    package = PROVIDERS[name][1]
    get = f"python -m pip install --force-reinstall '{package}'"
    other = "" if name == CPU else f", or unset {VARIABLE}: the processor is used then"
    return DependencyError(f"The backend {name} cannot be used. {why}.", f"Run: {get}{other}.")

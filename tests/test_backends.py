"""A backend that was asked for is used, or it is an error: never another one in silence."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import onnxruntime
import pytest

from redact import backends
from redact.detectors import faces, models
from redact.doctor import BAD, GOOD
from redact.errors import DependencyError, UsageError
from tests.conftest import Result
from tests.test_doctor import found, loads  # noqa: F401


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let ONNX Runtime offer some providers, and use some of them."""

    def offer(offered: Sequence[str], used: Sequence[str]) -> None:
        session = SimpleNamespace(get_providers=lambda: [*used])
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*offered])
        monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: session)

    return offer


CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def test_the_processor_is_used_where_nothing_else_is_asked_for(runtime: Callable[..., None]) -> None:
    runtime([CUDA, CPU], [CPU])
    assert list(models.open_model("eyes", b"")[1]) == ["eyes"]


def test_what_another_backend_saw_is_not_taken_for_what_the_processor_sees(
    runtime: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime([CUDA, CPU], [CUDA, CPU])
    monkeypatch.setenv(backends.VARIABLE, "cuda")
    assert list(models.open_model("eyes", b"")[1]) == ["eyes on cuda"]


@pytest.mark.usefixtures("real_weights")
def test_integers_are_for_the_processor_others_get_floats(
    runtime: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[bytes] = []
    runtime([CUDA, CPU], [CUDA, CPU])
    session = onnxruntime.InferenceSession

    def keep(model: bytes, *rest: object, **more: object) -> object:
        given.append(model)
        return session(model, *rest, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", keep)
    faces.CenterFace()
    monkeypatch.setenv(backends.VARIABLE, "cuda")
    faces.CenterFace()
    integers, floats = (b"DequantizeLinear" in model for model in given)
    assert (integers, floats) == (True, False)


SECOND_MODEL = """
import numpy as np
from pathlib import Path
from redact.detectors.faces import CenterFace
from redact.detectors.models import give_back_memory

def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

picture = np.random.default_rng(1).integers(0, 256, (1024, 1024, 3), np.uint8)
small = np.ascontiguousarray(picture[:64, :64])
eyes = [CenterFace(), CenterFace()]
for one in eyes:
    one._find(small)
before = held()
for one in eyes:
    one._find(picture)
    print(held() - before)
give_back_memory()
print(held() - before)
"""


@pytest.mark.usefixtures("real_weights")
def test_the_models_of_a_process_work_in_the_same_memory_and_give_it_back() -> None:
    first, both, after = map(int, subprocess.check_output([sys.executable, "-c", SECOND_MODEL], text=True).split())
    assert first > 40e6
    assert both < 1.5 * first
    assert after < first / 2


@pytest.mark.parametrize(("offered", "used"), [([CPU], [CPU]), ([CUDA, CPU], [CPU])], ids=["absent", "broken"])
def test_a_backend_that_is_missing_is_an_error_with_the_line_that_installs_it(
    offered: list[str], used: list[str], runtime: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime(offered, used)
    monkeypatch.setenv(backends.VARIABLE, "cuda")
    with pytest.raises(DependencyError, match="cuda cannot be used") as error:
        models.open_model("eyes", b"")
    assert "python -m pip install --force-reinstall 'onnxruntime-gpu[cuda,cudnn]'" in error.value.advice


def test_a_backend_that_nobody_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(backends.VARIABLE, "abacus")
    with pytest.raises(UsageError, match="abacus") as error:
        backends.choose([CPU])
    assert "cpu, coreml, cuda, directml, openvino" in error.value.advice


@pytest.mark.usefixtures("real_weights")
def test_a_run_with_a_missing_backend_ends_with_5(
    redact: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(backends.VARIABLE, "directml")
    result = redact("run", "clip.mp4", "-o", "out")
    assert result.code == 5
    assert "onnxruntime-directml" in result.err


def test_the_doctor_says_what_runs_the_models_and_why_not_something_else(
    loads: Callable[..., None],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loads("onnxruntime", SimpleNamespace(get_available_providers=lambda: [CUDA, CPU]))
    finding = found("backend")
    assert finding.state == GOOD
    assert finding.said == (
        "cpu runs the models; cuda is there and not used: set REDACT_BACKEND=cuda; "
        "not in this ONNX Runtime: coreml, directml, openvino"
    )
    monkeypatch.setenv(backends.VARIABLE, "openvino")
    finding = found("backend")
    assert finding.state == BAD
    assert "onnxruntime-openvino" in finding.advice

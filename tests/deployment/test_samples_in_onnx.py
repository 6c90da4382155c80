"""The samples of NumPy's functions as ONNX models, of numbers of every type: refused, or the same as here."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tests.autodiff.samples import SAMPLES
from tests.autodiff.sampling import Sample
from tinygrad_rnn.autodiff.errors import NotOnTensors
from tinygrad_rnn.autodiff.trees import leaves

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

TYPES = ["f8", "f4", "i8", "i4", "u1", "?"]
TOLERANCE = {"f8": 1e-7, "f4": 2e-4, "f2": 1e-2}


def parts(value: Any) -> tuple[Any, ...]:
    return (value.real, value.imag) if isinstance(value, tr.ComplexTensor) else tuple(leaves(value))


def held(sample: Sample, dtype: str, real: int, path: Path) -> None:
    """Hold a sample to its values in eager mode; the input of number ``real`` stays as it is."""
    inputs = [
        a
        if i == real or dtype == "f8"
        else a.astype(dtype)
        if dtype == "f4"
        else np.asarray(np.abs(np.rint(2 * a)), dtype)
        for i, a in enumerate(sample.inputs)
    ]
    function = lambda *xs: parts(sample.f(*xs))  # noqa: E731
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = [np.asarray(y) for y in function(*map(tr.tensor, inputs))]
        except (TypeError, ValueError, np.linalg.LinAlgError):  # such as a median of conditions, or a singular matrix
            event("no value here")
            return
        try:
            tr.export_onnx(function, path, tuple(inputs))
            running = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except (NotOnTensors, tr.deployment.NoOnnxForm, onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented):
            event("refused")
            return
    event("ran")
    for got, want in zip(running.run(None, dict(zip((i.name for i in running.get_inputs()), inputs))), expected):
        assert got.dtype == want.dtype and got.shape == want.shape
        tolerance = max(TOLERANCE.get(one.dtype.str[1:], 0.0) for one in (*inputs, want))
        np.testing.assert_allclose(got.astype(float), want.astype(float), rtol=tolerance, atol=tolerance)


drawn = given(st.sampled_from(SAMPLES), st.sampled_from(TYPES), st.integers(-1, 2))
checks = [HealthCheck.function_scoped_fixture]


@settings(max_examples=40, deadline=None, suppress_health_check=checks)
@drawn
def test_samples(tmp_path: Path, sample: Sample, dtype: str, real: int) -> None:
    held(sample, dtype, real, tmp_path / "model.onnx")


@pytest.mark.sweep
@settings(max_examples=800, deadline=None, suppress_health_check=checks)
@drawn
def test_many_samples(tmp_path: Path, sample: Sample, dtype: str, real: int) -> None:
    held(sample, dtype, real, tmp_path / "model.onnx")

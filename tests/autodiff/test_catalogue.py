"""Every function that has a derivative, checked by machine on the samples of ``samples.py``."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from docs.catalogue import markdown, primitives, rows
from tests.autodiff.samples import SAMPLES, Sample
from tests.autodiff.sampling import by_function, label
from tests.cases import in_groups
from tinygrad_rnn.autodiff.graph import ancestors
from tinygrad_rnn.autodiff.promotion import NUMPY_1
from tinygrad_rnn.autodiff.registry import OVERRIDES, PLAIN

each = in_groups("sample", by_function(SAMPLES))


def rng_for(sample: Sample) -> np.random.Generator:
    return np.random.default_rng(len(sample.name))


def weighted(sample: Sample) -> Any:
    """The sample as a function that gives one number, curved in its result so that second order sees everything."""
    weights = rng_for(sample).uniform(0.5, 1.5, np.shape(sample.f(*sample.inputs)))
    return lambda *xs: np.sum(weights * sample.f(*xs)) + np.sum(weights * np.square(sample.f(*xs))) / 2


def directions(sample: Sample) -> tuple[np.ndarray, ...]:
    rng = rng_for(sample)
    return tuple(rng.standard_normal(a.shape) for a in sample.inputs)


def close(a: Any, b: Any, tolerance: float) -> bool:
    a, b = (np.concatenate([np.ravel(x) for x in (part if isinstance(part, tuple) else (part,))]) for part in (a, b))
    return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, float(np.max(np.abs(b), initial=0)))))


# --- completeness ----------------------------------------------------------------------------------------------------


def test_every_function_of_the_registry_has_samples() -> None:
    sampled = {function for sample in SAMPLES for function in sample.functions}
    assert [row.name for row in rows() if row.function not in sampled] == []
    assert {row.function for row in rows()} >= OVERRIDES.keys()


def test_every_primitive_is_run_by_a_sample() -> None:
    seen: set[Any] = set()
    for sample in SAMPLES:
        leaves = [tr.tensor(a, requires_grad=True) for a in sample.inputs]
        result = np.sum(np.square(sample.f(*leaves)))
        result.backward(create_graph=True)  # some primitives are what the rules of others are written in
        seen |= {node.op for node in ancestors([result, *(leaf.grad for leaf in leaves if leaf.grad is not None)])}
    assert [op.name for _, op in primitives() if op not in seen] == []


def test_the_catalogue_in_the_docs_is_the_registrys() -> None:
    orders = {function: sample.order for sample in SAMPLES for function in sample.functions}
    table = markdown(orders)
    for line in (
        "| `np.tanh` | derivative | derivative | 2 |",
        "| `np.sum` | transpose | itself | 2 |",
        "| `np.vstack` | of its parts | of its parts | 2 |",
        "| `np.linalg.eigh` | written | written | 2 |",
        "| `tr.sigmoid` | derivative | derivative | 2 |",
    ):
        assert line in table.splitlines()
    assert "`np.argmax`" in table


def test_nothing_is_both_differentiable_and_plain() -> None:
    assert not OVERRIDES.keys() & PLAIN


def defaults(function: Any) -> dict[str, Any]:
    """What arguments are if they are left out; nothing if NumPy doesn't tell (as of functions that it has in C)."""
    try:
        parameters = inspect.signature(function).parameters.items()
    except ValueError:
        return {}
    return {name: p.default for name, p in parameters if p.default is not p.empty}


# What "no value" stands for in NumPy's signatures, if not for None; and what is documented, but hidden in **kwargs.
NO_VALUE = {"keepdims": False, "where": True}
HIDDEN = {np.pad: {"constant_values": 0, "reflect_type": "even"}}


@pytest.mark.skipif(NUMPY_1, reason="what is left out is as in NumPy 2")
@pytest.mark.parametrize("function", OVERRIDES, ids=label)
def test_arguments_may_be_left_out_as_in_numpy(function: Any) -> None:
    theirs = {**defaults(function), **HIDDEN.get(function, {})}
    for name, ours in defaults(getattr(OVERRIDES[function], "forward", OVERRIDES[function])).items():
        if name in theirs:
            expected = NO_VALUE.get(name) if theirs[name] is np._NoValue else theirs[name]
            assert ours == expected and type(ours) is type(expected), name


# --- values ----------------------------------------------------------------------------------------------------------


@each
def test_the_value_is_numpys(sample: Sample) -> None:
    expected = sample.f(*sample.inputs)
    got = sample.f(*(tr.tensor(a, requires_grad=True) for a in sample.inputs))
    assert isinstance(got, tr.Tensor) and got.requires_grad
    assert got.shape == np.shape(expected) and got.dtype == np.asarray(expected).dtype
    assert close(got.data, expected, 1e-13)


# --- first order -----------------------------------------------------------------------------------------------------


@each
def test_gradient_by_central_differences(sample: Sample) -> None:
    assert tr.gradcheck(sample.f, sample.inputs, rtol=2e-6, atol=2e-7)


@in_groups("sample", by_function(s for s in SAMPLES if s.analytic))
def test_gradient_by_complex_step(sample: Sample) -> None:
    assert tr.gradcheck(sample.f, sample.inputs, method="complex")


@each
def test_vjp_and_jvp_are_adjoint(sample: Sample) -> None:
    value, pull_back = tr.vjp(sample.f, *sample.inputs)
    u, v = rng_for(sample).standard_normal(np.shape(value)), directions(sample)
    pushed_value, pushed = tr.jvp(sample.f, sample.inputs, v)
    assert close(pushed_value, value, 1e-14) and np.shape(pushed) == np.shape(value)
    pulled = pull_back(u)
    assert [g.shape for g in pulled] == [a.shape for a in sample.inputs]
    terms = [np.sum(u * pushed), *(np.sum(g * w) for g, w in zip(pulled, v))]
    scale = max(1.0, float(np.sum(np.abs(u * pushed))), *(float(np.sum(np.abs(g * w))) for g, w in zip(pulled, v)))
    assert abs(terms[0] - sum(terms[1:])) <= 1e-10 * scale


# --- second order ----------------------------------------------------------------------------------------------------


@each
def test_second_order_by_three_ways_and_by_differences(sample: Sample) -> None:
    f, v = weighted(sample), directions(sample)
    argnums = tuple(range(len(sample.inputs)))
    gradient = tr.grad(f, argnums=argnums)
    forward_over_reverse = tr.jvp(gradient, sample.inputs, v)[1]

    def along(*xs: Any) -> Any:
        return sum(np.sum(g * w) for g, w in zip(gradient(*xs), v))

    reverse_over_reverse = tr.grad(along, argnums=argnums)(*sample.inputs)
    assert close(forward_over_reverse, reverse_over_reverse, 1e-9)
    curvature = tr.jvp(lambda *xs: tr.jvp(f, xs, v)[1], sample.inputs, v)[1]
    assert close(curvature, sum(np.sum(h * w) for h, w in zip(forward_over_reverse, v)), 1e-9)
    h = 1e-5
    above, below = (gradient(*(a + s * h * w for a, w in zip(sample.inputs, v))) for s in (1, -1))
    assert close(forward_over_reverse, tuple((a - b) / (2 * h) for a, b in zip(above, below)), 1e-5)


# NumPy does not ask the value that `full_like` fills with, nor the default of `select`, nor what lies in a list,
# whether it has a say: where that is the only Tensor, NumPy's own code runs, and the Tensor refuses to become an array.
# And a Tensor refuses complex constants, which the spectrum of a constant is; a ComplexTensor takes them.
UNASKED = {np.full_like, np.select, np.array, "lists", "complex results"}
SEVERAL = [s for s in SAMPLES if len(s.inputs) > 1 and not UNASKED & set(s.functions)]


@in_groups("sample", by_function(SEVERAL))
def test_second_order_by_each_argument_the_others_held_constant(sample: Sample) -> None:
    f, v = weighted(sample), directions(sample)
    whole = tr.grad(f, argnums=tuple(range(len(sample.inputs))))
    for i, a in enumerate(sample.inputs):
        alone = lambda x, i=i: f(*sample.inputs[:i], x, *sample.inputs[i + 1 :])  # noqa: E731
        assert close(tr.grad(alone)(a), whole(*sample.inputs)[i], 1e-13)
        still = [w if i == j else np.zeros_like(w) for j, w in enumerate(v)]
        expected = tr.jvp(whole, sample.inputs, still)[1][i]
        assert close(tr.jvp(tr.grad(alone), (a,), (v[i],))[1], expected, 1e-10)
        gradient = tr.grad(alone)
        assert close(tr.grad(lambda x, i=i, g=gradient: np.sum(g(x) * v[i]))(a), expected, 1e-9)


def test_where_numpy_does_not_ask_a_tensor_it_refuses_to_become_an_array() -> None:
    t = tr.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match=r"np\.copyto.*np\.full_like.*ones_like"):
        np.full_like(np.zeros(2), t)
    for detour, cure in [
        (lambda: np.ones(2).dot(t), r"array @ t"),
        (lambda: np.select([np.zeros(2) > 1], [np.zeros(2)], default=t), r"np\.select .* write np\.where"),
        (lambda: np.full((3, 2), t), r"np\.full .* write np\.broadcast_to\(t, shape\)"),
        (lambda: np.mean([t, t]), r"np\.mean .* write np\.mean\(np\.stack\(\[\.\.\.\]\)\) in place"),
        (lambda: np.linalg.norm([t, t]), r"np\.linalg\.norm .* write np\.linalg\.norm\(np\.stack"),
        (lambda: np.tanh([t, t]), r"np\.tanh\(np\.stack"),
    ]:
        with pytest.raises(TypeError, match=f"would lose the gradient.*{cure}"):
            detour()


# --- dtypes and layouts ----------------------------------------------------------------------------------------------


@each
def test_float32_in_float32_out(sample: Sample) -> None:
    arrays = [a.astype(np.float32) for a in sample.inputs]
    dtype = np.asarray(sample.f(*arrays)).dtype  # float64 where a constant of the sample is
    if NUMPY_1 and {np.stack, np.array, "lists", "complex results"} & set(sample.functions):
        pytest.skip("NumPy 1 has other types for numbers in lists, and for spectra")
    if NUMPY_1 and (sample.name.startswith("fft.") or not all(a.ndim for a in arrays)):
        dtype = np.dtype(np.float32)  # NumPy 1 itself goes by value where there are no axes, and transforms in float64
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        tensors = [tr.tensor(a, requires_grad=True) for a in arrays]
        result = sample.f(*tensors)
        result.backward(np.ones(result.shape))
    assert result.dtype == dtype
    assert all(t.grad is None or t.grad.dtype == np.float32 for t in tensors)
    _, pull_back = tr.vjp(sample.f, *sample.inputs)
    exact = pull_back(np.ones(result.shape))
    assert close(tuple(np.zeros(t.shape) if t.grad is None else t.grad for t in tensors), exact, 3e-3)
    tangent = tr.jvp(sample.f, arrays, arrays)[1]
    assert tangent.dtype == dtype


def layouts(a: np.ndarray) -> Iterator[np.ndarray]:
    yield np.array(a, order="F")
    yield np.array(a.T, order="C").T
    yield a[tuple(slice(None, None, -1) for _ in a.shape)].copy()[tuple(slice(None, None, -1) for _ in a.shape)]
    yield np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a


@each
def test_memory_layout_does_not_matter(sample: Sample) -> None:
    value, pull_back = tr.vjp(sample.f, *sample.inputs)
    u = rng_for(sample).standard_normal(np.shape(value))
    expected = pull_back(u)
    for arranged in zip(*map(layouts, sample.inputs)):
        got, pull_back = tr.vjp(sample.f, *arranged)
        assert close(got, value, 1e-13)
        assert close(pull_back(np.array(u, order="F")), expected, 1e-11)

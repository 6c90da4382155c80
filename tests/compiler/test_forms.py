"""Cells of every form: states of whole numbers and booleans, trees, no inputs, odd layouts, rare functions."""

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import DEFAULT, EXECUTORS, assert_compiled_agrees
from tinygrad_rnn import nn

T, B, d = 4, 2, 3
EXECUTOR = EXECUTORS[-1]


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


W, b = nn.Parameter(0.5 * normal(d, d)), nn.Parameter(normal(d))
XS, H = normal(T, B, d), normal(B, d)


def case(cell, xs=XS, state=H, parameters=(W,), tolerance=1e-12, **options):
    return cell, xs, state, parameters, tolerance, options


CASES = {
    "int counter": case(
        lambda x, s: (np.tanh(x + s[0] @ W) * s[1], (np.tanh(x + s[0] @ W), s[1] + 1)), XS, (H, np.array(1))
    ),
    "int counter vec": case(
        lambda x, s: (np.tanh(x + s[0] @ W) * s[1], (np.tanh(x + s[0] @ W), s[1] + 1)), XS, (H, np.arange(3))
    ),
    "bool state": case(
        lambda x, s: (np.where(s[1], x, s[0]), (np.tanh(x + s[0] @ W), np.logical_not(s[1]))),
        XS,
        (H, np.array([[True], [False]])),
    ),
    "done flag": case(
        lambda x, s: (s[0], (np.where(s[1], s[0], np.tanh(x + s[0] @ W)), s[1] | (s[0][:, :1] > 0.3))),
        XS,
        (H, np.array([[True], [False]])),
    ),
    "mixed dtypes": case(lambda x, s: np.tanh(x + s @ W), XS.astype(np.float32), H),
    "mixed dtypes 2": case(lambda x, s: np.tanh(x + s).astype(np.float32), XS, H.astype(np.float32), ()),
    "float16": case(lambda x, s: np.tanh(x + s * 0.5), XS.astype(np.float16), H.astype(np.float16), (), tolerance=3e-3),
    "int inputs": case(lambda x, s: np.tanh(x * 0.1 + s @ W), np.arange(T * B * d).reshape(T, B, d), H),
    "constant output": case(lambda x, s: (b * 2, np.tanh(x + s @ W)), XS, H, (W, b)),
    "number output": case(lambda x, s: (np.ones(2), np.tanh(x + s @ W)), XS, H, (W,)),
    "constant state": case(lambda x, s: (x @ s[1] + s[0], (np.tanh(s[0]), s[1])), XS, (H, normal(d, d)), ()),
    "state replaced by const": case(lambda x, s: (x + s, b * 1.0 + 0 * x), XS, H, (b,)),
    "state const broadcast": case(lambda x, s: (x + s, np.zeros((B, d))), XS, H, ()),
    "state param": case(lambda x, s: (x @ s, W), XS, normal(d, d), (W,)),
    "no xs": case(lambda x, s: np.tanh(s @ W), None, H, steps=5),
    "steps<T": case(lambda x, s: np.tanh(x + s @ W), XS, H, steps=2),
    "steps<T reverse": case(lambda x, s: np.tanh(x + s @ W), XS, H, steps=2, reverse=True),
    "dict state": case(
        lambda x, s: (s["a"] * s["b"], {"b": np.tanh(x + s["a"] @ W), "a": s["b"]}),
        XS,
        {"a": H, "b": normal(B, d, seed=2)},
    ),
    "nested": case(
        lambda x, s: ({"o": (x["p"], s[0][0])}, ((np.tanh(x["p"] + s[0][0] @ W),), s[1] * x["q"])),
        {"p": XS, "q": normal(T, B, d, seed=4)},
        ((H,), normal(B, d, seed=3)),
    ),
    "none in state": case(lambda x, s: (x, (np.tanh(x + s[0] @ W), None)), XS, (H, None)),
    "noncontig": case(lambda x, s: np.tanh(x + s @ W), normal(d, B, T).T, normal(d, B).T),
    "bigendian": case(lambda x, s: np.tanh(x + s @ W), XS.astype(">f8"), H.astype(">f8")),
    "x used many": case(lambda x, s: (x[..., 0], np.tanh(x[..., ::-1] + s @ W + x[..., :1] * x[..., 1:2])), XS, H),
    "neg slices": case(lambda x, s: (s[::-1], np.tanh(x[::-1] + s[:, ::-1] @ W)), XS, H),
    "transposes": case(lambda x, s: (s.T, np.tanh((W @ (x + s).T).T)), XS, H),
    "sum scalars": case(lambda x, s: (np.sum(s), np.tanh(x + s @ W) / (1 + np.sum(s * s))), XS, H),
    "cumsum": case(lambda x, s: (np.cumsum(s, -1), np.tanh(np.cumsum(x + s @ W, axis=0))), XS, H),
    "sort": case(lambda x, s: (np.argsort(s), np.tanh(np.sort(x + s @ W, axis=-1))), XS, H),
    "argmax": case(lambda x, s: (np.argmax(s, -1), np.tanh(x + s @ W) * np.argmax(s, -1)[:, None]), XS, H),
    "onehot feedback": case(lambda x, s: (s, np.tanh(x + np.eye(d)[0] * s @ W + W[0] * s)), XS, H),
    "greedy feedback": case(lambda x, s: (np.argmax(x + W[s], -1), np.argmax(x + W[s], -1)), XS, np.array([0, 1])),
    "where keyword": case(
        lambda x, s: (np.sum(s, axis=-1, where=x > 0), np.tanh(x + s @ W) * np.mean(x, where=x < 5)), XS, H
    ),
    "max initial": case(lambda x, s: (np.max(s, axis=-1, initial=0.1, where=x > 0), np.tanh(x + s @ W)), XS, H),
    "outer": case(lambda x, s: (np.einsum("bi,bj->bij", x, s), np.tanh(x + np.einsum("bi,ij->bj", s, W))), XS, H),
    "batch matmul": case(
        lambda x, s: (s @ s.swapaxes(-1, -2), np.tanh(x[:, :, None] * 0.1 + s @ W)), XS, normal(B, d, d)
    ),
    "left vec matmul": case(lambda x, s: (W @ s, np.tanh(x + W.T @ s)), normal(T, d), normal(d)),
    "3d weight": case(lambda x, s: np.tanh(x + (s[:, None, :] @ W[None])[:, 0]), XS, H),
    "power": case(lambda x, s: (s**3, np.abs(s) ** 0.5 * 0.3 + x**2 * 0.1 + 2.0**s * 0.1), XS, H, ()),
    "div zero safe": case(lambda x, s: np.where(s == 0, 0.0, x / np.where(s == 0, 1.0, s)) * 0.1, XS, H, ()),
    "split": case(
        lambda x, s: (
            np.split(s @ W, [1], axis=-1)[0],
            np.concatenate(np.split(np.tanh(x + s @ W), 3, axis=-1)[::-1], axis=-1),
        ),
        XS,
        H,
    ),
    "index_update loop": case(
        lambda x, s: (s, tr.index_update(s * 0.9, (slice(None), 0), np.tanh(x[:, 1]))), XS, H, ()
    ),
    "index_add loop": case(
        lambda x, s: (s, tr.index_add(np.tanh(s), (slice(None), np.array([0, 0, 2])), x) * 0.3), XS, H, ()
    ),
    "take": case(
        lambda x, s: (np.take(s, [2, 0], axis=1), np.tanh(np.take(x + s @ W, np.array([1, 2, 0]), axis=-1))), XS, H
    ),
    "take traced": case(lambda x, s: np.tanh(s + np.take_along_axis(s, np.argsort(x, axis=-1), axis=-1)), XS, H, ()),
    "pad roll tile": case(
        lambda x, s: (np.pad(s, ((0, 0), (1, 1))), np.roll(np.tanh(x + s @ W), 1, axis=-1) + np.tile(b, (B, 1))),
        XS,
        H,
        (W, b),
    ),
    "linalg": case(lambda x, s: (np.linalg.norm(s), np.tanh(x + np.linalg.solve(np.eye(d) * 3 + W, s.T).T)), XS, H),
    "svd loop": case(lambda x, s: (np.linalg.svd(s, compute_uv=False), np.tanh(x + np.linalg.qr(s.T)[0].T)), XS, H, ()),
    "eigh loop": case(
        lambda x, s: (np.linalg.eigvalsh(s + s.T), np.tanh(np.linalg.inv(np.eye(d) * 4 + s) + x[0] * 0.1)),
        XS,
        normal(d, d) * 0.3,
        (),
    ),
    "one row": case(lambda x, s: np.tanh(x + s @ W), normal(T, 1, d), normal(1, d)),
    "broadcast state": case(lambda x, s: np.tanh(x + s @ W), XS, normal(1, d)),
    "broadcast x": case(lambda x, s: np.tanh(x + s @ W), normal(T, 1, d), H),
    "scalar all": case(lambda x, s: np.tanh(x * 0.5 + s * 0.3), normal(T), np.array(0.1), ()),
    "empty batch": case(lambda x, s: np.tanh(x + s @ W), normal(T, 0, d), normal(0, d)),
    "T=1": case(lambda x, s: np.tanh(x + s @ W), normal(1, B, d), H),
    "second state unused": case(lambda x, s: (s[0], (np.tanh(x + s[0] @ W), s[0] * 0 + x)), XS, (H, H)),
    "grad only via last of unused": case(
        lambda x, s: (x, (s[1], np.tanh(x + s[0] @ W))), XS, (H, normal(B, d, seed=5))
    ),
    "same array twice": case(lambda x, s: (s[0] + s[1], (np.tanh(s[1] + x), np.tanh(s[0] @ W))), XS, (H, H)),
    "softmax attn over fixed": case(
        lambda x, s: (tr.softmax(s @ b[:, None] * x, axis=0), np.tanh(x + tr.softmax(s @ W, axis=-1))), XS, H, (W, b)
    ),
    "layernorm": case(
        lambda x, s: np.tanh(x + (s - np.mean(s, -1, keepdims=True)) / np.std(s, axis=-1, keepdims=True) @ W), XS, H
    ),
    "clip/min/max": case(lambda x, s: np.clip(np.maximum(x, s @ W), -0.5, np.minimum(s, 0.9)), XS, H),
    "round sign floor": case(lambda x, s: np.tanh(x + np.floor(s) * 0.1 + np.sign(x) * s + np.round(s, 1)), XS, H, ()),
    "activations": case(lambda x, s: tr.gelu(x + tr.elu(s @ W)) * 0.3 + tr.silu(s) * 0.2 + tr.softplus(s) * 0.1, XS, H),
    "huge values": case(lambda x, s: tr.sigmoid(1e3 * x) + 0 * s + tr.softplus(1e3 * x) * 1e-3, XS, H, ()),
    "nan": case(lambda x, s: np.nan_to_num(np.where(x > 0, x, np.nan)) + s * 0.5, XS, H, ()),
}


@pytest.mark.parametrize("name", CASES)
def test_cells_of_every_form(name):
    cell, xs, state, parameters, tolerance, options = CASES[name]
    with np.errstate(all="ignore"):
        assert_compiled_agrees(cell, xs, state, list(parameters), tolerance, executor=EXECUTOR, **options)


def test_a_cell_without_a_state():
    class Stateless(nn.Cell):
        units = d

        def initial_state(self, x):
            return None

        def forward(self, x, state):
            return np.tanh(x), None

    ys, state = tr.unroll(tr.compile(Stateless()), XS)
    assert state is None
    units = 0 if DEFAULT == "numpy" else 1e-15  # the tanh of others is another, in the last place
    np.testing.assert_allclose(ys.data, np.tanh(XS), rtol=units, atol=0)

"""Functions and losses as people write them: each is read as what a textbook has, and stays right at other numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_rnn as tr

T, N, D, K = 3, 2, 2, 4


class Form(NamedTuple):
    """A loss at each step, of logits z and targets y, with pieces of the lines that it has to have."""

    loss: Any
    lines: tuple[str, ...]
    targets: str = "real"
    batch: tuple[int, ...] = ()


def targets(kind: str, rng: np.random.Generator, batch: tuple[int, ...]) -> np.ndarray:
    """Targets of a kind, for each step."""
    classes = rng.integers(0, K, size=(T, *batch))
    made = {
        "class": lambda: classes,
        "row": lambda: np.eye(K)[classes],
        "bit": lambda: rng.integers(0, 2, size=(T, *batch, K)) * 1.0,
        "sign": lambda: rng.integers(0, 2, size=(T, *batch, K)) * 2.0 - 1,
        "real": lambda: rng.normal(size=(T, *batch, K)),
    }
    return made[kind]()


def numbers(form: Form, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Parameters, inputs and targets."""
    rng = np.random.default_rng(seed)
    shapes = {"U": (N, D), "W": (D, D), "V": (D, K), "c": (K,)}
    parameters = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return parameters, rng.normal(size=(T, *form.batch, N)), targets(form.targets, rng, form.batch)


def network(form: Form) -> Any:
    """The loss of an Elman network that has this loss at each step."""

    def loss(p, xs, ys):
        h, total = np.zeros((*form.batch, D)), 0.0
        for t in range(T):
            h = np.tanh(xs[t] @ p["U"] + h @ p["W"])
            total = total + form.loss(h @ p["V"] + p["c"], ys[t])
        return total

    return loss


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - np.max(z, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def fits(function: Any) -> Any:
    """The squared error of a function of the logits."""
    return lambda z, y: np.sum((function(z) - y) ** 2)


def bits(p: Any, y: Any) -> Any:
    """The cross-entropy of probabilities of two classes."""
    return -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p))


def huber(e: Any, d: float) -> Any:
    a = np.abs(e)
    return np.sum(np.where(a <= d, 0.5 * e**2, d * (a - 0.5 * d)))


def masked_huber(e: Any, d: float) -> Any:
    small = (np.abs(e) < d).astype(float)
    return np.mean(small * 0.5 * e**2 + (1 - small) * (d * np.abs(e) - 0.5 * d**2))


def gaussian(z: Any, y: Any) -> Any:
    s = np.exp(z[1])
    return np.log(s) + 0.5 * ((y[0] - z[0]) / s) ** 2 + 0.5 * np.log(2 * np.pi)


def largest_last(z: Any, y: Any) -> Any:
    m = np.max(z)
    return -z[y] + m + np.log(np.sum(np.exp(z - m)))


SIGMOID = ("u_t = σ(a⁽²⁾_t)", "Δ⁽²⁾_t = 2 e_t ∘ u_t ∘ (1 - u_t)")
TANH = ("u_t = tanh(a⁽²⁾_t)", "Δ⁽²⁾_t = 2 e_t ∘ (1 - u_t²)")
RELU = ("e_t = relu(a⁽²⁾_t) - y_t", "Δ⁽²⁾_t = 2 e_t ∘ [a⁽²⁾_t > 0]")
SOFTPLUS = ("e_t = softplus(a⁽²⁾_t) - y_t", "Δ⁽²⁾_t = 2 e_t ∘ σ(a⁽²⁾_t)")
P_LESS_Y = ("∂L/∂z_t = p_t - onehot(y_t)",)
LESS_BIT = ("Δ^p_t = p_t - y_t",)

FORMS = {
    # functions of one value
    "σ by tanh": Form(fits(lambda z: 0.5 * (1 + np.tanh(z / 2))), SIGMOID),
    "σ by two exponentials": Form(fits(lambda z: np.exp(z) / (1 + np.exp(z))), SIGMOID),
    "σ as a power": Form(fits(lambda z: (1 + np.exp(-z)) ** -1), SIGMOID),
    "σ in two halves": Form(
        fits(lambda z: np.where(z >= 0, 1 / (1 + np.exp(-np.abs(z))), 1 - 1 / (1 + np.exp(-np.abs(z))))), SIGMOID
    ),
    "σ of what was clipped": Form(
        fits(lambda z: sigmoid(np.clip(z, -2, 2))), ("∘ [(a⁽²⁾_t ≥ -2) and (a⁽²⁾_t ≤ 2)]",)
    ),
    "tanh by exponentials": Form(fits(lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z))), TANH),
    "tanh by σ": Form(fits(lambda z: 2 * sigmoid(2 * z) - 1), TANH),
    "tanh by one exponential": Form(fits(lambda z: (np.exp(2 * z) - 1) / (np.exp(2 * z) + 1)), TANH),
    "softplus": Form(fits(lambda z: np.log(1 + np.exp(z))), SOFTPLUS),
    "softplus without overflow": Form(fits(lambda z: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))), SOFTPLUS),
    "relu by maximum": Form(fits(lambda z: np.maximum(0, z)), RELU),
    "relu by a choice": Form(fits(lambda z: np.where(z > 0, z, 0)), RELU),
    "relu by a mask": Form(fits(lambda z: z * (z > 0)), RELU),
    "relu by clip": Form(fits(lambda z: np.clip(z, 0, None)), RELU),
    "relu by abs": Form(fits(lambda z: (z + np.abs(z)) / 2), RELU),
    "leaky relu by a choice": Form(
        fits(lambda z: np.where(z > 0, z, 0.1 * z)), ("∂L/∂e_t ∘ [z_t > 0] + 0.1 ∂L/∂e_t ∘ [z_t ≤ 0]",)
    ),
    "leaky relu by maximum": Form(fits(lambda z: np.maximum(z, 0.1 * z)), ("∘ [z_t > u_t] + 0.1",)),
    "leaky relu by slopes": Form(fits(lambda z: z * np.where(z > 0, 1, 0.1)), ("= 2 e_t ∘ where(z_t > 0, 1, 0.1)",)),
    "elu": Form(fits(lambda z: np.where(z > 0, z, np.exp(np.minimum(z, 0)) - 1)), ("[z_t > 0]", "[z_t ≤ 0]")),
    "hard tanh by choices": Form(
        fits(lambda z: np.where(z > 1, 1, np.where(z < -1, -1, z))), ("2 e_t ∘ [(z_t ≥ -1) and (z_t ≤ 1)]",)
    ),
    "swish": Form(fits(lambda z: z / (1 + np.exp(-z))), ()),
    "gelu": Form(fits(lambda z: 0.5 * z * (1 + np.tanh(0.8 * (z + 0.045 * z**3)))), ()),
    "mish": Form(fits(lambda z: z * np.tanh(np.log(1 + np.exp(z)))), ("softplus(",)),
    # cross-entropies
    "p[y]": Form(lambda z, y: -np.log(softmax(z)[y]), P_LESS_Y, "class"),
    "p[y] + eps": Form(
        lambda z, y: -np.log(softmax(z)[y] + 1e-3),
        ("l_t = p_t[y_t] + 0.001", "∂L/∂z_t = p_t[y_t] ∘ (p_t - onehot(y_t)) / l_t"),
        "class",
    ),
    "p[y] + eps of a batch": Form(
        lambda z, y: -np.mean(np.log(softmax(z)[np.arange(3), y] + 1e-3)),
        ("∂L/∂z_t = (p_t[·, y_t] / (3 u_t)) ∘ (p_t - onehot(y_t))",),
        "class",
        (3,),
    ),
    "clipped p": Form(
        lambda z, y: -np.log(np.clip(softmax(z), 0.05, 1.0)[y]),
        ("l_t = clip(p_t[y_t], 0.05, 1)", "(p_t[y_t] ∘ (p_t - onehot(y_t)) / l_t) ∘ ["),
        "class",
    ),
    "given rows": Form(lambda z, y: -np.sum(y * np.log(softmax(z))), ("∂L/∂z_t = p_t - y_t",), "row"),
    "the largest added last": Form(largest_last, ("∂L/∂z_t = p_t - onehot(y_t)",), "class"),
    "entropy": Form(lambda z, y: np.sum(softmax(z) * np.log(softmax(z))) + 0 * np.sum(y), ("p_t = softmax(z_t)",)),
    "bits": Form(lambda z, y: bits(sigmoid(z), y), LESS_BIT, "bit"),
    "bits by tanh": Form(lambda z, y: bits(0.5 * (1 + np.tanh(z / 2)), y), LESS_BIT, "bit"),
    "bits, clipped": Form(
        lambda z, y: bits(np.clip(sigmoid(z), 0.1, 1 - 1e-7), y),
        ("clip(a^p_t, 0.1, 0.9999999)", "((1 - y_t) / (1 - p_t) - y_t / p_t) ∘ [(a^p_t ≥ 0.1) and"),
        "bit",
    ),
    "bits by a choice": Form(
        lambda z, y: -np.sum(np.log(np.where(y == 1, sigmoid(z), 1 - sigmoid(z)))), (), "bit"
    ),
    # other losses
    "half the square by @": Form(
        lambda z, y: 0.5 * (z - y) @ (z - y), ("L = Σ_t e_t e_t / 2", "∂L/∂h_t = e_t Vᵀ")
    ),
    "half the square by a norm": Form(
        lambda z, y: np.linalg.norm(z - y) ** 2 / 2, ("L = Σ_t sum(e_t²) / 2", "∂L/∂h_t = e_t Vᵀ")
    ),
    "root": Form(lambda z, y: np.sqrt(np.mean((z - y) ** 2)), ("= e_t / (4 l_t)",)),
    "absolute error": Form(lambda z, y: np.mean(np.abs(z - y)), ("= sign(e_t) / 4",)),
    "absolute error by a choice": Form(
        lambda z, y: np.sum(np.where(z > y, z - y, y - z)), ("= [z_t > y_t] - [z_t ≤ y_t]",)
    ),
    "Huber": Form(lambda z, y: huber(z - y, 0.7), ("= e_t ∘ [u_t ≤ 0.7] + 0.7 sign(e_t) ∘ [u_t > 0.7]",)),
    "Huber by a mask": Form(lambda z, y: masked_huber(z - y, 1.0), ("[u_t < 1]",)),
    "quantile": Form(lambda z, y: np.sum((y - z) * (0.9 - (y < z))), ("= -(0.9 - [y_t < z_t])",)),
    "quantile by maximum": Form(
        lambda z, y: np.sum(np.maximum(0.9 * (y - z), -0.1 * (y - z))), ("= 0.1 [v_t ≤ q_t] - 0.9 [v_t > q_t]",)
    ),
    "hinge": Form(lambda z, y: np.sum(np.maximum(0, 1 - y * z)), ("= -y_t ∘ [a⁽²⁾_t > 0]",), "sign"),
    "hinge by a choice": Form(lambda z, y: np.sum(np.where(y * z < 1, 1 - y * z, 0)), ("= -y_t ∘ [u_t < 1]",), "sign"),
    "log cosh": Form(lambda z, y: np.sum(np.log(np.cosh(z - y))), ()),
    "Gaussian": Form(gaussian, ("L = Σ_t (log(s_t) + 0.5 l_t²) + 2.75682",)),
    "mixture": Form(
        lambda z, y: -np.log(np.sum(softmax(z) * np.exp(-((y - 1) ** 2) / (2 * np.exp(z) ** 2)) / (3 * np.exp(z)))),
        ("z⁽²⁾_t = log_softmax(z_t) + ", "L = -Σ_t logsumexp(z⁽²⁾_t)"),
    ),
    "mixtures of a batch": Form(
        lambda z, y: -np.sum(np.log(np.sum(softmax(z) * np.exp(-((y - 1) ** 2)) / np.exp(z), axis=-1))),
        ("L = -Σ_t sum(logsumexp(z⁽²⁾_t))",), batch=(3,),
    ),
    "cosine": Form(lambda z, y: 1 - z @ y / (np.linalg.norm(z) * np.linalg.norm(y)), ("l_t = sqrt(sum(z_t²))",)),
    "added and taken off": Form(
        lambda z, y: np.sum(z**2) - np.sum(np.abs(z)), ("L = Σ_t (sum(z_t²) - sum(abs(z_t)))", "= 2 z_t - sign(z_t)")
    ),
    # normalised values
    "layer norm by var": Form(fits(lambda z: (z - z.mean()) / np.sqrt(z.var() + 1e-5)), ("u_t = z_t - mean(z_t)",)),
    "layer norm by a power": Form(
        fits(lambda z: (z - np.mean(z)) * (np.mean((z - np.mean(z)) ** 2) + 1e-5) ** -0.5), ("u_t = z_t - mean(z_t)",)
    ),
    "batch norm": Form(
        fits(lambda z: (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5)), ("q_t = u_t / v_t",), batch=(3,)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_read_as_in_a_textbook_and_holds_at_other_numbers(name):
    form = FORMS[name]
    parameters, *data = numbers(form, 0)
    derivation = tr.derive(network(form), parameters, data)
    text = str(derivation)
    for piece in form.lines:
        assert piece in text
    others, xs, ys = numbers(form, 1)
    for own, right in zip(derivation.run(others, {"xs": xs, "ys": ys}).gradients.values(),
                          tr.grad(network(form))(others, xs, ys).values()):  # fmt: skip
        np.testing.assert_allclose(own, right, rtol=1e-9, atol=1e-12)


def test_targets_that_no_longer_add_up_to_1_are_refused():
    form = FORMS["given rows"]
    parameters, xs, ys = numbers(form, 0)
    derivation = tr.derive(network(form), parameters, (xs, ys))
    with pytest.raises(ValueError, match="run: each row of 'ys' has to add up to 1"):
        derivation.run(data={"ys": 2 * ys})


@pytest.mark.parametrize("function", [lambda z: 1 / (1 + np.exp(-z) + 1e-9), lambda z: np.where(z > 1e-5, z, 0)])
def test_an_eps_that_changes_the_result_makes_another_function(function):
    form = Form(fits(function), ())
    parameters, *data = numbers(form, 0)
    text = str(tr.derive(network(form), parameters, data))
    assert "σ(" not in text and "relu(" not in text

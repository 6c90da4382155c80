"""Many models at once: the weights of all of them side by side, mapped by JAX.

The cell stays plain NumPy. ``tr.to_jax`` makes a function for JAX of it, with this package's own gradient; ``jax.vmap``
runs that for every set of weights and every learning rate at once, and ``jax.lax.scan`` makes all steps one program.
For small models that is faster than one after the other: their products are too small to keep a processor busy.

Needs JAX: ``pip install "tinygrad_rnn[jax]"``. It follows no article.

Run it: ``python examples/many_models_vmap.py``
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import tinygrad_rnn as tr

SEEDS = range(4)
RATES = (0.003, 0.01, 0.03)
STEPS = 100


def new_model(seed):
    """A GRU that learns to add up a sequence."""
    return tr.nn.ManyToOne(tr.nn.GRU(1, 8, seed=seed), 1, seed=seed + 100)


model = new_model(0)  # its weights are replaced by those of all models
parameters = dict(model.named_parameters())


def loss(xs, sums):
    """Of one model, in plain NumPy."""
    return tr.nn.mse(model(xs), sums)


loss_and_gradient = jax.value_and_grad(tr.to_jax(loss, parameters=parameters))


def trained(weights, rate, batches):
    """One model trained by gradient descent: its weights, and the loss at each step."""

    def step(weights, batch):
        value, gradients = loss_and_gradient(weights, *batch)
        return {name: w - rate * gradients[name] for name, w in weights.items()}, value

    return jax.lax.scan(step, weights, batches)


def weights_of(seed):
    """The weights that a model starts with."""
    return {name: parameter.numpy() for name, parameter in new_model(seed).named_parameters()}


def main():
    """Train a model for every seed and learning rate, all together."""
    rng = np.random.default_rng(0)
    xs = rng.normal(size=(STEPS, 10, 32, 1)).astype(np.float32)  # a batch of 32 sequences of 10 numbers for each step
    batches = xs, xs.sum(axis=1)
    settings = [(seed, rate) for seed in SEEDS for rate in RATES]
    side_by_side = jax.tree.map(lambda *parts: np.stack(parts), *(weights_of(seed) for seed, _ in settings))
    rates = np.array([rate for _, rate in settings], np.float32)
    all_trained = jax.jit(jax.vmap(trained, in_axes=(0, 0, None)))
    last, losses = all_trained(side_by_side, rates, batches)

    print(f"{len(settings)} models, {STEPS} steps each. The mean loss of the last 10 steps:\n")
    print("  seed  " + "".join(f"lr {rate:<8}" for rate in RATES))
    table = np.reshape(np.mean(losses[:, -10:], axis=1), (len(SEEDS), len(RATES)))
    for seed, row in zip(SEEDS, table):
        print(f"  {seed:<6}" + "".join(f"{value:<11.3f}" for value in row))

    _, alone = jax.jit(trained)(weights_of(0), jnp.float32(RATES[1]), batches)
    print(f"\nThe losses of the second model, trained alone, agree: {np.allclose(alone, losses[1], rtol=1e-3)}")

    best = np.nanargmin(np.mean(losses[:, -10:], axis=1))
    for name, parameter in parameters.items():
        parameter.data = np.asarray(last[name][best])
    value = loss(xs[-1], xs[-1].sum(axis=0)).item()
    print(f"Its best one, seed {settings[best][0]} and lr {settings[best][1]}, is a NumPy model again: {value:.3f}")


if __name__ == "__main__":
    main()

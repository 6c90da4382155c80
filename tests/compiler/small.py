"""Small arrays and a weight for tests of what is traced, and the gradients of both."""

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn import nn

T, B, d = 5, 2, 3


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


W = nn.Parameter(0.5 * normal(d, d))


def with_gradients(f, *inputs):
    """The result, and the gradients of the inputs and of W."""
    arguments = [tr.tensor(a, requires_grad=True) for a in inputs]
    W.grad = None
    result = f(*arguments)
    np.sum(np.square(result)).backward()
    return [result.data, *(a.grad for a in arguments), W.grad]

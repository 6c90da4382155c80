"""Initial values of parameters, and the random generators that they are drawn from.

Functions and classes that draw random numbers take ``seed``: a ``numpy.random.Generator``, an int that makes one, or
None. With None they get a child of the package's own generator, which starts from a fixed seed: a script repeats
itself, and two layers made without a seed differ.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Seed = Any  # a numpy.random.Generator, an int that makes one, or None

_package = np.random.default_rng(0)


def manual_seed(seed: int) -> None:
    """Set the seed of the package's own generator, which is used wherever no seed is given.

    Args:
        seed: any whole number from 0 on.

    Example:
        >>> import tinygrad_rnn as tr
        >>> tr.manual_seed(7)
        >>> first, second = tr.nn.Linear(3, 2), tr.nn.Linear(3, 2)
        >>> tr.manual_seed(7)
        >>> again = tr.nn.Linear(3, 2)
        >>> bool((again.W.data == first.W.data).all()), bool((again.W.data == second.W.data).all())
        (True, False)
    """
    global _package
    _package = np.random.default_rng(seed)


def generator(seed: Seed = None) -> np.random.Generator:
    """The generator for a seed: the seed itself, a new one made from an int, or a child of the package's generator.

    A child draws independently of its parent and siblings, so making a dropout without a seed changes no weights
    that are drawn later.
    """
    return _package.spawn(1)[0] if seed is None else np.random.default_rng(seed)


def uniform(shape: tuple[int, ...], seed: Seed, bound: float, dtype: Any = np.float32) -> np.ndarray:
    """Uniform between ``-bound`` and ``bound``.

    Example:
        >>> from tinygrad_rnn.nn import init
        >>> bool((abs(init.uniform((3, 4), 0, bound=0.5)) <= 0.5).all())
        True
    """
    return generator(seed).uniform(-bound, bound, shape).astype(dtype)


def xavier(shape: tuple[int, int], seed: Seed, gain: float = 1.0, dtype: Any = np.float32) -> np.ndarray:
    """Uniform with variance ``gain² · 2 / (n + m)``, which keeps a signal's size both forward and backward.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010), eq.
    16.

    Example:
        >>> from tinygrad_rnn.nn import init
        >>> init.xavier((3, 4), seed=0).shape
        (3, 4)
    """
    return uniform(shape, seed, gain * math.sqrt(6 / (shape[0] + shape[1])), dtype)


def he(shape: tuple[int, int], seed: Seed, gain: float = 2**0.5, dtype: Any = np.float32) -> np.ndarray:
    """Normal with variance ``gain² / n``, which keeps a signal's size through layers of relu.

    Source: He, Zhang, Ren and Sun, "Delving deep into rectifiers" (2015), eq. 10.

    Example:
        >>> from tinygrad_rnn.nn import init
        >>> bool(abs(init.he((1000, 50), seed=0).std() - (2 / 1000) ** 0.5) < 1e-3)
        True
    """
    return (generator(seed).standard_normal(shape) * (gain / math.sqrt(shape[0]))).astype(dtype)


def orthogonal(shape: tuple[int, int], seed: Seed, gain: float = 1.0, dtype: Any = np.float32) -> np.ndarray:
    """A random matrix with orthonormal rows (or columns, if they are fewer), times ``gain``.

    As the matrix between states it neither stretches nor shrinks them, so gradients take longer to vanish. Gates need
    one each, side by side: ``np.concatenate([init.orthogonal((d, d), rng) for _ in range(4)], axis=1)``.

    Source: Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks" (2014).

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.nn import init
        >>> Q = init.orthogonal((4, 4), seed=0, dtype=np.float64)
        >>> bool(np.allclose(Q @ Q.T, np.eye(4)))
        True
    """
    rows, columns = shape
    tall = generator(seed).standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diagonal(r))  # without this, not all orthogonal matrices would be equally likely
    return (gain * (q if rows >= columns else q.T)).astype(dtype)


def identity(shape: tuple[int, int], gain: float = 1.0, dtype: Any = np.float32) -> np.ndarray:
    """The identity matrix, times ``gain``: with relu, a state that stays the same until inputs change it (IRNN).

    Source: Le, Jaitly and Hinton, "A simple way to initialize recurrent networks of rectified linear units" (2015).

    Example:
        >>> from tinygrad_rnn import nn
        >>> cell = nn.RNNCell(3, 2, "relu")
        >>> cell.W.data = nn.init.identity(cell.W.shape)
        >>> cell.W.tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return (gain * np.eye(*shape)).astype(dtype)


def forget_bias(units: int, value: float = 1.0, gates: str = "ifgo", dtype: Any = np.float32) -> np.ndarray:
    """The bias of an LSTM, zero except for the forget gate's part, so that a new cell remembers.

    Args:
        units: d, the size of the state.
        value: the forget gate's bias.
        gates: the order of the gates; "fgo" for coupled gates.
        dtype: of the result.

    Source: Gers, Schmidhuber and Cummins, "Learning to forget" (2000); Jozefowicz, Zaremba and Sutskever, "An empirical
    exploration of recurrent network architectures" (2015).

    Example:
        >>> from tinygrad_rnn.nn import init
        >>> init.forget_bias(2).tolist()
        [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    """
    return np.concatenate([np.full(units, value if gate == "f" else 0.0, dtype) for gate in gates])

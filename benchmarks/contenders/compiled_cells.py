"""tinygrad_rnn, the whole loss of a cell beyond the gated ones compiled to machine code."""

from __future__ import annotations

import tinygrad_rnn as tr

from . import other_cells

PACKAGES = ("numpy", "llvmlite")


def loss_and_gradients(loss, data, parameters, executor=None):
    """A step that computes a loss and its gradients; eagerly, without an executor."""
    tensors = {name: tr.tensor(a, requires_grad=True) for name, a in parameters.items()}
    run = (
        (lambda: loss(**data, **tensors))
        if executor is None
        else tr.compile(lambda: loss(**data, **tensors), executor=executor)
    )

    def step():
        for tensor in tensors.values():
            tensor.grad = None
        found = run()
        found.backward()
        return found.item(), {name: tensor.grad for name, tensor in tensors.items()}

    return step


def _task(loss):
    return lambda x, **parameters: loss_and_gradients(loss, {"x": x}, parameters, "llvm")


attention, hmm, hmm_scaled, spiking, clockwork, state_space, soft_dtw = map(
    _task,
    (
        other_cells.attention, other_cells.hmm, other_cells.hmm_scaled, other_cells.spiking, other_cells.clockwork,
        other_cells.state_space, other_cells.soft_dtw,
    ),
)  # fmt: skip

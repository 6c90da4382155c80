"""The training loop: forward, loss, backward, update, until it is time to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

import numpy as np

from ..data import Batch, Epochs
from ..nn import Module
from ..optim import Optimizer
from .history import History
from .interrupts import DelayedInterrupt
from .limits import Limits
from .prediction import Loss, Predict, count_inputs, count_targets, detached, loss_of
from .prediction import predict as call_model
from .progress import Progress


class TrainingDiverged(FloatingPointError):
    """The loss or a gradient became infinite or NaN. The model has the last weights that gave a finite loss.

    Attributes:
        history: What was done until then.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C was pressed; the step in hand was finished first.

    Attributes:
        history: What was done until then.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


def endless(data: Epochs) -> Iterator[Batch]:
    """The batches of one epoch after another."""
    while True:
        yield from data


class Run:
    """A training run while it goes on: what callbacks get to see.

    Attributes:
        model: The model.
        data: The batches.
        optimizer: The optimiser.
        history: What was done so far.
        state: The state carried to the next batch of a stream, detached; None if there is none.
    """

    def __init__(
        self,
        model: Module,
        data: Epochs,
        loss: Loss,
        optimizer: Optimizer,
        limits: Limits,
        callbacks: Iterable[Callable[[Run], None]],
        predict: Predict,
    ) -> None:
        self.model = model
        self.data = data
        self.loss = loss
        self.optimizer = optimizer
        self.limits = limits
        self.callbacks = list(callbacks)
        self.predict = predict
        self.history = History()
        self.state: Any = None
        self._weights_before: list[tuple[Any, np.ndarray]] = []

    @property
    def step(self) -> int:
        """How many batches have been learned from."""
        return self.history.step

    def stop(self, reason: str) -> None:
        """End the run after this step."""
        self.history.stopped = reason

    def train(self, progress: Progress) -> None:
        """Go through the data until the run is stopped."""
        self.history.start_clock()
        try:
            with DelayedInterrupt() as interrupt, progress:
                for batch in endless(self.data):
                    self._learn_from(batch)
                    progress.update()
                    if interrupt.requested:
                        self._interrupted()
                    if self.history.stopped is not None:
                        break
        finally:
            self.history.stop_clock()

    def _learn_from(self, batch: Batch) -> None:
        """One step: forward pass, loss, backward pass, update."""
        prediction, state = self.predict(self.model, batch, self.state if batch.continues else None)
        loss = loss_of(self.loss, prediction, batch)
        self.state = detached(state)
        value = float(loss.item())
        if not math.isfinite(value):
            self._diverged(f"the loss is {value} at step {self.step + 1}")
        self.history.record(value, count_inputs(batch), count_targets(batch))
        if self.data.position == len(self.data):
            self.history.end_epoch()
        if converged := self.limits.converged(self.history):
            self.stop(converged)
        else:
            self._update(loss)
        for callback in self.callbacks:
            callback(self)
        if self.history.stopped is None:
            self.history.stopped = self.limits.reached(self.history)

    def _update(self, loss: Any) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        for path, parameter in self.model.named_parameters():
            if parameter.grad is not None and not np.isfinite(parameter.grad).all():
                self._diverged(f"the gradient of {path} holds infinite numbers or NaN at step {self.step}")
        # An update rebinds a parameter's data, so the array that was there before stays what it was.
        self._weights_before = [(parameter, parameter.data) for parameter in self.model.parameters()]
        self.optimizer.step()

    def _diverged(self, what: str) -> NoReturn:
        """Put the weights back to where the loss was finite the last time."""
        for parameter, before in self._weights_before:
            parameter.data = before
        self.history.stopped = f"diverged: {what}"
        raise TrainingDiverged(
            f"training has diverged: {what}. The model has the last weights that gave a finite loss. "
            "A smaller learning rate or gradient clipping (clip_norm=1.0) may help.",
            self.history,
        )

    def _interrupted(self) -> NoReturn:
        self.history.stopped = "interrupted"
        raise TrainingInterrupted(f"training was interrupted after step {self.step:,}", self.history)


def fit(
    model: Module,
    data: Epochs,
    loss: Loss,
    optimizer: Optimizer,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    threshold: float | None = None,
    callbacks: Iterable[Callable[[Run], None]] = (),
    predict: Predict = call_model,
    progress: bool | None = None,
    unit: str = "steps",
) -> History:
    """Train a model.

    Args:
        model: The model, called as ``predict`` says.
        data: ``data.Batches`` or ``data.StreamBatches``. The state of a stream is carried, detached, from batch to
            batch: truncated BPTT.
        loss: ``loss(prediction, targets)``, one number.
        optimizer: The optimiser of the model's parameters.
        epochs: Stop after so many times through the data.
        steps: Stop after so many batches.
        seconds: Stop after so long.
        threshold: Stop when the mean loss of an epoch is below this.
        callbacks: Functions called with the run after every step; ``run.stop("why")`` ends it.
        predict: How the model is called with a batch and a state; see ``training.predict``.
        progress: Whether to show a progress bar; by default on a terminal only.
        unit: What the progress bar counts per second: "steps", or what the inputs are, such as "characters".

    Returns:
        What was done.

    Raises:
        TrainingDiverged: The loss or a gradient became infinite or NaN; the last good weights are kept.
        TrainingInterrupted: Ctrl-C (a KeyboardInterrupt); the step in hand was finished first.
        TypeError: The data are something else.
        ValueError: No limit was given, or one that makes no sense.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import data, nn, optim, training
        >>> class Mean(nn.Module):
        ...     def __init__(self):
        ...         self.w = nn.Parameter(np.zeros(1))
        ...     def forward(self, x):
        ...         return x.mean(axis=0) + self.w
        >>> model = Mean()
        >>> batches = data.Batches(np.zeros((4, 3, 1)), np.ones((4, 1)), batch_size=None)
        >>> history = training.fit(model, batches, nn.mse, optim.SGD(model.parameters(), lr=0.1), threshold=1e-6)
        >>> history.stopped
        'the loss, 9.808e-07, is below the threshold of 1e-06'
        >>> model.w.data.round(2)
        array([1.])
    """
    limits = Limits(epochs, steps, seconds, threshold)
    limits.check()
    if not isinstance(data, Epochs):
        raise TypeError(
            f"fit takes data.Batches or data.StreamBatches, which know their place, not {type(data).__name__}"
        )
    run = Run(model, data, loss, optimizer, limits, callbacks, predict)
    model.train()
    run.train(Progress(run.history, limits, len(data), unit, progress))
    return run.history

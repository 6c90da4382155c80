"""A training run: what a step does, and all that has to be saved so that the run can go on elsewhere, bit for bit."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NoReturn

import numpy as np

from ..autodiff import stop_gradient
from ..autodiff.scope import no_grad
from ..autodiff.tensor import Tensor, tensor
from ..autodiff.trees import leaves, unflatten
from ..data import Batch, Epochs
from ..data.generator_state import generator_state, restore_generator
from ..nn import Module
from ..optim import Optimizer
from .checkpoints import Checkpoints
from .history import History
from .interrupts import DelayedInterrupt
from .limits import Limits
from .prediction import Loss, Predict, count_inputs, count_targets, loss_and_state
from .progress import Progress
from .updates import Clipping, Pace
from .validation import Validation
from .whole_step import compiled_step


class TrainingDiverged(FloatingPointError):
    """The loss or a gradient became infinite or NaN. The model has the last weights that gave a finite loss, if any.

    Attributes:
        history: What was done until then.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C was pressed; the step in hand was finished first, and a checkpoint written if the run keeps any.

    Attributes:
        history: What was done until then.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


class Run:
    """A training run while it goes on: what callbacks get to see. ``fit`` makes it.

    Attributes:
        model: The model.
        data: The batches.
        optimizer: The optimiser.
        history: What was done so far.
        state: The state carried to the next batch of a stream, detached; None if there is none.
        validation: The best weights so far, if there is validation.
    """

    def __init__(
        self,
        model: Module,
        data: Epochs,
        loss: Loss,
        optimizer: Optimizer,
        *,
        limits: Limits,
        predict: Predict,
        step_executor: str | None = None,
        clipping: Clipping = Clipping(),  # noqa: B008 (it can't be changed)
        pace: Pace = Pace(),  # noqa: B008
        validation: Validation | None = None,
        checkpoints: Checkpoints | None = None,
        callbacks: Iterable[Callable[[Run], None]] = (),
        generators: Iterable[np.random.Generator] = (),
    ) -> None:
        self.model = model
        self.data = data
        self.loss = loss
        self.optimizer = optimizer
        self.limits = limits
        self.predict = predict
        self.clipping = clipping
        self.pace = pace
        self.validation = validation
        self.checkpoints = checkpoints
        self.callbacks = list(callbacks)
        self.generators = [*(rng for _, rng in model.named_generators()), *generators]
        self.history = History()
        self._loss_and_state = (
            partial(loss_and_state, model, loss, predict)
            if step_executor is None
            else compiled_step(model, loss, predict, step_executor, self.history)
        )
        self.state: Any = None
        self._saved_state: list[np.ndarray] | None = None  # from a checkpoint, waiting for its structure
        self._saved_step: int | None = None
        self._weights_before: list[tuple[Any, np.ndarray]] = []

    @property
    def step(self) -> int:
        """How many batches have been learned from."""
        return self.history.step

    @property
    def stopped(self) -> bool:
        """Whether the run has ended."""
        return self.history.stopped is not None

    def stop(self, reason: str) -> None:
        """End the run after this step."""
        self.history.stopped = reason

    # --- the loop ----------------------------------------------------------------------------------------------------

    def train(self, progress: Progress) -> None:
        """Go through the data until the run is stopped."""
        self.history.start_clock()
        try:
            with DelayedInterrupt() as interrupt, progress:
                batches = endless(self.data)
                self._stop_if_done()
                while not self.stopped:
                    self._learn_from(next(batches))
                    self._stop_if_done()
                    progress.update()
                    if interrupt.requested:
                        self._interrupted()
                    if self.checkpoints is not None and self.checkpoints.due(self.step):
                        self._save_or_warn(self.checkpoints)
        finally:
            self.history.stop_clock()
        self._save()
        if self.validation is not None and self.validation.best_weights is not None:
            self.model.load_state_dict(self.validation.best_weights)

    def _learn_from(self, batch: Batch) -> None:
        """One step: forward pass, loss, backward pass, update."""
        saved, self._saved_state = self._saved_state, None
        if saved is not None and batch.continues:
            self.state = self._structured(saved, batch)
        loss, state = self._loss_and_state(batch, self.state if batch.continues else None)
        self.state = stop_gradient(state)
        value = float(loss.item())
        if not math.isfinite(value):
            self._diverged(f"the loss is {value} at step {self.step + 1}")
        self.history.record(value, count_inputs(batch), count_targets(batch))
        if self.data.position == len(self.data):
            self.history.end_epoch()
        if self.limits.converged(self.history) is None:
            self._update(loss)
        if self.validation is not None and self.validation.due(self.history):
            self.validation.validate(self.model, self.history)
        self.pace.advance(self.history, validating=self.validation is not None)
        for callback in self.callbacks:
            callback(self)

    def _update(self, loss: Any) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        for path, parameter in self.model.named_parameters():
            if parameter.grad is not None and not np.isfinite(parameter.grad).all():
                self._diverged(f"the gradient of {path} holds infinite numbers or NaN at step {self.step}")
        # An update rebinds a parameter's data, so the array that was there before stays what it was.
        self._weights_before = [(parameter, parameter.data) for parameter in self.model.parameters()]
        self.clipping.clip(self.model)
        self.optimizer.step()

    def _stop_if_done(self) -> None:
        if not self.stopped:
            self.history.stopped = (
                self.limits.converged(self.history)
                or (self.validation and self.validation.gave_up())
                or self.limits.reached(self.history)
            )

    def _diverged(self, what: str) -> NoReturn:
        """Put the weights back to where the loss was finite the last time."""
        for parameter, before in self._weights_before:
            parameter.data = before
        self.history.stopped = f"diverged: {what}"
        advice = (
            "The model has the last weights that gave a finite loss. A smaller learning rate or gradient clipping "
            "(clip_norm=1.0) may help."
            if self._weights_before
            else "No update was made before that: look for NaN or infinite numbers in the data, and in the weights "
            "that the model began with."
        )
        raise TrainingDiverged(f"training has diverged: {what}. {advice}", self.history)

    def _interrupted(self) -> NoReturn:
        self.history.stopped = "interrupted"
        message = f"training was interrupted after step {self.step:,}"
        if self.checkpoints is not None:
            try:
                self._save()
                message += f"; its checkpoint is in {self.checkpoints.folder}, and resume=True goes on from there"
            except OSError as error:
                message += f"; a checkpoint could not be written: {error}"
        raise TrainingInterrupted(message, self.history)

    # --- saving and resuming -----------------------------------------------------------------------------------------

    def _save(self) -> None:
        if self.checkpoints is not None and self._saved_step != self.step:
            self.checkpoints.save(self.step, self.state_dict())
            self._saved_step = self.step

    def _save_or_warn(self, checkpoints: Checkpoints) -> None:
        """Save; a full disk is no reason to throw away what the run goes on learning."""
        try:
            self._save()
        except OSError as error:
            warnings.warn(
                f"no checkpoint of step {self.step:,} could be written to {checkpoints.folder} ({error}). Training "
                "goes on and will try again; the checkpoints before it are whole.",
                RuntimeWarning,
                stacklevel=4,
            )

    def state_dict(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on, as arrays, numbers, strings, lists and dicts."""
        return {
            "model": self.model.state_dict(),
            "optimizer": [type(self.optimizer).__name__, self.optimizer.state_dict()],
            "schedule": None if self.pace.schedule is None else self.pace.schedule.state_dict(),
            "data": self.data.state_dict(),
            "history": self.history.state_dict(),
            "carried": None if self.state is None else [np.array(_value(leaf)) for leaf in leaves(self.state)],
            "generators": [generator_state(rng) for rng in self.generators],
            "validation": None if self.validation is None else self.validation.state_dict(),
            "callbacks": [callback.state_dict() for callback in self._callbacks_with_state()],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state_dict`` gave; if anything in it doesn't fit, nothing has changed.

        Raises:
            ValueError: It is the state of another run: another model, optimiser, other data or other options.
        """
        before = self.state_dict()
        try:
            self._load(state)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
            self._load(before)
            raise ValueError(f"this checkpoint is not one of this run: {error}") from error

    def _load(self, state: Mapping[str, Any]) -> None:
        kind, optimizer = state["optimizer"]
        callbacks = self._callbacks_with_state()
        if kind != type(self.optimizer).__name__:
            raise ValueError(f"its optimiser is {kind}, not {type(self.optimizer).__name__}")
        for name, saved, own in (
            ("random generators", len(state["generators"]), len(self.generators)),
            ("callbacks with a state", len(state["callbacks"]), len(callbacks)),
            ("schedules", int(state["schedule"] is not None), int(self.pace.schedule is not None)),
            ("validations", int(state["validation"] is not None), int(self.validation is not None)),
        ):
            if saved != own:
                raise ValueError(f"it has {saved} {name}, where this run has {own}")
        self.data.load_state_dict(state["data"])
        if self.validation is not None:
            self.validation.load_state_dict(state["validation"])
            if self.validation.best_weights is not None:
                self.model.load_state_dict(self.validation.best_weights)  # only to see that they fit
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(optimizer)
        if self.pace.schedule is not None:
            self.pace.schedule.load_state_dict(state["schedule"])
        self.history.load_state_dict(state["history"])
        for rng, saved in zip(self.generators, state["generators"]):
            restore_generator(rng, saved)
        for callback, saved in zip(callbacks, state["callbacks"]):
            callback.load_state_dict(saved)
        carried = state["carried"]
        self._saved_state = None if carried is None else [np.asarray(part) for part in carried]
        self._saved_step = self.step

    def _callbacks_with_state(self) -> list[Any]:
        return [callback for callback in self.callbacks if hasattr(callback, "state_dict")]

    def _structured(self, saved: list[np.ndarray], batch: Batch) -> Any:
        """The carried state of a checkpoint, a list of arrays, in the structure that the model's states have.

        Only the model knows that (a NamedTuple of its own, say), so it is asked for a state, and the random numbers
        that it may draw for that are given back.
        """
        generators = [generator_state(rng) for rng in self.generators]
        with no_grad():
            _, like = self.predict(self.model, batch, None)
        for rng, before in zip(self.generators, generators):
            restore_generator(rng, before)
        if [np.shape(_value(leaf)) for leaf in leaves(like)] != [np.shape(array) for array in saved]:
            raise ValueError("the state carried in this checkpoint is not one of this model")
        parts = zip(saved, leaves(like))
        return unflatten(like, (tensor(array) if isinstance(leaf, Tensor) else array for array, leaf in parts))


def endless(data: Epochs) -> Iterator[Batch]:
    """The batches of one epoch after another."""
    while True:
        yield from data


def _value(leaf: Any) -> Any:
    return leaf.data if isinstance(leaf, Tensor) else leaf

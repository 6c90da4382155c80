"""A training run: its steps, and the state that is saved so that the run can continue elsewhere, bit for bit."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from ..autodiff import stop_gradient
from ..autodiff.errors import NotOnTensors
from ..autodiff.scope import no_grad
from ..autodiff.texts import printable
from ..autodiff.trees import tree_map
from ..data import Batch, Epochs
from ..data.epochs import Draft
from ..data.generator_state import generator_state, restore_generator
from ..nn import Module
from ..nn.calling import evaluating
from ..optim import Optimizer
from .carried import Carried
from .checkpoints import Checkpoints
from .compiled_layers import as_written, say_not_compiled
from .history import History
from .interrupts import DelayedInterrupt
from .limits import Limits
from .metrics import Metrics
from .prediction import Loss, Predict, count_inputs, count_targets, counted, loss_and_state, without_targets
from .progress import Progress
from .ranks import Alone
from .sharing import Part, Sharing, in_means, is_checked
from .updates import Clipping, Pace
from .validation import Validation
from .whole_step import CompiledStep

if TYPE_CHECKING:
    from .on_device import Losses, OnDevice


class _Ended(BaseException):
    """The common base of the errors that end a run on all of its processes."""

    on_all_ranks = True

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


class TrainingDiverged(_Ended, FloatingPointError):
    """The loss or a gradient became infinite or NaN. The model has the last weights that gave a finite loss, if any.

    Attributes:
        history: the history of the run until then.
    """


class TrainingInterrupted(_Ended, KeyboardInterrupt):
    """Ctrl-C was pressed; the step in hand was finished first, and a checkpoint written if the run keeps any.

    Attributes:
        history: the history of the run until then.
    """


class Report(NamedTuple):
    """The report of a process on its part of a step, for the others.

    Attributes:
        loss: the sum of the losses of its parts, each times its share.
        metrics: the sum of the metrics of its parts, each times its number of targets.
        inputs: the number of input steps in its parts.
        targets: the number of targets in its parts.
        weight: the weight of its parts in the mean loss of an epoch.
        with_gradient: for each parameter, whether it got a gradient.
        seconds: the duration of the run so far, by the clock of this process.
        interrupted: whether Ctrl-C was pressed there.
        save: whether it is time for a checkpoint.
    """

    loss: float
    metrics: list[float]
    inputs: int
    targets: int
    weight: float
    with_gradient: list[bool]
    seconds: float
    interrupted: bool
    save: bool


@dataclass(eq=False, repr=False)
class Run:
    """A training run while it goes on: the object that callbacks get. ``fit`` makes it.

    Attributes:
        model: the model.
        data: the batches.
        optimizer: the optimiser.
        history: the history of the run so far.
        validation: the best weights so far, if there is validation.
        ranks: the processes that share the run; ``ranks.rank`` is the number of this one.
    """

    model: Module
    data: Epochs
    loss: Loss
    optimizer: Optimizer
    limits: Limits
    predict: Predict
    step_executor: str | None
    devices: int | None
    clipping: Clipping
    pace: Pace
    validation: Validation | None
    metrics: Metrics
    checkpoints: Checkpoints | None
    callbacks: list[Callable[[Run], None]]
    generators: list[np.random.Generator]
    ranks: Alone
    sharing: Sharing

    def __post_init__(self) -> None:
        self.generators = [*(rng for _, rng in self.model.named_generators()), *self.generators]
        if self.ranks.size > 1 and any(rng is self.data.generator for rng in self.generators):
            raise ValueError(
                "fit: the model draws its noise from the generator that shuffles the data. Processes that share a run "
                "need the same order but different noise: give the model and the data a generator each."
            )
        self.history = History(self.metrics.names)
        self._loss_and_state: Callable[[Batch, Any], Any] = partial(
            loss_and_state, self.model, self.loss, self.metrics.watching(self.predict)
        )
        self.carried = Carried(self.sharing, self.ranks, self._state_after)
        self._on_device: OnDevice | None = None
        self._losses: Losses | None = None  # of the batch in hand, if its gradients are on the device
        if self.step_executor is not None:
            step = CompiledStep(self.model, self.loss, self.predict, self.step_executor, self.history)
            self._loss_and_state = step
            if self.step_executor == "jax" and self.ranks.size == 1:
                from .on_device import OnDevice  # imported only here, because JAX is an extra

                self._on_device = OnDevice(self.model, self.optimizer, self.clipping, step, self.devices or 1)
        self._called_back = False  # whether any process has callbacks
        self._saved_step: int | None = None
        self._weights_before: list[tuple[Any, np.ndarray]] = []

    @property
    def step(self) -> int:
        """The number of batches learned from."""
        return self.history.step

    @property
    def stopped(self) -> bool:
        """True if the run has ended."""
        return self.history.stopped is not None

    @property
    def state(self) -> Any:
        """The state carried to the next batch of a stream (of the first part that this process computes), or None."""
        return _on_host(self.carried.states[0]) if self.carried.states else None

    def stop(self, reason: str) -> None:
        """End the run after this step: all of its processes, though one alone asks for it."""
        self.history.stopped = reason

    # --- the loop ----------------------------------------------------------------------------------------------------

    def train(self, progress: Progress) -> None:
        """Go through the data until the run is stopped."""
        self.history.start_clock()
        try:
            with DelayedInterrupt() as interrupt, progress:
                batches = endless(self.data)
                begun = self.ranks.gather(lambda: (self.history.seconds, bool(self.callbacks)))
                self._called_back = any(has_callbacks for _, has_callbacks in begun)
                self._stop_if_done(begun[0][0])
                while not self.stopped:
                    reports = self._learn_from(next(batches), interrupt)
                    self._stop_if_done(reports[0].seconds)
                    progress.update()
                    alone = interrupt.requested and self.ranks.size == 1  # several processes share it in the next step
                    if alone or any(report.interrupted for report in reports):
                        self._interrupted()
                    if reports[0].save:
                        self._save_or_warn()
        finally:
            self.history.stop_clock()
            self._to_host()
            for callback in self.callbacks:
                if hasattr(callback, "close"):
                    callback.close()
        self._save()
        if self.validation is not None and self.validation.best_weights is not None:
            self.model.load_state_dict(self.validation.best_weights)

    def _learn_from(self, draft: Draft, interrupt: DelayedInterrupt) -> list[Report]:
        """Take a step: forward and backward pass of each part, sums over all parts, update."""
        reports = self.ranks.gather(lambda: self._compute(draft, interrupt))
        loss = sum(report.loss for report in reports)
        if not math.isfinite(loss):
            self._diverged(f"the loss is {loss} at step {self.step + 1}")
        inputs, targets, weight = map(sum, zip(*((r.inputs, r.targets, r.weight) for r in reports)))
        metrics = [sum(values) / max(targets, 1) for values in zip(*(report.metrics for report in reports))]
        self.history.record(loss, inputs, weight, metrics, targets)
        if self.data.position == len(self.data):
            self.history.end_epoch()
        if self.limits.converged(self.history) is None:
            trained = [any(got) for got in zip(*(report.with_gradient for report in reports))]
            self._update([p for p, is_trained in zip(self.model.parameters(), trained) if is_trained])
        if self.validation is not None and self.validation.due(self.history):
            self._to_host()
            self.validation.validate(self.model, self.history, self.ranks)
        self.pace.advance(self.history, validating=self.validation is not None)
        if self._called_back:
            self._to_host(gradients=True)
            reasons = self.ranks.gather(self._call_back)
            self.history.stopped = next((reason for reason in reasons if reason is not None), None)
        return reports

    def _compute(self, draft: Draft, interrupt: DelayedInterrupt) -> Report:
        """The losses and gradients of the parts of a batch that this process has."""
        if is_checked(self.step + 1) and not self.sharing.is_whole:
            self._to_host()
            self.sharing.check(draft, self._loss_aside, self.step + 1)
        parts = self.sharing.of(draft)
        befores = self.carried.into(draft, parts)
        self._losses = None if self._on_device is None else self._on_device.compute(parts, befores)
        if self._losses is not None:
            return self._reported(draft, parts, interrupt, self._losses.states, self._losses.loss, [])
        self._to_host()
        states, total, metrics = [], 0.0, np.zeros(len(self.metrics.names))
        self.optimizer.zero_grad()
        self.model.zero_grad()  # also those of parameters that the optimiser doesn't update
        for (part, share), before in zip(parts, map(_on_host, befores)):
            with np.errstate(**without_targets(share)):
                loss, state = self._loss_and_state(part, before)
            states.append(stop_gradient(state))
            metrics += counted(self.metrics.values, part)
            if not share:
                continue
            value = float(loss.item())
            total += share * value
            if math.isfinite(value):
                loss.backward(None if share == 1 else np.full(loss.shape, share, loss.dtype), keep=False)
        return self._reported(draft, parts, interrupt, states, total, metrics.tolist())

    def _reported(
        self,
        draft: Draft,
        parts: list[Part],
        interrupt: DelayedInterrupt,
        states: list[Any],
        loss: float,
        metrics: list[float],
    ) -> Report:
        self.carried.states = [] if all(state is None for state in states) else states
        save = self.checkpoints is not None and self.checkpoints.due(self.step + 1)
        if save or self.carried.states:
            self.carried.learn_axes(draft)
        with_gradient = [parameter.grad is not None for parameter in self.model.parameters()]
        inputs, targets = (sum(count(part.batch) for part in parts) for count in (count_inputs, count_targets))
        weight = sum(map(in_means(self.sharing.weight), (part.batch for part in parts)))
        seconds = self.history.seconds
        return Report(loss, metrics, inputs, targets, weight, with_gradient, seconds, interrupt.requested, save)

    def _call_back(self) -> str | None:
        for callback in self.callbacks:
            callback(self)
        return self.history.stopped

    def _update(self, trained: list[Any]) -> None:
        if self._on_device is not None and self._losses is not None:
            if self._losses.finite and self._updated_on_device(self._on_device):
                return
            self._to_host(gradients=True)
        self.ranks.sum_gradients(trained)
        for path, parameter in self.model.named_parameters():
            if parameter.grad is not None and not _is_finite(parameter.grad):
                self._diverged(f"the gradient of {path} holds infinite numbers or NaN at step {self.step}")
        # An update rebinds a parameter's data, so the array that was there before stays what it was.
        self._weights_before = [(parameter, parameter.data) for parameter in self.model.parameters()]
        self.clipping.clip(self.model)
        self.optimizer.step()

    def _updated_on_device(self, device: OnDevice) -> bool:
        """Update the weights on the device. Return False if that isn't possible; from then on the host does it."""
        try:
            device.update()
        except NotOnTensors as why:
            say_not_compiled(self.history, "the optimiser", why)
            device.to_host(gradients=True)
            self._on_device = self._losses = None
            return False
        return True

    def _to_host(self, gradients: bool = False) -> None:
        """Bring the model and the optimiser up to date, if they are kept on a device."""
        if self._on_device is not None:
            self._on_device.to_host(gradients)

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """A context in which the model can be called without noise and without a trace in the run."""
        generators = [generator_state(rng) for rng in self.generators]
        try:
            with evaluating(self.model), as_written(self.model), no_grad():
                yield
        finally:
            for rng, before in zip(self.generators, generators):
                restore_generator(rng, before)

    def _loss_aside(self, batch: Batch) -> float:
        with self._aside():
            return float(loss_and_state(self.model, self.loss, self.predict, batch, None)[0])

    def _state_after(self, batch: Batch) -> Any:
        with self._aside():
            return self.predict(self.model, batch, None)[1]

    def _stop_if_done(self, seconds: float) -> None:
        if not self.stopped:
            self.history.stopped = (
                self.limits.converged(self.history)
                or (self.validation and self.validation.gave_up())
                or self.limits.reached(self.history, seconds)
            )

    def _diverged(self, what: str) -> NoReturn:
        """Restore the last weights that gave a finite loss, and raise ``TrainingDiverged``."""
        if self._on_device is not None:
            self._weights_before = self._on_device.weights_before() or self._weights_before
            self._to_host()
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
        """Write a checkpoint, unless this step has one. All ranks call this together; the first one writes."""
        if self.checkpoints is None or self._saved_step == self.step:
            return
        self._to_host()
        self.ranks.check_alike(self.model)
        state = self.state_dict()
        problem = self.ranks.gather(lambda: self._written(state))[0]
        if problem is not None:
            raise self.ranks.agreed(problem)
        self._saved_step = self.step

    def _written(self, state: dict[str, Any]) -> OSError | None:
        if self.checkpoints is not None and self.ranks.rank == 0:
            try:
                self.checkpoints.save(self.step, state)
            except OSError as problem:
                return problem
        return None

    def _save_or_warn(self) -> None:
        """Write a checkpoint, or warn if that fails: a full disk is no reason to end the run."""
        try:
            self._save()
        except OSError as error:
            if self.ranks.rank == 0 and self.checkpoints is not None:
                warnings.warn(
                    f"no checkpoint of step {self.step:,} could be written to {self.checkpoints.folder} ({error}). "
                    "Training goes on and will try again; the checkpoints before it are whole.",
                    RuntimeWarning,
                    stacklevel=4,
                )

    def state_dict(self) -> dict[str, Any]:
        """The state on which the rest of the run depends, as arrays, numbers, strings, lists and dicts.

        All processes of a run must call this together; all get the same state.
        """
        generators = self.ranks.gather(lambda: [generator_state(rng) for rng in self.generators])
        return {
            "model": self.model.state_dict(),
            "optimizer": [type(self.optimizer).__name__, self.optimizer.state_dict()],
            "schedule": None if self.pace.schedule is None else self.pace.schedule.state_dict(),
            "data": self.data.state_dict(),
            "history": self.history.state_dict(),
            "carried": self.carried.whole(),
            "generators": generators[0],
            "generators_of_other_processes": generators[1:],
            "validation": None if self.validation is None else self.validation.state_dict(),
            "callbacks": [callback.state_dict() for callback in self._callbacks_with_state()],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state that ``state_dict`` returned; if anything in it doesn't fit, nothing changes.

        Raises:
            ValueError: the state belongs to a run with another model, optimiser, data or options.
        """
        before = self.state_dict()
        try:
            self._load(state)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
            self._load(before)
            raise ValueError(f"this checkpoint is not one of this run: {printable(str(error)):.500}") from error

    def _load(self, state: Mapping[str, Any]) -> None:
        kind, optimizer = state["optimizer"]
        callbacks = self._callbacks_with_state()
        by_first = self.ranks.rank > 0 and not callbacks  # the first process alone may have callbacks
        if kind != type(self.optimizer).__name__:
            raise ValueError(f"its optimiser is {kind}, not {type(self.optimizer).__name__}")
        for name, saved, own in (
            ("random generators", len(state["generators"]), len(self.generators)),
            ("callbacks with a state", len(state["callbacks"]), len(state["callbacks"] if by_first else callbacks)),
            ("schedules", int(state["schedule"] is not None), int(self.pace.schedule is not None)),
            ("validations", int(state["validation"] is not None), int(self.validation is not None)),
        ):
            if saved != own:
                raise ValueError(f"it has {saved} {name}, where this run has {own}")
        self.data.load_state_dict(state["data"])
        if self.validation is not None:
            self.validation.load_state_dict(state["validation"])
            if self.validation.best_weights is not None:
                self.model.load_state_dict(self.validation.best_weights)  # only to check that they fit
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(optimizer)
        if self.pace.schedule is not None:
            self.pace.schedule.load_state_dict(state["schedule"])
        self.history.load_state_dict(state["history"])
        self._load_generators(state)
        for callback, saved in zip(callbacks, state["callbacks"]):
            callback.load_state_dict(saved)
        carried = state["carried"]
        self.carried.restore(None if carried is None else [np.asarray(part) for part in carried])
        self._saved_step = self.step

    def _load_generators(self, state: Mapping[str, Any]) -> None:
        """Load the generators of each process; if their number changed, all but the first start anew."""
        every = [state["generators"], *state.get("generators_of_other_processes", [])]
        same = len(every) == self.ranks.size
        for rng, saved in zip(self.generators, every[self.ranks.rank if same else 0], strict=True):
            restore_generator(rng, saved)
        if not same:
            self.draw_apart()

    def draw_apart(self) -> None:
        """Make the generators of every process but the first draw other numbers: their columns of a batch differ."""
        for number, rng in enumerate(self.generators if self.ranks.rank else []):
            seed = np.random.SeedSequence([self.ranks.rank, number, int(rng.integers(2**31))])
            rng.bit_generator.state = type(rng.bit_generator)(seed).state

    def _callbacks_with_state(self) -> list[Any]:
        return [callback for callback in self.callbacks if hasattr(callback, "state_dict")]


def _on_host(state: Any) -> Any:
    """A carried state with its arrays moved from a device to NumPy."""
    return tree_map(lambda a: np.array(a) if hasattr(a, "devices") else a, state)


def _is_finite(gradient: Any) -> bool:
    """Return True if there is neither NaN nor infinity in a gradient: the sum of squares is a quick test."""
    flat = np.ravel(gradient)
    return bool(np.isfinite(np.dot(flat, flat)) or np.isfinite(flat).all())


def endless(data: Epochs) -> Iterator[Draft]:
    """The batches of one epoch after another, before their arrays are made."""
    while True:
        yield from data.drafts()

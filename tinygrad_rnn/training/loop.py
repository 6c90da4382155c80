"""``fit``: the one function that trains."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np

from ..autodiff.did_you_mean import keywords_told
from ..autodiff.memory import keep_freed_memory
from ..autodiff.scope import changed
from ..data import Epochs
from ..nn import Module
from ..nn.calling import batch_first
from ..optim import Optimizer, ReduceLROnPlateau, Schedule
from .alike import facts_of
from .checkpoints import Checkpoints
from .choices import (
    as_batches,
    as_callbacks,
    as_loss,
    as_metrics,
    as_optimizer,
    as_schedule,
    check_model,
    check_numbers,
)
from .compiled_layers import compiled_layers, layers_to_compile, many_lengths, say_not_compiled
from .history import History
from .limits import Limits
from .metrics import Metrics
from .prediction import Loss, Predict
from .prediction import predict as call_model
from .progress import Progress
from .ranks import Alone, Ranks
from .run import Run
from .sharing import Sharing, Weight
from .updates import Clipping, Pace
from .validation import Validation


@keywords_told
def fit(
    model: Module,
    data: Any,
    loss: Loss | str,
    optimizer: Any = "adam",
    *,
    lr: float | None = None,
    batch_size: int | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    threshold: float | None = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    schedule: Schedule | ReduceLROnPlateau | Callable[[Optimizer], Any] | None = None,
    schedule_by: str = "step",
    validation: Any = None,
    validate_every: int | None = None,
    patience: int | None = None,
    min_improvement: float = 0.0,
    metrics: Mapping[str, Loss | str] | Iterable[str] | None = None,
    checkpoints: Checkpoints | str | os.PathLike[str] | None = None,
    resume: bool = False,
    callbacks: Callable[[Run], None] | Iterable[Callable[[Run], None]] = (),
    generators: Iterable[np.random.Generator] = (),
    predict: Predict = call_model,
    executor: str | None = "numpy",
    whole_step: bool = False,
    devices: int | None = None,
    progress: bool | str | None = None,
    unit: str = "steps",
    accumulate: int = 1,
    communicator: Any = None,
    weight: Weight | str | None = None,
) -> History:
    """Train a model.

    Args:
        model: the model, called as ``predict`` says.
        data: inputs and targets, ``(X, y)``: X is a list of sequences (T_n, n), padded if they differ in length, an
            array (N, T, n), or (N, n) of vectors; y holds a target for each, or a sequence of targets. They become
            batches of ``batch_size``, time first, and are shuffled for every epoch. Or ``data.Batches`` or
            ``data.StreamBatches``, where the state is carried, detached, from batch to batch: truncated BPTT.
        loss: ``loss(prediction, targets)``, one number: a mean over the targets; or its name, such as "cross_entropy".
        optimizer: the optimiser of the model's parameters; or the name of one, such as "adam".
        lr: the learning rate of an optimiser given by name; by default the optimiser's own.
        batch_size: the number of examples of ``(X, y)`` in a batch; 32 by default.
        epochs: stop after this number of passes through the data. This and the other limits count from the run's
            beginning, through all interruptions.
        steps: stop after this number of batches.
        seconds: stop after this time.
        threshold: stop when the mean loss of an epoch is below this.
        clip_norm: the largest norm of all gradients together; larger ones are scaled down before the update.
        clip_value: the largest absolute value of each element of the gradients.
        schedule: a schedule of the optimiser's learning rate, or a function that makes one for the optimiser.
            ``ReduceLROnPlateau`` looks at each validation loss or, without validation, at the mean loss of each epoch;
            all others count steps.
        schedule_by: "epoch" if the schedule counts epochs instead of steps.
        validation: batches to validate on, or a pair ``(X, y)``. At the end the model gets the weights with the lowest
            validation loss.
        validate_every: the number of steps between validations; by default an epoch.
        patience: the number of validations in a row without improvement after which training stops.
        min_improvement: the smallest decrease of the validation loss that counts as an improvement.
        metrics: further measures of every batch, and in validation: functions of ``(prediction, targets)`` by name,
            such as ``{"accuracy": training.accuracy}``, or names, such as "accuracy". Like a loss, each is a mean over
            the targets, and gets ``lengths=`` if it has that parameter. See ``History.metrics``.
        checkpoints: a folder to save the run in, every minute, at the end and on Ctrl-C; or ``Checkpoints``, for
            another interval.
        resume: continue from the newest complete checkpoint in that folder, if any. The weights will be, bit for
            bit, those of a run that was never interrupted, if ``executor`` is the same and the model itself gives the
            same bits every time. (A cell compiled with ``executor="auto"`` doesn't: it switches to machine code
            as soon as that is ready; and "auto:20" counts the calls anew after an interruption.)
        callbacks: functions called with the run after every step, such as ``CSVLogger`` and ``TensorBoardLogger``;
            ``run.stop("why")`` ends it. A callback with ``state_dict`` and ``load_state_dict`` is saved with the run; a
            callback with ``close`` is closed at its end.
        generators: random generators that your own code draws from while it trains, to be saved with the run. Those of
            the data, and those that are attributes of the model's modules, are saved anyway.
        predict: a function that calls the model with a batch and a state; see ``training.predict``.
        executor: the executor of the loops over time of the model's recurrent layers (``RNN``, ``LSTM``, ``GRU``,
            ``Recurrent``), compiled while it trains (see ``tinygrad_rnn.compile``): "numpy"; "llvm", faster still,
            after some seconds for compiling, also in the optimiser's update; "jax", on JAX's devices; None: don't
            compile. A cell that can't be compiled runs as it is. One plan serves batches of all lengths; on JAX each
            length needs its own plan, so data with more than 16 lengths run uncompiled there.
        whole_step: True to compile model and loss as one function, so that nothing eager is left around the
            loops: the smaller the model, the larger the gain. Side effects of the model (printing, storing values)
            then happen during tracing and not at every step. A model that can't be compiled, because it draws random
            numbers or looks at the lengths of padded sequences, runs as without this. With "jax" the weights and the
            optimiser's state stay on the device: a step moves a batch there, and three numbers back.
        devices: with "jax" and ``whole_step``: the number of JAX's devices that compute the parts of each batch.
        progress: True for a progress bar; by default on a terminal and in a notebook. "lines" writes a line every few
            seconds instead, for a log.
        unit: the unit that the progress bar counts per second: "steps", or a name for the inputs, such as "characters".
        accumulate: k, the number of parts in which each batch is computed, one after the other: a k-th of the memory
            for activations, the same update up to rounding.
        communicator: mpi4py's, such as ``MPI.COMM_WORLD``: its processes share each batch, and make the same update as
            one process would, up to rounding; see docs/scale.md. Each process draws different random numbers.
        weight: the weight of a part of a batch, a function of a ``Batch``: the number of targets that its loss is a
            mean over; or "sum" for a loss that is a sum. By default all targets but the padding and those that the
            loss ignores: its options, also those of a ``functools.partial``, say so (``ignore_index``, ``weight``).

    Returns:
        The history of the run.

    Warns:
        UserWarning: parts of the model would draw the same random numbers, because they were made with the same seed;
            or something can't be compiled, with the reason (``History.not_compiled`` keeps it, too).

    Raises:
        TrainingDiverged: the loss or a gradient became infinite or NaN; the model has the last good weights.
        TrainingInterrupted: Ctrl-C (a KeyboardInterrupt); the current step was finished first.
        FileExistsError: the folder holds checkpoints of an earlier run, and ``resume`` wasn't asked for.
        OSError: the folder can't be written to, or another run has it; or the disk was full at the end.
        TypeError: the model, the data, the loss, the optimiser or a metric has the wrong type.
        ValueError: something else is wrong: no limit, an unknown name, an optimiser of other parameters, a checkpoint
            of another run, only damaged checkpoints; a loss whose parts don't add up to the whole; processes that were
            started with different models, data or settings.
        RankFailed: another process of the run failed.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn, training
        >>> class Mean(nn.Module):
        ...     def __init__(self):
        ...         self.w = nn.Parameter(np.zeros(1))
        ...     def forward(self, x):
        ...         return x.mean(axis=0) + self.w
        >>> model = Mean()
        >>> X, y = np.zeros((4, 3, 1)), np.ones((4, 1))
        >>> history = training.fit(model, (X, y), "mse", "sgd", lr=0.1, threshold=1e-6)
        >>> history.stopped
        'the loss, 9.808e-07, is below the threshold of 1e-06'
        >>> model.w.data.round(2)
        array([1.])
    """
    keep_freed_memory()
    ranks = Alone() if communicator is None else Ranks(communicator)
    if isinstance(checkpoints, (str, os.PathLike)):
        checkpoints = Checkpoints(checkpoints)
    limits = Limits(epochs, steps, seconds, threshold)
    numbers = {"clip_norm": clip_norm, "clip_value": clip_value, "min_improvement": min_improvement, "lr": lr}
    numbers |= {"validate_every": validate_every, "patience": patience, "accumulate": accumulate, **limits._asdict()}

    def begin() -> Run:
        check_numbers(numbers)
        limits.check()
        _check_devices(devices, executor, whole_step, ranks.size)
        check_model(model)
        _check(predict, schedule_by, validation, patience, resume, checkpoints)
        batches = as_batches(model, data, predict, batch_size, shuffled=True)
        size = None if isinstance(validation, Epochs) else batch_size
        unseen = None if validation is None else as_batches(model, validation, predict, size)
        first = batches is not data and batch_first(model)
        criterion = as_loss(loss, batch_first=first)
        updating = as_optimizer(optimizer, model.parameters(), lr)
        _check_parameters(model, updating)
        measured = Metrics(as_metrics(metrics, batch_first=first))
        if measured.names and whole_step:
            raise ValueError("fit: metrics need every prediction, and whole_step=True returns none; leave it out")
        validated = None
        if unseen is not None:
            intervals = (validate_every, patience, min_improvement)
            validated = Validation(unseen, criterion, predict, measured, weight, *intervals)
        return Run(
            model,
            batches,
            criterion,
            updating,
            limits=limits,
            predict=predict,
            step_executor=executor if whole_step and not many_lengths(executor, batches, unseen) else None,
            devices=devices,
            clipping=Clipping(clip_norm, clip_value),
            pace=Pace(as_schedule(schedule, updating), schedule_by),
            validation=validated,
            metrics=measured,
            checkpoints=checkpoints,
            callbacks=as_callbacks(callbacks),
            generators=list(generators),
            ranks=ranks,
            sharing=Sharing(batches, ranks.rank, ranks.size, accumulate * (devices or 1), weight, criterion),
        )

    with ranks.together(), ExitStack() as stack:
        run = ranks.everywhere(begin)
        unseen = None if run.validation is None else run.validation.data
        settings: dict[str, Any] = {**numbers, "schedule_by": schedule_by, "executor": executor}
        settings |= {"whole_step": whole_step, "resume": resume, "checkpoints": checkpoints is not None}
        settings["metrics"] = run.metrics.names
        parts = (model, run.optimizer, run.data, unseen, run.loss, run.pace.schedule)
        ranks.check_same(lambda: facts_of(*parts, settings))
        lengths = many_lengths(executor, run.data, unseen)
        if lengths and (whole_step or layers_to_compile(model)):
            say_not_compiled(run.history, "the model", lengths)
        model.train()
        stack.enter_context(compiled_layers(model, None if lengths else executor, run.history))
        if executor in ("llvm", "numba") and importlib.util.find_spec("llvmlite"):
            stack.enter_context(changed(run.optimizer, executor="llvm"))
        if checkpoints is None or not _resumed(checkpoints, run, resume, stack):
            run.draw_apart()
        run.train(Progress(run.history, limits, len(run.data), unit, progress if ranks.rank == 0 else False))
    return run.history


def _resumed(checkpoints: Checkpoints, run: Run, resume: bool, stack: ExitStack) -> bool:
    """Resume a run if that is asked for and there is a checkpoint. Only the first process has the folder."""

    def newest() -> Any:
        if run.ranks.rank != 0:
            return None
        stack.enter_context(checkpoints)
        if not resume and not checkpoints.empty():
            raise FileExistsError(
                f"{checkpoints.folder} holds the checkpoints of an earlier run. Pass resume=True to go on with it, or "
                "give this run a folder of its own."
            )
        return checkpoints.newest() if resume else None

    found = run.ranks.gather(newest)[0]
    if found is None:
        return False
    step, state = found

    def load() -> None:
        try:
            run.load_state_dict(state)
        except ValueError as error:
            raise ValueError(f"{checkpoints.path_of(step)}: {error}") from error

    run.ranks.everywhere(load)
    return True


def _check(
    predict: Any, schedule_by: str, validation: Any, patience: int | None, resume: bool, checkpoints: Any
) -> None:
    """Raise an error for arguments that would train nothing, or that need another argument."""
    if not callable(predict):
        raise TypeError(f"fit: predict is a function of (model, batch, state), not a {type(predict).__name__}")
    if checkpoints is not None and not isinstance(checkpoints, Checkpoints):
        raise TypeError(f"fit: checkpoints is the path of a folder, or Checkpoints, not {checkpoints!r:.80}")
    if schedule_by not in ("step", "epoch"):
        raise ValueError(f"fit: schedule_by is 'step' or 'epoch', not {schedule_by!r}")
    if patience is not None and validation is None:
        raise ValueError("fit: patience= counts validations; pass validation= data too")
    if resume and checkpoints is None:
        raise ValueError("fit: resume=True needs the folder to resume from; pass checkpoints= too")


def _check_devices(devices: int | None, executor: str | None, whole_step: bool, processes: int) -> None:
    """Raise an error for ``devices`` if none would be used."""
    if devices is None:
        return
    if devices < 1:
        raise ValueError(f"fit: devices={devices}: it needs one at least")
    if executor != "jax" or not whole_step:
        raise ValueError('fit: devices= are JAX\'s; pass executor="jax" and whole_step=True, too')
    if processes > 1:
        raise ValueError("fit: devices= and communicator= both share out batches; use one of them")


def _check_parameters(model: Module, optimizer: Optimizer) -> None:
    """Raise an error for an optimiser that would leave the model unchanged."""
    own = {id(parameter) for parameter in model.parameters()}
    if not any(id(parameter) in own for parameter in optimizer.parameters):
        raise ValueError("fit: the optimiser has none of the model's parameters; make it with model.parameters()")

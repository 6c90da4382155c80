"""``fit``: the one function that trains."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np

from ..autodiff.allocator import keep_freed_memory
from ..data import Epochs
from ..nn import Module
from ..nn.calling import batch_first
from ..optim import Optimizer, ReduceLROnPlateau, Schedule
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
from .compiled_layers import compiled_layers, layers_in_one_go, many_lengths, say_not_compiled
from .history import History
from .limits import Limits
from .metrics import Metrics
from .prediction import Loss, Predict
from .prediction import predict as call_model
from .progress import Progress
from .ranks import Alone, Ranks
from .run import Run
from .sharing import Sharing, Weight, facts_of
from .updates import Clipping, Pace
from .validation import Validation


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
    weight: Weight | None = None,
) -> History:
    """Train a model.

    Args:
        model: the model, called as ``predict`` says.
        data: inputs and targets, ``(X, y)``: X is a list of sequences (T_n, n), padded if they differ in length, an
            array (N, T, n), or (N, n) of vectors; y holds a target for each, or a sequence of them. They are made into
            batches of ``batch_size``, time first, and shuffled anew for every epoch. Or ``data.Batches`` or
            ``data.StreamBatches``, where the state is carried, detached, from batch to batch: truncated BPTT.
        loss: ``loss(prediction, targets)``, one number: a mean over the targets; or its name, such as "cross_entropy".
        optimizer: the optimiser of the model's parameters; or the name of one, such as "adam".
        lr: the learning rate of an optimiser that is named; by default its own.
        batch_size: how many examples of ``(X, y)`` one update learns from; 32 by default.
        epochs: stop after so many times through the data. This and the other limits count from the run's beginning,
            through all interruptions.
        steps: stop after so many batches.
        seconds: stop after so long.
        threshold: stop when the mean loss of an epoch is below this.
        clip_norm: scale the gradients down before each update if the norm of all together is larger.
        clip_value: cut every element of the gradients to this absolute value.
        schedule: a schedule of the optimiser's learning rate, or a function that makes one of the optimiser.
            ``ReduceLROnPlateau`` looks at each validation loss or, without validation, at the mean loss of each epoch;
            all others count steps.
        schedule_by: "epoch" if the schedule is to count epochs instead of steps.
        validation: batches to validate on, or a pair ``(X, y)``. At the end the model gets the weights with the lowest
            validation loss.
        validate_every: validate after so many steps; by default after each epoch.
        patience: early stopping: stop when so many validations in a row bring no improvement.
        min_improvement: by how much the validation loss must fall to count as an improvement.
        metrics: what else to measure of every batch, and in validation: functions of ``(prediction, targets)`` by name,
            such as ``{"accuracy": training.accuracy}``, or names, such as "accuracy". Like a loss, each is a mean over
            the targets, and is told ``lengths=`` if it asks. See ``History.metrics``.
        checkpoints: a folder to save the run in, every minute, at the end and on Ctrl-C; or ``Checkpoints``, which say
            how often.
        resume: go on from the newest whole checkpoint in that folder, if there is one. The weights will be, bit for
            bit, those of a run that was never interrupted, if ``executor`` is the same and the model itself gives the
            same bits every time. (A cell compiled with ``executor="auto"`` doesn't: it changes over to machine code
            whenever that is ready.)
        callbacks: functions called with the run after every step, such as ``CSVLogger`` and ``TensorBoardLogger``;
            ``run.stop("why")`` ends it. What has a ``state_dict`` and a ``load_state_dict`` is saved with the run; what
            has a ``close`` is closed at its end.
        generators: random generators that your own code draws from while it trains, to be saved with the run. Those of
            the data, and those that are attributes of the model's modules, are saved anyway.
        predict: how the model is called with a batch and a state; see ``training.predict``.
        executor: what runs the loops over time of the model's recurrent layers (``RNN``, ``LSTM``, ``GRU``,
            ``Recurrent``), compiled while it trains (see ``tinygrad_rnn.compile``): "numpy"; "numba", faster still,
            after some seconds for compiling; "jax", on JAX's devices; None: nothing, don't compile. A cell that can't
            be compiled runs as it is. One plan serves batches of all lengths; on JAX each length needs one of its own,
            so data of more than 16 lengths run as they are there.
        whole_step: whether to compile the model and its loss as one function, so that nothing eager is left around the
            loops: faster the smaller the model is. What the model does besides computing (it prints, it stores values)
            then happens while it is traced and not at every step. A model that can't be compiled, as it draws random
            numbers or looks at the lengths of padded sequences, runs as without. With "jax" the weights and the
            optimiser's state stay on the device: a step moves a batch there, and three numbers back.
        devices: with "jax" and ``whole_step``: on how many of JAX's devices to compute the parts of each batch.
        progress: whether to show a progress bar; by default on a terminal only. "lines" writes a line every few seconds
            instead, for a log.
        unit: what the progress bar counts per second: "steps", or what the inputs are, such as "characters".

        accumulate: in how many parts to compute each batch, one after the other: as many times less memory for
            activations, the same update to rounding.
        communicator: mpi4py's, such as ``MPI.COMM_WORLD``: its processes share each batch, and make the same update as
            one process would, to rounding; see docs/scale.md. What draws random numbers draws others on each.
        weight: what a batch counts for if it is put together from parts: how many targets its loss is a mean over, a
            function of a ``Batch``. By default all targets but the padding and, for a
            ``functools.partial(loss, ignore_index=...)``, those that are ignored.

    Returns:
        What was done.

    Warns:
        UserWarning: Parts of the model would draw the same random numbers, as they were made with the same seed; or
            something can't be compiled, and why (``History.not_compiled`` keeps it, too).

    Raises:
        TrainingDiverged: the loss or a gradient became infinite or NaN; the model has the last good weights.
        TrainingInterrupted: Ctrl-C (a KeyboardInterrupt); the step in hand was finished first.
        FileExistsError: the folder holds checkpoints of an earlier run, and ``resume`` wasn't asked for.
        OSError: the folder can't be written to, or another run has it; or the disk was full at the end.
        TypeError: the model, the data, the loss, the optimiser or a metric is something else.
        ValueError: something else doesn't fit: no limit, a name that there isn't, an optimiser of other parameters, a
            checkpoint of another run, damaged checkpoints alone; a loss that parts of a batch don't add up to;
            processes that were begun with different models, data or settings.
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
            raise ValueError("fit: metrics look at every prediction, which whole_step=True gives none of; leave it out")
        every: dict[str, Any] = {"every": validate_every, "patience": patience, "min_improvement": min_improvement}
        every |= {"metrics": measured, "weight": weight}
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
            validation=None if unseen is None else Validation(unseen, criterion, predict, **every),
            metrics=measured,
            checkpoints=checkpoints,
            callbacks=as_callbacks(callbacks),
            generators=generators,
            ranks=ranks,
            sharing=Sharing(batches, ranks.rank, ranks.size, accumulate * (devices or 1), weight, criterion),
        )

    with ranks.together(), ExitStack() as stack:
        run = ranks.everywhere(begin)
        unseen = None if run.validation is None else run.validation.data
        settings = (limits, run.clipping, schedule_by, validate_every, patience, min_improvement)
        how = (executor, whole_step, accumulate, resume, run.metrics.names)
        ranks.check_same(lambda: facts_of(model, run.optimizer, run.data, unseen, *settings, *how))
        lengths = many_lengths(executor, run.data, unseen)
        if lengths and (whole_step or layers_in_one_go(model)):
            say_not_compiled(run.history, "the model", lengths)
        model.train()
        stack.enter_context(compiled_layers(model, None if lengths else executor, run.history))
        if checkpoints is None or not _resumed(checkpoints, run, resume, stack):
            run.draw_apart()
        run.train(Progress(run.history, limits, len(run.data), unit, progress if ranks.rank == 0 else False))
    return run.history


def _resumed(checkpoints: Checkpoints, run: Run, resume: bool, stack: ExitStack) -> bool:
    """Resume a run if that is asked for and there is something to resume. The first process has the folder."""

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
    """Refuse what would train nothing, or ask for what isn't there."""
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
    """Refuse several devices where none would be used."""
    if devices is None:
        return
    if devices < 1:
        raise ValueError(f"fit: devices={devices}: it needs one at least")
    if executor != "jax" or not whole_step:
        raise ValueError('fit: devices= are JAX\'s; pass executor="jax" and whole_step=True, too')
    if processes > 1:
        raise ValueError("fit: devices= and communicator= both share out batches; use one of them")


def _check_parameters(model: Module, optimizer: Optimizer) -> None:
    """Refuse an optimiser that would leave the model as it is."""
    own = {id(parameter) for parameter in model.parameters()}
    if not any(id(parameter) in own for parameter in optimizer.parameters):
        raise ValueError("fit: the optimiser has none of the model's parameters; make it with model.parameters()")

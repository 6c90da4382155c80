"""The contest: every contender in a process of its own, checked first, then timed in turn.

Thread pools that share a process disturb each other by factors, and a machine's speed drifts by the
minute. So each contender keeps a process for itself, all are prepared and their numbers checked,
and then the processes take turns for several rounds: what disturbs one round disturbs all alike.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np

from .processes import Worker, WorkerError, child_environment

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """Something to compute: one training step on given arrays.

    Attributes:
        name: What the tables call it.
        task: The function of a contender's module that builds the step.
        sizes: The sizes, in words.
        inputs: Makes the arrays, by the names of the task's arguments.
        answer: From those arrays, in float64, `loss` and `d_NAME` for every gradient.
        tolerance: The largest deviation from the answer, relative to its largest element.
        options: The task's other arguments.
        operations: How many equal operations one step does; times are given for one of them.
        goals: The ratio to the baseline that a contender is meant to reach, by label.
    """

    name: str
    task: str
    sizes: str
    inputs: Callable[[], Arrays]
    answer: Callable[..., Arrays]
    tolerance: float
    options: Mapping[str, int] = field(default_factory=dict)
    operations: int = 1
    goals: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Contender:
    """One way to compute a case.

    Attributes:
        label: What the tables call it.
        module: Where its tasks are (see `benchmarks.contenders`).
        floor: It does only what nobody can avoid, so it has no numbers to check.
        environment: What its process needs in its environment beyond the thread counts.
    """

    label: str
    module: str
    floor: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Effort:
    """How long to measure: so many rounds, each of so many seconds, on so many threads."""

    rounds: int = 9
    seconds: float = 0.3
    threads: int = 1


@dataclass
class Result:
    """What came of one contender in one case: times of an operation in seconds, or a problem."""

    contender: Contender
    problem: str | None = None
    deviation: float = 0.0
    first_call: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    pools: Sequence[str] = ()
    seconds: list[float] = field(default_factory=list)
    faults: list[float] = field(default_factory=list)

    def record(self, prepared: Mapping[str, Any]) -> None:
        """Take over what a worker told when it was prepared."""
        self.first_call = prepared["first_call"]
        self.versions = prepared["versions"]
        self.pools = prepared["pools"]

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        if len(self.seconds) < 2:
            return self.median, self.median
        low, _, high = quantiles(self.seconds, n=4, method="inclusive")
        return low, high


def deviation(numbers: Path, answer: Arrays, dtype: np.dtype[Any], tolerance: float) -> float:
    """The largest deviation of loss and gradients in a file, each relative to its largest element.

    Raises:
        WorkerError: The numbers are not those of this case: one is missing or too many, has another
            shape or precision (who computes in float64 runs another race), or is wrong.
    """
    if not numbers.exists():
        raise WorkerError("refused: returned no numbers")
    found = dict(np.load(numbers))
    if found.keys() != answer.keys():
        raise WorkerError(f"refused: computed {sorted(found)}, not {sorted(answer)}")
    worst = 0.0
    for name, expected in answer.items():
        got = found[name]
        if got.shape != expected.shape:
            raise WorkerError(f"refused: {name} has shape {got.shape}, not {expected.shape}")
        if name != "loss" and got.dtype != dtype:
            raise WorkerError(f"refused: {name} is {got.dtype}, not {dtype}")
        relative = float(np.max(np.abs(got - expected)) / np.max(np.abs(expected)))
        if not relative <= tolerance:  # written so that nan is refused
            raise WorkerError(f"refused: {name} is off by {relative:.1e}, allowed {tolerance:.0e}")
        worst = max(worst, relative)
    return worst


def contest(case: Case, contenders: Sequence[Contender], effort: Effort) -> list[Result]:
    """Prepare, check and time every contender in a case; those that can't take part say why."""
    results = [Result(contender) for contender in contenders]
    inputs = case.inputs()
    answer = case.answer(**inputs, **case.options)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        np.savez(folder / "inputs.npz", **inputs)  # type: ignore[arg-type]
        request = {
            "do": "prepare",
            "task": case.task,
            "inputs": str(folder / "inputs.npz"),
            "options": dict(case.options),
            "threads": effort.threads,
        }
        admitted = []
        for index, result in enumerate(results):
            contender = result.contender
            print(f"{case.name}: preparing {contender.label}", file=sys.stderr)
            arguments = ["-m", "benchmarks.worker", contender.module]
            environment = child_environment(effort.threads, contender.environment)
            worker = stack.enter_context(Worker(arguments, environment))
            numbers = folder / f"{index}.npz"
            try:
                result.record(worker.ask(**request, numbers=str(numbers)))
                if not contender.floor:
                    (dtype,) = {array.dtype for array in inputs.values() if array.dtype.kind == "f"}
                    result.deviation = deviation(numbers, answer, dtype, case.tolerance)
            except WorkerError as problem:
                result.problem = str(problem)
            else:
                admitted.append((worker, result))
        take_turns(case, admitted, effort)
    return results


def take_turns(case: Case, admitted: Sequence[tuple[Worker, Result]], effort: Effort) -> None:
    """Time every admitted contender once in each round."""
    for turn in range(effort.rounds):
        print(f"{case.name}: round {turn + 1} of {effort.rounds}", file=sys.stderr)
        for worker, result in admitted:
            if result.problem:
                continue
            try:
                timed = worker.ask(do="time", seconds=effort.seconds)
            except WorkerError as problem:
                result.problem = str(problem)
            else:
                result.seconds.append(timed["seconds"] / case.operations)
                result.faults.append(timed["faults"])

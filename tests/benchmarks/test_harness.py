"""The contest refuses wrong numbers, lets the absent be absent, and keeps its processes clean."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness import Arrays, Case, Contender, Effort, Result, contest, deviation
from benchmarks.processes import Worker, WorkerError, child_environment
from benchmarks.report import case_table, duration
from benchmarks.tasks import SIZES, chain, elman, elman_answer

SHORT = Effort(rounds=2, seconds=0.001)
RIGHT = "def square(x):\n    return lambda: (float(sum(x * x)), {'x': 2 * x})\n"


def squares() -> Case:
    """A case so small that a contender is one line."""

    def answer(x: np.ndarray) -> Arrays:
        return {"loss": np.asarray(np.sum(x * x)), "d_x": 2 * x}

    return Case("squares", "square", "3 values", lambda: {"x": np.arange(3.0)}, answer, 1e-12)


@pytest.fixture
def compete(tmp_path: Path):
    """Lets one contender, given as source, take part in the case of squares."""

    def run(source: str, floor: bool = False) -> Result:
        (tmp_path / "rival.py").write_text("PACKAGES = ('numpy',)\n" + source)
        rival = Contender("rival", "rival", floor, {"PYTHONPATH": str(tmp_path)})
        (result,) = contest(squares(), [rival], SHORT)
        return result

    return run


def test_right_numbers_are_timed(compete) -> None:
    result = compete(RIGHT)
    assert result.problem is None
    assert len(result.seconds) == len(result.faults) == SHORT.rounds
    assert 0 < result.median < result.first_call + 1
    assert result.versions == {"numpy": np.__version__}


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (RIGHT.replace("2 * x", "2.000001 * x"), "refused: d_x is off"),
        (RIGHT.replace("2 * x", "x * float('nan')"), "refused: d_x is off"),
        (RIGHT.replace("float(sum", "-float(sum"), "refused: loss is off"),
        (RIGHT.replace("2 * x", "(2 * x).astype('float32')"), "refused: d_x is float32"),
        (RIGHT.replace("2 * x", "(2 * x)[:, None]"), "refused: d_x has shape"),
        (RIGHT.replace("'x'", "'y'"), "refused: computed"),
        ("def square(x):\n    return lambda: None\n", "refused: returned no numbers"),
        ("def other(x):\n    pass\n", "takes no part"),
        ("import no_such_library\n", "not installed"),
        ("def square(x):\n    raise RecursionError('too deep')\n", "failed (RecursionError"),
        ("def square(x):\n    import os; os._exit(3)\n", "exit status 3"),
    ],
)
def test_others_say_why_they_are_not_timed(compete, source: str, reason: str) -> None:
    result = compete(source)
    assert result.problem is not None and reason in result.problem
    assert not result.seconds
    assert reason in case_table(squares(), [result], baseline="rival")


def counting(body: str) -> str:
    """A contender that knows how often it was called."""
    return (
        "calls = []\n"
        "def step(x):\n"
        f"    calls.append(1)\n    {body}\n"
        "    return float(sum(x * x)), {'x': 2 * x}\n"
        "def square(x):\n    return lambda: step(x)\n"
    )


def test_gradients_that_pile_up_from_step_to_step_are_refused(compete) -> None:
    piling = counting("return float(sum(x * x)), {'x': 2 * x * len(calls)}")
    assert "refused: d_x" in compete(piling).problem


def test_who_fails_while_it_is_timed_has_a_problem_and_sets_no_baseline(compete) -> None:
    failed = compete(counting("assert len(calls) < 9, 'nine is too much'"))
    assert "nine is too much" in failed.problem
    healthy = Result(Contender("healthy", "b"), seconds=[1.0], faults=[0.0])
    assert "| healthy | 1.00 s | 1.00 s to 1.00 s |  |" in case_table(squares(), [failed, healthy], baseline="rival")


def test_a_floor_has_no_numbers_to_check(compete) -> None:
    result = compete("def square(x):\n    return lambda: None\n", floor=True)
    assert result.problem is None and len(result.seconds) == SHORT.rounds


def test_what_a_contender_prints_does_not_disturb_the_talk(compete) -> None:
    assert compete("print('hello')\n" + RIGHT).problem is None


def test_children_see_thread_counts_and_no_other_blas_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    environment = child_environment(3, {"EXTRA": "yes"})
    assert environment["OPENBLAS_NUM_THREADS"] == environment["OMP_NUM_THREADS"] == "3"
    assert "OPENBLAS_CORETYPE" not in environment
    assert environment["EXTRA"] == "yes"
    assert environment["PATH"] == os.environ["PATH"]


def test_a_worker_that_cannot_start_is_an_error_not_a_hang() -> None:
    worker = Worker(["-c", "raise SystemExit('no such thing')"], child_environment(1))
    with worker, pytest.raises(WorkerError, match="no such thing"):
        worker.ask(do="time", seconds=0.0)


def test_goals_are_judged_against_the_baseline() -> None:
    fast, slow = Contender("fast", "a"), Contender("slow", "b")
    results = [Result(fast, seconds=[1.0, 3.0, 2.0]), Result(slow, seconds=[4.0, 4.0, 4.0])]
    for result in results:
        result.faults = [0.0]
    case = Case("c", "t", "", dict, dict, 0.0, goals={"fast": 0.4})
    assert "Goal: at most 0.40 of slow. Missed: 0.500." in case_table(case, results, "slow")
    results[0].seconds = [1.0]
    assert "Reached: 0.250." in case_table(case, results, "slow")


@pytest.mark.parametrize("name", ["U", "W", "b"])
def test_the_elman_answer_agrees_with_finite_differences(name: str) -> None:
    inputs = {key: a.astype(np.float64) for key, a in elman("S", {}).inputs().items()}
    direction = np.random.default_rng(1).normal(size=inputs[name].shape)
    step = 1e-6

    def loss(sign: int) -> float:
        moved = {**inputs, name: inputs[name] + sign * step * direction}
        return float(elman_answer(**moved)["loss"])

    expected = (loss(1) - loss(-1)) / (2 * step)
    found = np.sum(elman_answer(**inputs)[f"d_{name}"] * direction)
    assert found == pytest.approx(expected, rel=1e-8)


def test_cases_start_from_the_same_arrays_every_time() -> None:
    for case in (chain(3, {}), *(elman(size, {}) for size in SIZES)):
        first, second = case.inputs(), case.inputs()
        assert all(np.array_equal(first[name], second[name]) for name in first)


def test_deviation_is_relative_to_the_largest_element(tmp_path: Path) -> None:
    answer = {"loss": np.asarray(1.0), "d_x": np.array([100.0, 0.001])}
    np.savez(tmp_path / "numbers.npz", loss=1.0, d_x=np.array([100.0, 0.002]))
    assert deviation(tmp_path / "numbers.npz", answer, np.dtype(float), 1e-4) == pytest.approx(1e-5)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.5, "2.50 s"), (0.0123, "12.3 ms"), (1e-4, "100 µs"), (2e-6, "2.00 µs"), (5e-8, "0.05 µs")],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text

"""The lines that can be at fault, and what they have to give, for edits of derivations whose lines are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.comparison.diagnosis.at_fault import AtFault
from tinygrad_rnn.comparison.diagnosis.equal_instances import with_equal_instances
from tinygrad_rnn.comparison.diagnosis.reweighted import reweighted
from tinygrad_rnn.comparison.diagnosis.situation import Situation
from tinygrad_rnn.comparison.diagnosis.two_of_one_line import two_of_one_line
from tinygrad_rnn.comparison.measures import Tolerance
from tinygrad_rnn.derivation.edits.editing import Bench
from tinygrad_rnn.derivation.edits.edits import Edit, edits_of, edits_of_edited
from tinygrad_rnn.derivation.edits.hand import Hand
from tinygrad_rnn.derivation.equations.arithmetic import negative
from tinygrad_rnn.derivation.equations.parts import places, put, total


def deep(p, xs, y):
    a, b = np.zeros(2), np.zeros(2)
    for x in xs:
        a = np.tanh(x @ p["A"] + a @ p["B"])
        b = np.tanh(a @ p["C"] + b @ p["D"])
    return 0.5 * np.sum((b - y) ** 2)


def summed(p, xs):
    loss = 0.0
    for x in xs:
        h = np.tanh(x @ p["V"])
        for name in "ABCDE":
            loss = loss + np.sum(np.sin(h @ p[name]))
    return loss


RNG = np.random.default_rng(0)
PARAMETERS = {"A": RNG.normal(size=(3, 2)), "B": RNG.normal(size=(2, 2)), "C": RNG.normal(size=(2, 2)),
              "D": RNG.normal(size=(2, 2))}  # fmt: skip
DATA = RNG.normal(size=(3, 3)), RNG.normal(size=2)


@pytest.fixture(scope="module")
def derivation():
    return tr.derive(deep, PARAMETERS, DATA)


def lines_of(derivation):
    return [line for line in derivation.lines if line.kind != "forward"]


def edited(bench, edits):
    """The gradients with some edits, and the test that is asked about them."""
    run = bench.run(edits)
    return AtFault(bench, {name: run.gradient(name) for name in bench.shapes}, Tolerance(1e-9))


def test_edited_lines_can_be_at_fault_and_fit_and_most_others_cannot(derivation):
    bench, hand, excluded, tried = Bench(derivation), Hand(derivation), 0, 0
    for line in lines_of(derivation):
        for edit in list(edits_of(line, hand, 0))[::5]:
            try:
                at_fault = edited(bench, [edit])
            except LookupError:  # it reads what isn't computed yet: nobody can have written this
                continue
            needed = at_fault.needed([line])
            assert at_fault.can_be([line])
            assert needed is None or needed.fits(edit)
            excluded += sum(not at_fault.can_be([other]) for other in lines_of(derivation) if other is not line)
            tried += len(lines_of(derivation)) - 1
    assert excluded > tried / 2


def test_each_of_two_edited_lines_has_to_give_what_it_gives(derivation):
    """The two are found among all pairs, and each edit fits without the other one."""
    bench, hand = Bench(derivation), Hand(derivation)
    first, second = (line for line in lines_of(derivation) if line.name.startswith("delta"))
    for one, other in itertools.islice(zip(edits_of(first, hand, 0), edits_of(second, hand, 0)), 0, 12, 3):
        at_fault = edited(bench, [one, other])
        assert {first, second} in map(set, at_fault.sets(2))
        needed = at_fault.needed([first, second])
        assert needed is not None and needed.fits(one) and needed.fits(other)


def test_nothing_is_excluded_by_rounded_gradients(derivation):
    at_fault = AtFault(Bench(derivation), {"A": np.ones((3, 2))}, Tolerance(1e-9, decimals=2))
    assert all(at_fault.can_be([line]) for line in lines_of(derivation)) and not at_fault.sets(1)


def test_terms_of_a_sum_with_other_numbers_are_found_at_once():
    """Five terms, of which two are left out and one has the other sign: no edit of a single term gives that."""
    parameters = {name: RNG.normal(size=(7, 7)) for name in "ABCDE"} | {"V": RNG.normal(size=(6, 7))}
    derivation = tr.derive(summed, parameters, (RNG.normal(size=(2, 6)),))
    line, place, terms = next(
        (line, place, part.operands)
        for line in lines_of(derivation)
        for place, part in places(line.expression)
        if len(part.operands) == 5
    )
    edit = Edit(line, put(line.expression, place, total([negative(terms[0]), *terms[3:]])), "")
    bench = Bench(derivation)
    found = [*reweighted(line, edited(bench, [edit]).needed([line]))]
    given = bench.run([edit]), bench.run(found)
    assert "left out" in found[0].what and "sign" in found[0].what
    assert all(np.allclose(given[0].gradient(name), given[1].gradient(name)) for name in bench.shapes)


def batched(p, xs, ys):
    h, loss = np.zeros((5, 2)), 0.0
    for x, y in zip(xs, ys):
        h = np.tanh(x @ p["U"] + h @ p["W"] + p["b"])
        loss = loss + np.mean((h @ p["V"] - y) ** 2)
    return loss


class Edited:
    """A manual side that makes some edits, at any data."""

    def __init__(self, edits):
        self.edits = edits

    def at(self, parameters, bench, data):
        run = bench.run(self.edits)
        return {name: run.gradient(name) for name in bench.shapes}


@pytest.fixture(scope="module")
def of_a_batch():
    parameters = {"U": RNG.normal(size=(3, 2)), "W": RNG.normal(size=(2, 2)), "b": RNG.normal(size=2),
                  "V": RNG.normal(size=(2, 2))}  # fmt: skip
    return tr.derive(batched, parameters, (RNG.normal(size=(3, 5, 3)), RNG.normal(size=(3, 5, 2))))


def with_equal(derivation, bench, edits):
    witness = Edited(edits)
    recorded = Situation(bench, witness.at({}, bench, {}), Tolerance(1e-9))
    return with_equal_instances(derivation, recorded, witness), recorded


def test_equal_instances_locate_lines_of_a_batch_and_never_exclude_the_edited_one(of_a_batch):
    """With a batch, a line has more values than there are gradients: few are located without equal instances."""
    bench, hand, located, before, tried = Bench(of_a_batch), Hand(of_a_batch), 0, 0, 0
    for line in (line for line in lines_of(of_a_batch) if line.kind == "backward"):
        for edit in list(edits_of(line, hand))[::20]:
            try:
                at_fault, recorded = with_equal(of_a_batch, bench, [edit])
            except LookupError:  # it reads what isn't computed yet: nobody can have written this
                continue
            if at_fault is not None:
                needed = at_fault.needed([line])
                assert at_fault.can_be([line])
                assert needed is None or needed.fits(edit)
                located += bool(at_fault.located)
                before += bool(AtFault(bench, recorded.given, Tolerance(1e-9)).located)
                tried += 1
    assert located > tried / 2 > 2 * before


def test_a_slip_that_makes_no_difference_between_equal_instances_is_not_sought_there(of_a_batch):
    bench = Bench(of_a_batch)
    line = next(line for line in lines_of(of_a_batch) if line.name == "dL/dU")
    edit = next(
        edit for edit in edits_of(line, Hand(of_a_batch)) if edit.what.startswith("the last instance of {} for all")
    )
    assert with_equal(of_a_batch, bench, [edit])[0] is None


def test_two_edits_of_one_line_are_found_by_what_each_changes(derivation):
    """Pairs of edits at other places of one line, drawn at random, each edit of which alone gives something else."""
    bench, hand, rng, named = Bench(derivation), Hand(derivation), np.random.default_rng(5), 0
    line = next(line for line in lines_of(derivation) if line.name.startswith("delta"))
    usual = list(edits_of(line, hand, 0))
    for first in rng.choice(usual, 12, replace=False):
        for both in rng.choice(list(edits_of_edited(first, hand, 0)), 2, replace=False):
            try:
                at_fault = edited(bench, [both])
                needed = at_fault.needed([line])
            except LookupError:
                continue
            if needed is not None and not any(map(needed.fits, usual)):
                found = [*itertools.islice(two_of_one_line(line, needed, usual, hand), 1)]
                runs = [bench.run([edit]) for edit in (both, *found)]
                same = (np.allclose(run.gradient(n), runs[0].gradient(n)) for run in runs for n in bench.shapes)
                assert all(same)
                named += len(found)
    assert named >= 6

"""The worked example against the article, quantity by quantity, in three independent ways."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.manual import worked_example as article
from tinygrad_rnn.manual.worked_example_slips import slips

PATH = Path(__file__).parents[2] / "examples" / "worked_example.py"
spec = importlib.util.spec_from_file_location("worked_example_page", PATH)
assert spec is not None and spec.loader is not None
page = importlib.util.module_from_spec(spec)
spec.loader.exec_module(page)

PRINTED = {p.name: p.value for p in reversed(article.PRINTED)}  # where it prints a quantity twice: the first time
PARAMS = article.PARAMS._asdict()
WAYS = [page.by_autograd, page.by_hand, page.by_scalars]


def test_only_the_listed_slips_disagree():
    ours = article.computed()
    assert {p.name for p in article.PRINTED if not article.agrees(p.value, ours[p.name])} == {
        "o[4]",  # in the line of Δ_4, where the pre-activation stands in its place
        "y[4]*(o[4]-1)",
        "L4: delta[4]",
        "s[1]",  # in a product of ∂L_4/∂U
    }
    assert len(slips()) == 10


@pytest.mark.parametrize("kind", ["tensors", "scalars"])
def test_states_and_outputs(kind):
    if kind == "tensors":
        states, outputs = (a.numpy() for a in page.network(**{k: tr.tensor(v) for k, v in PARAMS.items()}))
    else:
        numbers = {k: tr.scalars(v) for k, v in PARAMS.items()}
        states, outputs = (
            np.vectorize(lambda s: s.data)(a) for a in page.network(**numbers, xs=tr.scalars(article.INPUTS))
        )
    for t in range(1, 7):
        assert article.agrees(PRINTED[f"s[{t}]"], states[t - 1])
    for t in article.OUTPUT_STEPS:
        assert article.agrees(PRINTED[f"o[{t}]"], outputs[t - 1])


@pytest.mark.parametrize("way", WAYS)
def test_loss_gradients_update_and_new_loss(way):
    loss, gradients = way(PARAMS)
    assert article.agrees(PRINTED["loss"], np.asarray(loss))
    for name, g in gradients.items():
        assert article.agrees(PRINTED[f"dL/d{name}"], g), name
    new = {name: value - article.LEARNING_RATE * gradients[name] for name, value in PARAMS.items()}
    for name in new:
        assert article.agrees(PRINTED[f"new {name}"], new[name]), name
    assert article.agrees(PRINTED["new loss"], np.asarray(way(new)[0]))


@pytest.mark.parametrize("t", article.OUTPUT_STEPS)
@pytest.mark.parametrize("way", WAYS)
def test_gradients_of_each_loss_term(way, t):
    _, gradients = way(PARAMS, (t,))
    for name, g in gradients.items():
        key = f"L{t}: dL/d{name}"
        assert article.agrees(PRINTED[key], g), key


def test_the_three_ways_agree_to_rounding():
    for steps in ((4,), (5,), (6,), (4, 5, 6)):
        (_, first), (_, second), (_, third) = (way(PARAMS, steps) for way in WAYS)
        for name in PARAMS:
            np.testing.assert_allclose(first[name], second[name], rtol=1e-12, atol=1e-15)
            np.testing.assert_allclose(first[name], third[name], rtol=1e-12, atol=1e-15)


def test_the_page_prints_its_table(capsys):
    page.main()
    printed = capsys.readouterr().out
    assert printed.count("the same to its two decimals") == 15
    assert all(printed.count(f"those of L_{t} are the same") == 3 for t in article.OUTPUT_STEPS)
    assert "autograd 3.30, by hand 3.30, scalars 3.30" in printed
    assert "autograd 1.36, by hand 1.36, scalars 1.36" in printed
    assert printed.count("the formulas give") == len(slips())

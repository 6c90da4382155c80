"""Every example runs and prints what it promises; the index names them all."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tr
from tinygrad_rnn.explanation import bptt_terms

EXAMPLES = Path(__file__).parents[2] / "examples"
ELSEWHERE = {"gallery", "worked_example"}  # these have test files of their own

PROMISES = {
    "check_derivation": [
        "All 5 gradients agree",
        "All 10 lines of the derivation agree",
        "2 of 5 gradients agree; look at U, W, b.",
        "The first wrong line is dL/ds[4].",
        "4 of 5 gradients agree; look at W.",
    ],
    "feed_forward": ["the logits are the same: True", "[0 0] -> 0", "[0 1] -> 1", "[1 0] -> 1", "[1 1] -> 0"],
    "first_cell": ["agrees with finite differences: True", "180 parameters", "is zero: True"],
    "forecasting": ["One step ahead, on 400 values", "40 steps on its own"],
    "long_memory": ["is still guessing\nLSTM", "has learned it\nGRU"],
    "moving_blob": ["The network says right; it moves right.", "Of 1000 new videos "],
    "next_word": ["please          -> stay 0.9", "please stay     -> at 0.9", "please stay at  -> home 0.9"],
    "number_reversal": ["after 41 updates. It answers [7 7 7]", "stays at 1.387", "It answers [5 3 1]", "-> [7 0 2]"],
    "phrase_to_colour": ["after (0, 128, 0) ", "after (0, 0, 255) ", "after (255, 165, 0) "],
    "rtrl": [
        "U   (5, 6)      (6, 5, 6)            (5, 5, 6)",
        "All 5 gradients agree",
        "up to t = N⁽²⁾ = 5: 0 of 5 gradients agree",
        "Given 'l', it writes 'letters'.",
    ],
    "scalar_graph": ["by backward()    -0.858167870", "by hand          -0.858167870", "by moving w      -0.858167870"],
    "sentence_generation": ["-5.5  I am reading an article\n", "I am reading an article     kept back", "It writes:"],
    "skip_connections": ["lags (1, 2)       89 of them", "lags (1, 2, 3)   274 of them, the shortest has 4 steps"],
    "sum_over_paths": ["151,912 = 151,912", "L_4 s_4 s_3 s_2 s_1 W", "All 15 terms together"],
    "vanishing_gradients": [
        "0.9^50 = 0.005154; ∂s_50/∂s_0 = 0.005154: vanishing",
        "1.9^50 = 8.663e+13; ∂s_50/∂s_0 = 8.663e+13: exploding",
        "T = 1000  GRU",
    ],
}


def page(name):
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(f"page_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def one_thread():
    """Models as small as these gain nothing from a second thread, and lose much to it where the machine is busy."""
    with threadpool_limits(limits=1):
        yield


@pytest.mark.parametrize("name", sorted(PROMISES))
def test_prints_what_it_promises(name, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", [f"{name}.py"])
    monkeypatch.chdir(tmp_path)
    page(name).main()
    printed = capsys.readouterr().out
    for text in PROMISES[name]:
        assert text in printed, printed
    assert not list(tmp_path.iterdir()), "an example writes only where it is told to"


def test_every_example_is_run_and_in_the_index():
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == set(PROMISES) | ELSEWHERE
    linked = re.findall(r"^\| \[([a-z_]+)\.py\]\(\1\.py\)", (EXAMPLES / "README.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(linked) == sorted(names)


@pytest.mark.parametrize("name", sorted(PROMISES))
def test_it_says_how_it_is_run(name):
    assert f"Run it: ``python examples/{name}.py" in page(name).__doc__


# --- what single pages claim -----------------------------------------------------------------------------------------


def test_the_scalar_graph_is_drawn_into_a_new_file_only(tmp_path, capsys):
    scalar_graph, file = page("scalar_graph"), tmp_path / "graph.svg"
    scalar_graph.main(["--out", str(file)])
    drawn = file.read_bytes()
    assert b"<svg" in drawn
    with pytest.raises(SystemExit):
        scalar_graph.main(["--out", str(file)])
    assert "is there already" in capsys.readouterr().err
    assert file.read_bytes() == drawn


def test_the_feed_forward_network_is_the_recurrent_one_at_one_step():
    feed_forward = page("feed_forward")
    params = feed_forward.initial_parameters()
    by_hand = feed_forward.by_recurrent_formulas(params)
    for name, gradient in feed_forward.by_autograd(params).items():
        assert abs(gradient - getattr(by_hand, name)).max() < 1e-15
    assert not by_hand.W.any()


def test_the_articles_loss_ends_in_saying_one_everywhere_and_the_whole_cross_entropy_does_not():
    reversal = page("number_reversal")
    _, outputs = reversal.train_by_formulas(reversal.article.PARAMS, "one_sided_cross_entropy", threshold=0.01)
    assert (outputs > 0.98).all()
    stuck, _ = reversal.train_by_formulas(reversal.article.PARAMS, "binary_cross_entropy")
    assert not stuck.converged
    assert stuck.losses[-1] == pytest.approx(2 * np.log(2), abs=1e-2)


def test_the_reverser_reverses_what_it_has_not_seen():
    reversal = page("number_reversal")
    shuffled = np.random.default_rng(5).permutation(reversal.SEQUENCES)
    model = reversal.Reverser(seed=6)
    reversal.train_reverser(model, shuffled[:384])
    assert np.array_equal(model.answer(shuffled[:384]), shuffled[:384, ::-1])
    assert (model.answer(shuffled[384:]) == shuffled[384:, ::-1]).all(axis=1).mean() > 0.9


def test_all_ways_to_write_the_sum_over_paths_give_one_gradient():
    page_ = page("sum_over_paths")
    params, xs, targets, s0 = page_.network(seed=3)
    formula = page_.by_formula(params, xs, targets, s0)
    p, losses = page_.by_autograd(params, xs, targets, s0)
    terms = bptt_terms(losses, p["W"])
    np.testing.assert_allclose(formula.terms.W, terms.terms, atol=1e-14)
    sum(losses).backward()
    np.testing.assert_allclose(terms.gradient, p["W"].grad, atol=1e-14)


def test_the_printed_update_leaves_out_the_last_loss():
    page_ = page("rtrl")
    params = page_.initial_parameters()
    result = page_.rtrl(page_.elman.forward(params, page_.INPUTS, page_.TARGETS))
    printed = page_.summed_as_printed(result.loss_gradients)
    assert len(page_.INPUTS) == len(page_.VOCABULARY) + 1
    for name, gradient in result.gradients._asdict().items():
        last = getattr(result.loss_gradients, name)[-1].sum(axis=0)
        assert abs(last).max() > 1e-3
        np.testing.assert_allclose(printed[name] + last, gradient, atol=1e-14)


def test_planted_slips_are_named():
    check = page("check_derivation").check
    assert check().agrees
    transpose, state = check(forget_transpose=True), check(wrong_state=True)
    assert {row.name for row in transpose.rows if row.verdict == "differs"} == {"U", "W", "b"}
    assert transpose.first_wrong_line.name == "dL/ds[4]"
    assert {row.name for row in state.rows if row.verdict == "differs"} == {"W"}
    assert any("transpose" in diagnosis.sentence for diagnosis in transpose.diagnoses)
    assert any("h_{t-1} belongs" in diagnosis.sentence for diagnosis in state.diagnoses)


def test_forecasts_beat_those_that_need_no_network():
    forecasting = page("forecasting")
    series = forecasting.mackey_glass(forecasting.TRAINING + 400)
    test = series[forecasting.TRAINING :]
    model = forecasting.Forecaster(seed=3)
    forecasting.train(model, series[: forecasting.TRAINING])
    ahead = model(test[:-1, None])[0].numpy()[30:, 0] - test[31:]
    assert forecasting.root_mean_square(ahead) < forecasting.root_mean_square(test[30:-1] - test[31:]) / 5
    own, truth = forecasting.go_on(model, test[:150], 20), test[150:170]
    assert forecasting.root_mean_square(own - truth) < forecasting.root_mean_square(truth) / 2


def test_skips_by_hand_by_autograd_and_as_a_cell_agree():
    skips = page("skip_connections")
    by_autograd, by_hand = skips.gradients_two_ways(seed=4)
    for name, gradient in by_hand.items():
        np.testing.assert_allclose(by_autograd[name], gradient, atol=1e-13)
    cell = tr.nn.SkipRNNCell(3, 4, [2, 3], seed=5, dtype=np.float64)
    xs = np.random.default_rng(6).normal(size=(9, 3))
    p = {"U": cell.U, "W": cell.W, "M": cell.M, "b": cell.b}
    own, _ = tr.unroll(lambda x, state: skips.cell(p, x, state), xs, state=(np.zeros(4),) * 3)
    np.testing.assert_allclose(own.numpy(), tr.unroll(cell, xs)[0].numpy(), atol=1e-15)


def test_paths_are_counted_as_they_are_walked():
    def walked(length, lags):
        return 1 if length == 0 else sum(walked(length - lag, lags) for lag in lags if lag <= length)

    count = page("skip_connections").number_of_paths
    for lags in ((1,), (1, 2), (1, 2, 3), (1, 5)):
        assert [count(n, lags) for n in range(12)] == [walked(n, lags) for n in range(12)]


def test_skips_learn_what_the_plain_cell_cannot_reach():
    skips = page("skip_connections")
    losses = {name: np.mean(skips.train(cell, updates=200)[-30:]) for name, cell in skips.networks().items()}
    assert losses["plain"] > 1.3
    assert losses["lags 2, 3"] < 0.7
    assert losses["lag 10"] < 0.7


def test_the_class_and_the_function_are_one_cell():
    first = page("first_cell")
    p, xs = first.parameters(3, 5), np.random.default_rng(7).normal(size=(6, 3)).astype(np.float32)
    by_function, _ = tr.unroll(lambda x, h: first.fading(p, x, h), xs, state=np.zeros(5))
    by_class, _ = tr.unroll(first.FadingCell(3, 5), xs)
    np.testing.assert_allclose(by_function.numpy(), by_class.numpy(), atol=1e-6)


def test_the_order_of_the_frames_is_what_tells_the_direction():
    blob = page("moving_blob")
    model = blob.VideoClassifier(seed=3)
    blob.train(model, updates=300, seed=4)
    frames, classes = blob.videos(np.random.default_rng(5), 500)
    assert np.mean(model.classify(frames) == classes) > 0.95
    backwards = model.classify(frames[::-1])
    opposite = np.array([1, 0, 3, 2])[classes]  # a film run backwards goes the other way
    assert np.mean(backwards == opposite) > 0.95


def test_the_riddle_is_solved_by_sentences_that_do_not_hold_its_answer():
    sentences = page("sentence_generation")
    assert sentences.ANSWER not in sentences.training_text()
    model = sentences.trained_model(seed=1)
    (best, score), (_, second) = sentences.in_order(model, sentences.RIDDLE)[:2]
    assert best == sentences.ANSWER
    assert score > -8 > second

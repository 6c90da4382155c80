"""Every example runs and prints what it promises; the index names them all.

A page runs once: one test asks all that is asked of what it prints. Where a number comes out of a training, the test
asks for a number in a range: its last digits are the machine's.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tr
from tinygrad_rnn.explanation import bptt_terms

EXAMPLES = Path(__file__).parents[2] / "examples"
ELSEWHERE = {"gallery", "worked_example"}  # these have test files of their own

# What each page prints: a text as it stands, or a pattern.
PROMISES = {
    "autocomplete": ["  w_\n    weather today ", "how to learn python ", "what is a neural network "],
    "captioning": [
        "    a bar on the left\n",
        "    a ring on the left and a cross on the right\n",
        re.compile(r"Of 500 new pictures (9\d|100)% have"),
    ],
    "check_derivation": [
        "All 5 gradients agree",
        "All 10 lines of the derivation agree",
        "2 of 5 gradients agree; look at U, W, b.",
        "The first wrong line is dL/ds[4].",
        "4 of 5 gradients agree; look at W.",
    ],
    "derive_your_cell": [
        "    Δ_t = ∂L/∂h_t ∘ α ∘ (1 - v_t²) ",
        "dL_dalpha += np.sum(dL_dh[t] * v[t])",
        re.compile(r"differs from autograd by (0|\de-1\d)"),
        r"\Delta_{t} &= \frac{\partial L}{\partial h_{t}} \odot \alpha",
        "✓ Δ_t = ∂L/∂h_t ∘ α / np.cosh(a_t)² -- right",
        "✗ ∂L/∂b = delta[T] -- wrong: only the last step in the sum of Δ_t",
        "2 of 3 right.",
    ],
    "feed_forward": ["the logits are the same: True", "[0 0] -> 0", "[0 1] -> 1", "[1 0] -> 1", "[1 1] -> 0"],
    "first_cell": ["agrees with finite differences: True", "180 parameters", "is zero: True"],
    "forecasting": ["One step ahead, on 400 values", "40 steps on its own"],
    "many_runs": ["  failed   failed   failed", "the same bits as alone: True"],
    "many_models_vmap": [
        "12 models, 100 steps each",
        "trained alone, agree: True",
        re.compile(r"is a NumPy model again: \d\.\d\d\d"),
    ],
    "serve_onnx": ["The model wrote the same: True"],
    "keep_weights": [
        "only readout.W and readout.b change",
        "the same answers to the last bit: True",
        "its answers need a gradient: False",
        "PyTorch",
    ],
    "long_memory": [
        re.compile(r"Elman  .* 0\.[12]\d\d\d   is still guessing"),
        re.compile(r"LSTM  .* 0\.00\d\d   has learned it"),
        re.compile(r"GRU  .* 0\.00\d\d   has learned it"),
    ],
    "morse_code": ["reads    SOS\n", re.compile(r"up to 2 letters ([89]\d|100)% are"), "up to 8 letters "],
    "moving_blob": [
        "The network says right; it moves right.",
        re.compile(r"Of 1000 new videos (9[89]\.\d|100\.0)%"),
        re.compile(r"and [45]\d\.\d% if their frames come in random order"),
    ],
    "next_word": ["please          -> stay 0.9", "please stay     -> at 0.9", "please stay at  -> home 0.9"],
    "number_reversal": [
        "after 41 updates. It answers [7 7 7]",
        re.compile(r"with a state of 2 numbers [5-8] of 10 learn it"),
        "with a state of 4 numbers 10 of 10 learn it",
        re.compile(r"1[12]\d of the 128 that it has never seen"),
    ],
    "phrase_to_colour": ["after (0, 128, 0) ", "after (0, 0, 255) ", "after (255, 165, 0) "],
    "rtrl": [
        "U   (5, 6)      (6, 5, 6)            (5, 5, 6)",
        "All 5 gradients agree",
        "up to t = N⁽²⁾ = 5: 0 of 5 gradients agree",
        "Given 'l', it writes 'letters'.",
    ],
    "scalar_graph": ["by backward()    -0.858167870", "by hand          -0.858167870", "by moving w      -0.858167870"],
    "sentence_generation": [
        re.compile(r"and log p:\n    -[56]\.\d  I am reading an article\n"),
        re.compile(r"-[56]\.\d  I am reading an article     kept back"),
        re.compile(r"-[23]\d\.\d  a reading I book am         wrong"),
    ],
    "sentiment": [
        re.compile(r"( 9\d|100)% praise: the music was not bad\n  \d% praise: the plot was not very funny\n"),
        re.compile(r"\n    good +\d% .*\n(.*\n){5}    boring +(9\d|100)% #"),
        re.compile(r"Of 1000 new sentences (9[89]\.\d|100\.0)% are"),
        re.compile(r"\n[78]\d\.\d% by the judge who doesn't know"),
    ],
    "skip_connections": [
        "lags (1, 2)       89 of them",
        "lags (1, 2, 3)   274 of them, the shortest has 4 steps",
        re.compile(r"plain +\S+  vanishing  1\.3\d\d  1\.3\d\d  1\.3\d\d"),
        re.compile(r"lags 2, 3 .* 0\.[01]\d\d\n"),
        re.compile(r"lag 10 .* 0\.[01]\d\d\n"),
    ],
    "speed_up": [re.compile(r"Gradients differ by \de-0[5-8] of"), "can still be looked at: vanishing"],
    "sum_over_paths": ["151,912 = 151,912", "L_4 s_4 s_3 s_2 s_1 W", "All 15 terms together"],
    "translation": [
        "1920 sentences, 1440 learned from",
        re.compile(r"Of the 480 others, 4[78]\d are translated word for word"),
        "the white garden is not black        le jardin blanc n' est pas noir",
        'while it writes "la porte noire n\' est pas très ouverte":',
    ],
    "vanishing_gradients": [
        "0.9^50 = 0.005154; ∂s_50/∂s_0 = 0.005154: vanishing",
        "1.9^50 = 8.663e+13; ∂s_50/∂s_0 = 8.663e+13: exploding",
        re.compile(r"T =   50  Elman .* vanishing\nT =   50  LSTM  .* vanishing\n.*\nT =   50  LSTM, f open .* stable"),
        "T = 1000  GRU, z open",
    ],
}


# --- what the numbers that single pages print have to show -----------------------------------------------------------


def forecasts_beat_those_that_need_no_network(text):
    ahead, same, own, mean = map(float, re.findall(r"off by (\d+\.\d+)", text))
    assert ahead < same / 5
    assert own < mean / 2


def completions_come_close_to_the_shares_that_can_be_counted(text):
    found = re.findall(r" (\d+)%   counted: +(\d+)%", text)
    assert len(found) > 10
    for probability, share in found:
        assert abs(int(probability) - int(share)) <= 4


def attention_finds_the_noun_for_the_article_and_the_adjective_across_the_noun(text):
    rows = {line.split()[0]: line for line in text.splitlines() if "*" in line}
    columns = {word: 8 + 8 * (i + 1) for i, word in enumerate(["the", "black", "door", "is", "not", "very", "open"])}
    for french, english in {"la": "door", "porte": "door", "noire": "black", "ouverte": "open", "pas": "not"}.items():
        assert rows[french][columns[english] : columns[english] + 2].strip() == "*", rows[french]


def weights_go_to_pytorch_and_back_unchanged(text):
    if importlib.util.find_spec("torch"):
        assert re.search(r"the same within \de-0[6-9]\. There and back, the parameters differ by 0e\+00", text)


CLAIMS = {
    "forecasting": forecasts_beat_those_that_need_no_network,
    "autocomplete": completions_come_close_to_the_shares_that_can_be_counted,
    "translation": attention_finds_the_noun_for_the_article_and_the_adjective_across_the_noun,
    "keep_weights": weights_go_to_pytorch_and_back_unchanged,
}


OF_SEVERAL_PROCESSES = {"many_runs"}
LONG = {  # they train for seconds; the sweep runs them
    "autocomplete", "captioning", "forecasting", "long_memory", "many_models_vmap", "many_runs", "morse_code",
    "moving_blob", "number_reversal", "sentence_generation", "sentiment", "translation", "vanishing_gradients",
}  # fmt: skip
NEEDS = {"many_models_vmap": "jax"}


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


def printed(name):
    """What a page prints, run as a program without arguments in an empty folder."""
    here, output = os.getcwd(), io.StringIO()
    with tempfile.TemporaryDirectory() as folder, mock.patch("sys.argv", [f"{name}.py"]):
        os.chdir(folder)
        try:
            if name in OF_SEVERAL_PROCESSES:  # the others import it by its path
                command = [sys.executable, str(EXAMPLES / f"{name}.py")]
                environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
                output.write(done.stdout)
            else:
                with contextlib.redirect_stdout(output):
                    page(name).main()
            assert not os.listdir(), "an example writes only where it is told to"
        finally:
            os.chdir(here)
    return output.getvalue()


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.sweep if name in LONG else ()) for name in sorted(PROMISES)]
)
def test_prints_what_it_promises(name):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    text = printed(name)
    for promise in PROMISES[name]:
        found = promise.search(text) if isinstance(promise, re.Pattern) else promise in text
        assert found, f"{promise} isn't in\n{text}"
    if name in CLAIMS:
        CLAIMS[name](text)


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


@pytest.mark.sweep
def test_the_articles_loss_ends_in_saying_one_everywhere_and_the_whole_cross_entropy_is_learnt_with_four_numbers():
    reversal = page("number_reversal")
    _, outputs = reversal.train_by_formulas(reversal.article.PARAMS, "one_sided_cross_entropy", threshold=0.01)
    assert (outputs > 0.98).all()
    small, large = (sum(result.converged for result in reversal.train_from_random_starts(d)) for d in (2, 4))
    assert small < large == 10  # how many of the small ones get stuck hangs on rounding


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


def test_many_runs_are_drawn_with_those_that_failed(tmp_path):
    pytest.importorskip("matplotlib")
    many_runs, file = page("many_runs"), tmp_path / "runs.svg"
    history = SimpleNamespace(losses=np.array([3.0, 2.0]), epoch_losses=[2.5])
    found = {(seed, rate): history if rate > 0 else "no" for seed in many_runs.SEEDS for rate in many_runs.RATES}
    np.testing.assert_array_equal(many_runs.table_of(found), [[2.5] * 3, [2.5] * 3, [np.nan] * 3])
    many_runs.picture(found, file)
    assert b"<svg" in file.read_bytes()


def test_planted_slips_are_named():
    check = page("check_derivation").check
    assert check().agrees
    transpose, state = check(forget_transpose=True), check(wrong_state=True)
    assert {row.name for row in transpose.rows if row.verdict == "differs"} == {"U", "W", "b"}
    assert transpose.first_wrong_line.name == "dL/ds[4]"
    assert {row.name for row in state.rows if row.verdict == "differs"} == {"W"}
    assert any("transpose" in diagnosis.sentence for diagnosis in transpose.diagnoses)
    assert any("h_{t-1} belongs" in diagnosis.sentence for diagnosis in state.diagnoses)


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


def test_the_class_and_the_function_are_one_cell():
    first = page("first_cell")
    p, xs = first.parameters(3, 5), np.random.default_rng(7).normal(size=(6, 3)).astype(np.float32)
    by_function, _ = tr.unroll(lambda x, h: first.fading(p, x, h), xs, state=np.zeros(5))
    by_class, _ = tr.unroll(first.FadingCell(3, 5), xs)
    np.testing.assert_allclose(by_function.numpy(), by_class.numpy(), atol=1e-6)


def test_the_order_of_the_frames_is_what_tells_the_direction():
    blob = page("moving_blob")
    model = blob.VideoClassifier(seed=3)
    blob.train(model, seed=4)
    frames, classes = blob.videos(np.random.default_rng(5), 500)
    assert np.mean(model.classify(frames) == classes) > 0.95
    backwards = model.classify(frames[::-1])
    opposite = np.array([1, 0, 3, 2])[classes]  # a film run backwards goes the other way
    assert np.mean(backwards == opposite) > 0.95


def test_the_riddle_is_solved_by_sentences_that_do_not_hold_its_answer():
    sentences = page("sentence_generation")
    assert sentences.ANSWER not in sentences.training_text()
    assert sorted(sentences.ANSWER.split()) == sorted(sentences.RIDDLE.split())


def test_the_record_of_searches_is_counted_rightly():
    autocomplete = page("autocomplete")
    assert autocomplete.counted("how to learn") == {" python": 40 / 75, " piano": 20 / 75, " to swim": 15 / 75}
    assert autocomplete.best_possible_loss() < np.log(len(autocomplete.SEARCHES))


def test_both_genders_and_all_verbs_are_in_the_sentences():
    pairs = dict(page("translation").sentences())
    assert pairs["the heavy hat was not open"] == "le chapeau lourd n' était pas ouvert"
    assert pairs["the white shirt is very round"] == "la chemise blanche est très ronde"


def test_captions_say_what_is_in_each_half():
    captioning = page("captioning")
    assert captioning.caption("nothing", "nothing") == "nothing"
    assert captioning.caption("ring", "ring") == "two rings"
    assert captioning.caption("nothing", "bar") == "a bar on the right"


def test_what_comes_after_but_counts_and_a_not_turns_it_round():
    sentiment = page("sentiment")
    rng = np.random.default_rng(0)
    for _ in range(200):
        sentence, praise = sentiment.opinion(rng)
        *before, last = sentence.split(" but ")
        assert ((last.split()[-1] in sentiment.GOOD) != (" not " in last)) == praise
        assert all(((one.split()[-1] in sentiment.GOOD) != (" not " in one)) != praise for one in before)


def test_weights_are_kept_in_a_new_file_only(tmp_path, capsys):
    keep, file = page("keep_weights"), tmp_path / "weights.npz"
    file.write_bytes(b"mine")
    with pytest.raises(SystemExit):
        keep.main(["--out", str(file)])
    assert "is there already" in capsys.readouterr().err
    assert file.read_bytes() == b"mine"


def test_the_page_says_so_where_pytorch_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert page("keep_weights").in_pytorch(None, None) is None

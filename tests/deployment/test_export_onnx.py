"""What onnxruntime makes of an exported model is what the model makes, at the example's sizes and at others."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.autodiff.array_node import value_of
from tinygrad_rnn.autodiff.trees import leaves
from tinygrad_rnn.cli import main
from tinygrad_rnn.language import CharacterVocabulary, LanguageModel

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

N, D = 3, 4
RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def over_time(cell: Any) -> Any:
    class Unrolled(nn.Module):
        def __init__(self) -> None:
            self.cell = cell

        def forward(self, x: Any) -> Any:
            return tr.unroll(self.cell, x)

    return Unrolled()


def session(path: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def assert_agrees(path: Any, function: Any, arguments: tuple[Any, ...], tolerance: float = 1e-6) -> None:
    running = session(path)
    given = {entry.name: np.asarray(value_of(a)) for entry, a in zip(running.get_inputs(), leaves(arguments))}
    with tr.no_grad():
        expected = leaves(function(*arguments))
    for entry, got, want in zip(running.get_outputs(), running.run(None, given), expected, strict=True):
        want = np.asarray(value_of(want))
        assert got.dtype == want.dtype and got.shape == want.shape, entry.name
        scale = max(1, abs(want.astype(float)).max())
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * scale, err_msg=entry.name)


LAYERS: dict[str, Any] = {
    "RNN": nn.RNN(N, D), "RNN relu": nn.RNN(N, D, activation="relu"), "LSTM": nn.LSTM(N, D), "GRU": nn.GRU(N, D),
    "GRU reset before": nn.GRU(N, D, reset="before"),
    "two LSTMs both ways": nn.LSTM(N, D, num_layers=2, bidirectional=True),
    "projected, peepholes": nn.LSTM(N, D, projection=2, peepholes=True),
    "truncated": nn.GRU(N, D, num_layers=2, truncate=3), "with checkpoints": nn.LSTM(N, D, checkpoint_every=3),
    "three GRUs": nn.GRU(N, D, num_layers=3, dropout=0.5),
    "compiled": nn.LSTM(N, D, executor="numpy"),
    "MGU": over_time(nn.MGUCell(N, D)), "IndRNN": over_time(nn.IndRNNCell(N, D)),
    "Jordan": over_time(nn.JordanCell(N, D, 2)), "skips": over_time(nn.SkipRNNCell(N, D, [2, 3])),
    "layer norm inside": over_time(nn.LSTMCell(N, D, norm=partial(nn.LayerNorm, dtype=np.float64), dtype=np.float64)),
    "layer norm around": over_time(nn.LayerNormCell(nn.GRUCell(N, D, dtype=np.float64))),
    "residual": over_time(nn.ResidualCell(nn.GRUCell(N, N))),
    "stacked": over_time(nn.StackedCell([nn.GRUCell(N, D), nn.LSTMCell(D, 2)])),
    "zoneout": over_time(nn.ZoneoutCell(nn.GRUCell(N, D), 0.3)),
    "dropout": over_time(nn.DropoutCell(nn.LSTMCell(N, D))),
    "many to one": nn.ManyToOne(nn.GRU(N, D), 2), "pooled": nn.ManyToOne(nn.GRU(N, D), 2, pool="mean"),
    "many to many": nn.ManyToMany(nn.LSTM(N, D, bidirectional=True), 5),
}  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_every_layer(layer: Any, tmp_path: Any) -> None:
    path = tmp_path / "model.onnx"
    dtype = next(layer.parameters()).dtype  # norms of four units make too much of float32's rounding
    exported = tr.export_onnx(layer, path, normal(7, 5, N).astype(dtype))
    assert exported.inputs == {"x": ("T", "B", N)} and not exported.fixed
    layer.eval()
    for steps, sequences in ((7, 5), (1, 1), (23, 2)):
        assert_agrees(path, layer, (normal(steps, sequences, N).astype(dtype),))


WITH_LENGTHS: dict[str, Any] = {
    "GRU": lambda: nn.GRU(N, D, seed=0),
    "LSTMs both ways": lambda: nn.LSTM(N, D, num_layers=2, bidirectional=True, seed=0),
    "last": lambda: nn.ManyToOne(nn.GRU(N, D, seed=0), 2, seed=1),
    "last of both ways": lambda: nn.ManyToOne(nn.LSTM(N, D, bidirectional=True, seed=0), 2, seed=1),
    "mean": lambda: nn.ManyToOne(nn.GRU(N, D, seed=0), 2, pool="mean", seed=1),
    "max": lambda: nn.ManyToOne(nn.GRU(N, D, seed=0), 2, pool="max", seed=1),
    "every step": lambda: nn.ManyToMany(nn.RNN(N, D, seed=0), 5, seed=1),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
@pytest.mark.parametrize("make", WITH_LENGTHS.values(), ids=WITH_LENGTHS)
def test_lengths_are_an_input(make: Any, dtype: Any, tmp_path: Any) -> None:
    model, path = make(), tmp_path / "model.onnx"

    def function(x: Any, lengths: Any) -> Any:
        return model(x, lengths=lengths)

    exported = tr.export_onnx(function, path, (normal(7, 5, N), np.array([7, 2, 1, 0, 4], dtype)))
    assert exported.inputs == {"x": ("T", "B", N), "lengths": ("B",)} and not exported.fixed
    for steps, lengths in ((7, [1, 7, 0]), (12, [12, 3, 11, 5, 1, 9]), (1, [1])):
        assert_agrees(path, function, (normal(steps, len(lengths), N), np.array(lengths, dtype)))


def test_lengths_of_a_model_are_named_by_its_forward(tmp_path: Any) -> None:
    model = WITH_LENGTHS["last"]()
    exported = tr.export_onnx(model, tmp_path / "model.onnx", (normal(7, 5, N), np.arange(5)))
    assert exported.inputs == {"x": ("T", "B", N), "lengths": ("B",)}
    assert_agrees(tmp_path / "model.onnx", model, (normal(9, 2, N), np.array([4, 9])))


def test_batch_first(tmp_path: Any) -> None:
    layer = nn.LSTM(N, D, batch_first=True)
    exported = tr.export_onnx(layer, tmp_path / "model.onnx", normal(5, 7, N))
    assert exported.inputs == {"x": ("B", "T", N)}
    assert_agrees(tmp_path / "model.onnx", layer, (normal(2, 9, N),))


def test_a_language_model_goes_on_from_a_state(tmp_path: Any) -> None:
    """A service keeps the state, and sends one symbol at a time."""
    model = LanguageModel(CharacterVocabulary.from_text("hello, world"), units=8, seed=0)
    symbols = RNG.integers(0, len(model.vocabulary), size=(7, 5))
    _, state = model(symbols)
    state = tuple(value_of(part) for part in state)
    exported = tr.export_onnx(model, tmp_path / "model.onnx", (symbols, nn.LSTMState(*state)))
    assert list(exported.inputs) == ["symbols", "state.h", "state.c"]
    assert list(exported.outputs) == ["output", "state.h_out", "state.c_out"]
    running = session(tmp_path / "model.onnx")
    h = c = np.zeros((2, 8), np.float32)
    text, logits = RNG.integers(0, len(model.vocabulary), size=(6, 2)), []
    for row in text:
        one, h, c = running.run(None, {"symbols": row[None], "state.h": h, "state.c": c})
        logits.append(one[0])
    with tr.no_grad():
        whole, last = model(text)
    np.testing.assert_allclose(np.stack(logits), whole.data, rtol=0, atol=1e-6)
    np.testing.assert_allclose(c, last.c.data, rtol=0, atol=1e-6)


def odd_cell(x: Any, h: Any) -> Any:
    gate, candidate = np.split(np.concatenate([x, h], axis=-1) @ np.full((N + D, 2 * D), 0.1, np.float32), 2, axis=-1)
    new = np.where(gate > 0, np.maximum(candidate, -0.5), np.clip(candidate, -0.1, 0.2)) ** 2
    mixed = np.einsum("bi,bi->b", new, h)[:, None] + tr.softmax(h) + np.log1p(np.abs(np.swapaxes(h, 0, 1).T))
    return np.tanh(mixed + np.stack([new, h]).mean(axis=0) + np.cumsum(h, axis=1) / 7 + h[:, ::-1] + h[..., :1])


def test_a_cell_of_one_s_own_with_odd_operations(tmp_path: Any) -> None:
    def function(x: Any, h: Any) -> Any:
        hs, last = tr.unroll(odd_cell, x, h)
        return {"some": hs[1:-1:], "last": last, "one": hs[-1], "largest": hs.max(axis=(0, 2)), "sum": 1 + hs.sum()}

    exported = tr.export_onnx(function, tmp_path / "model.onnx", (normal(7, 5, N), normal(5, D)))
    assert exported.inputs == {"x": ("T", "B", N), "h": ("B", D)}
    assert "output.largest" in exported.outputs
    for steps, sequences in ((7, 5), (12, 3)):
        assert_agrees(tmp_path / "model.onnx", function, (normal(steps, sequences, N), normal(sequences, D)), 1e-5)


FUNCTIONS: dict[str, Any] = {
    "a mean by hand": lambda x: x.sum(axis=0) / len(x),
    "compared with a length": lambda x: np.where(x * 9 > x.shape[0], x * x.shape[1], 0),
    "a mask": lambda x: x * (x > 0),
    "a count": lambda x: (x > 0).sum(axis=-1),
    "a share": lambda x: (x > 0).mean(axis=-1),
    "any": lambda x: np.any(x > 1, axis=-1),
    "all": lambda x: np.all(x, axis=(0, 2)),
    "count_nonzero": lambda x: np.count_nonzero(x > 0, axis=-1),
    "log_softmax": lambda x: tr.log_softmax(x, axis=-1),
    "log_softmax over sequences": lambda x: tr.log_softmax(x, axis=1),
    "whole numbers": lambda x: (x * 9).astype(np.int64) // -2,
    "32 bits and 64": lambda x: (x * 9).astype(np.int32) + x.argmax(-1)[..., None],
    "the last axis in another order": lambda x: x[..., np.array([2, 0, -1])],
    "logaddexp": lambda x: np.logaddexp(x, 40 * x),
    "logaddexp of infinities": lambda x: np.logaddexp(np.where(x > 0, x, -np.inf), np.where(x > 1, np.inf, -np.inf)),
    "an ellipsis of several lengths": lambda x: np.einsum("...i,...i->...", x, np.arange(4, dtype=np.float32)),
    "a remainder": lambda x: (np.rint(9 * x) / 10 + 0.7) % -0.1,
    "a quotient": lambda x: (np.floor(9 * x) / 10) // 0.1,
    "not, of numbers": lambda x: np.logical_not(np.floor(x)),
    "a loop whose states alone are read": lambda x: tr.unroll(lambda a, h: (2 * a, np.tanh(h + 1)), x, state=x[0]),
    "trunc": lambda x: np.trunc(9 * x),
    "fmod": lambda x: np.fmod(x, 0.3),
    "the numbers of steps": lambda x: x * np.arange(len(x), dtype=np.float32)[:, None, None],
    "the numbers of sequences": lambda x: x[:, :, 0] + np.arange(x.shape[1]),
    "elements at the largest's places": lambda x: np.take_along_axis(x, x.argmax(-1)[..., None], -1),
    "where, by numbers": lambda x: np.where(np.sign(x) + 1, x, 2.0),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_function_at_other_sizes(function: Any, tmp_path: Any) -> None:
    exported = tr.export_onnx(function, tmp_path / "model.onnx", normal(7, 5, 4))
    assert exported.inputs == {next(iter(exported.inputs)): ("T", "B", 4)}
    for steps, sequences in ((7, 5), (12, 3), (1, 1)):
        assert_agrees(tmp_path / "model.onnx", function, (normal(steps, sequences, 4),))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[::2],
        lambda x: x * np.arange(x.shape[0], dtype=np.float32)[:, None, None] ** 2,
    ],
)
def test_what_follows_no_size_fixes_it(function: Any, tmp_path: Any) -> None:
    exported = tr.export_onnx(function, tmp_path / "model.onnx", normal(7, 5, 4))
    assert exported.inputs["x"][0] == 7 and exported.fixed["T"]
    assert_agrees(tmp_path / "model.onnx", function, (normal(7, 5, 4),))


def symbols(*shape: int) -> np.ndarray:
    return RNG.integers(0, 6, size=shape)


ODD = {
    "floats compared": lambda n, few: (n < 0.5, np.equal(n, 0.5), n > np.array([0.5, -0.5, 0.0]), few < 2, few > 0.5),
    "conditions": lambda n, few: (few * (n > 0), few + (n > 0), np.maximum(few, n > 0), np.abs(few), few @ few.T),
    "chosen conditions": lambda n, few: (np.where(n > 1, few, n > 2), np.min(few, axis=1), few[:, [0, 2]]),
    "short numbers": lambda n, few: (
        -n.astype(np.uint8), n.astype(np.int8) ** 2, np.sum(n.astype(np.uint8)), tr.relu(n.astype(np.int8)),
        np.cumsum(few.astype(np.uint8), axis=0), n.astype(np.uint8) @ few.T,
    ),
    "rounded": lambda n, few: (np.floor(n), np.ceil(few), np.rint(n), np.trunc(n)),
    "finite": lambda n, few: (np.isnan(n), np.isfinite(few)),
    "joined flat": lambda n, few: np.concatenate([n, few], axis=None),
}  # fmt: skip


@pytest.mark.parametrize("function", ODD.values(), ids=ODD)
def test_whole_numbers_and_conditions(function: Any, tmp_path: Any) -> None:
    arguments = np.array([[-1, 0, 1], [2, 0, 3]]), np.array([[True, False, True], [True, True, False]])
    tr.export_onnx(function, tmp_path / "model.onnx", arguments)
    assert_agrees(tmp_path / "model.onnx", lambda *xs: function(*map(tr.tensor, xs)), arguments)


@pytest.mark.parametrize("look", ["before", "after", None])
def test_a_translator_that_is_told_the_target(look: str | None, tmp_path: Any) -> None:
    attention = None if look is None else nn.AdditiveAttention(D, D, 3, seed=0)
    options: dict[str, Any] = {} if look is None else {"attention": attention, "memory_size": D, "look": look}
    decoder = nn.Decoder(6, nn.GRUCell(6 + D if look == "before" else 6, D, seed=1), seed=2, **options)
    model = nn.EncoderDecoder(nn.Embedding(6, N, seed=3), nn.GRU(N, D, seed=4), decoder, seed=5)
    path = tmp_path / "model.onnx"
    exported = tr.export_onnx(model, path, (symbols(7, 5), symbols(4, 5)))
    assert exported.inputs == {"source": ("T", "B"), "target": ("T_target", "B")} and not exported.fixed
    assert_agrees(path, model, (symbols(9, 2), symbols(3, 2)))
    axes = {"source": ("T", "B"), "target": (None, "B")}
    exported = tr.export_onnx(model, path, (symbols(7, 5), symbols(4, 5)), axes=axes)
    assert exported.inputs == {"source": ("T", "B"), "target": (4, "B")}


def test_a_writer_of_sequences(tmp_path: Any) -> None:
    model = nn.OneToMany(N, nn.Decoder(6, nn.LSTMCell(6, D, seed=0), seed=1), seed=2)
    axes = {"vector": ("B", None), "target": ("T", "B")}
    tr.export_onnx(model, tmp_path / "model.onnx", (normal(5, N), symbols(4, 5)), axes=axes)
    assert_agrees(tmp_path / "model.onnx", model, (normal(2, N), symbols(6, 2)))


def test_an_export_leaves_the_model_as_it_was(tmp_path: Any) -> None:
    model = nn.GRU(N, D, truncate=3)
    tr.export_onnx(model, tmp_path / "model.onnx", normal(7, 5, N))
    assert model.truncate == (3, 3) and model.training


def test_weights_and_outputs_have_their_names(tmp_path: Any) -> None:
    tr.export_onnx(nn.ManyToOne(nn.GRU(N, D), 2), tmp_path / "model.onnx", normal(7, 5, N), outputs=["logits"])
    model = onnx.load(tmp_path / "model.onnx")
    stored = {tensor.name for tensor in model.graph.initializer}
    assert {"layer.layers.0.U", "layer.layers.0.b_hn", "readout.W", "readout.b"} <= stored
    assert [entry.name for entry in model.graph.output] == ["logits"]


def test_a_size_that_the_function_depends_on_is_fixed_and_said(tmp_path: Any) -> None:
    table = normal(7, 1, N)  # a position table of seven steps
    cell = nn.GRUCell(N, D, seed=0)
    for function in (
        lambda x: tr.unroll(cell, x + table)[0],
        lambda x: np.stack([x[:, 0], table[:, 0]]),
        lambda x: np.einsum("tbn,tn->bn", x, table[:, 0]),
    ):
        exported = tr.export_onnx(function, tmp_path / "m.onnx", normal(7, 5, N))
        assert exported.inputs == {"x": (7, "B", N)}
        assert exported.fixed.get("T")


def test_axes_can_be_told(tmp_path: Any) -> None:
    cell = nn.GRUCell(4, 4)
    exported = tr.export_onnx(lambda x, h: tr.unroll(cell, x, h), tmp_path / "m.onnx", (normal(4, 4, 4), normal(4, 4)),
                              axes={"x": ("T", "B", None), "h": ("B", None)})  # fmt: skip
    assert exported.inputs == {"x": ("T", "B", 4), "h": ("B", 4)}
    assert_agrees(tmp_path / "m.onnx", lambda x, h: tr.unroll(cell, x, h), (normal(3, 2, 4), normal(2, 4)))
    with pytest.raises(ValueError, match="axes= names y; the inputs are x, h"):
        tr.export_onnx(lambda x, h: x, tmp_path / "m.onnx", (normal(4, 4), normal(4)), axes={"y": ("T",)})


def test_as_many_sequences_as_units_are_told_apart(tmp_path: Any) -> None:
    def function(x: Any, h: Any, c: Any) -> Any:
        more = np.einsum("l,lbd->bd", np.array([0.5, 2.0], np.float32), c)
        return tr.unroll(lambda x, h: (np.cumsum(h), np.tanh(h + more)), x, h)

    exported = tr.export_onnx(function, tmp_path / "m.onnx", (normal(4, 3, 2), normal(3, 3), normal(2, 3, 3)))
    assert exported.inputs == {"x": ("T", "B", 2), "h": ("B", 3), "c": (2, "B", 3)}
    assert_agrees(tmp_path / "m.onnx", function, (normal(6, 5, 2), normal(5, 3), normal(2, 5, 3)))


def test_what_has_no_form_is_refused_by_name_and_nothing_is_written(tmp_path: Any) -> None:
    with pytest.raises(tr.deployment.NoOnnxForm, match="no ONNX form for arctan2"):
        tr.export_onnx(lambda x: np.arctan2(x, x), tmp_path / "model.onnx", normal(7, 5, N))
    assert not list(tmp_path.iterdir())


def test_without_onnx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match=r'pip install .*\[onnx\]"'):
        tr.export_onnx(nn.GRU(N, D), tmp_path / "model.onnx", normal(7, 5, N))


def test_the_command_exports_what_train_wrote(tmp_path: Any, capsys: Any) -> None:
    (tmp_path / "text.txt").write_text("you say yes, I say no; " * 60)
    words = ["train", str(tmp_path / "text.txt"), "--steps", "3", "--units", "8", "--batch", "4", "--quiet"]
    assert main([*words, "--validation", "0.3", "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    assert main(["export", str(tmp_path / "run"), str(tmp_path / "model.onnx")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("takes: symbols (T, B), state.h (B, 8), state.c (B, 8)\ngives: output (T, B, ")
    assert session(tmp_path / "model.onnx")
    assert main(["export", str(tmp_path / "run"), str(tmp_path / "model.onnx")]) == 2
    assert "is there already" in capsys.readouterr().err

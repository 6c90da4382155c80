"""Every reader of files: one whose structure was changed costs little, and gives numbers, or an error that names it."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tests.project.hostile import BOMBS, VALUES, as_json, cost_of, mutated, npz_of, only_numbers
from tinygrad_rnn import data, language, nn, optim
from tinygrad_rnn.data import tree_file
from tinygrad_rnn.language import LanguageModel, model_file

few = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
fewer = settings(few, max_examples=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


# --- trees -----------------------------------------------------------------------------------------------------------

TREE = {
    "dict": [
        ["weights", {"array": 0}],
        [7, {"tuple": [1, None, {"scalar": 1}, [True, 2.5, "text"]]}],
        ["b", {"array": 2}],
    ]
}
ARRAYS = [np.arange(6.0).reshape(2, 3), np.array(5, np.int32), np.array([False, True, True, False])]


def test_the_tree_of_these_tests_is_right(folder: Path) -> None:
    tree = tree_file.load_tree(written(folder, "tree", npz_of(as_json(TREE), ARRAYS)))
    assert tree[7] == (1, None, np.int32(5), [True, 2.5, "text"]) and tree["weights"].shape == (2, 3)


@few
@given(tree=mutated(TREE), count=st.integers(0, 3), cut=st.sampled_from([0, 0, 0, 1, 30]), packed=st.booleans())
def test_trees(tree: Any, count: int, cut: int, packed: bool, folder: Path) -> None:
    content = npz_of(as_json(tree), ARRAYS[:count], packed)
    found, problem = cost_of(tree_file.load_tree, written(folder, "tree", content[: len(content) - cut]))
    assert problem or only_numbers(found)


@pytest.mark.one_in(7)
@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("place", [("dict",), ("dict", 0), ("dict", 0, 0), ("dict", 0, 1), ("dict", 1, 1, "tuple")])
def test_trees_with_a_bomb_in_any_place(bomb: str, place: tuple[Any, ...], folder: Path) -> None:
    tree: Any = json.loads(json.dumps(TREE))
    holder = tree
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = bomb[1:-1]
    cost_of(tree_file.load_tree, written(folder, "tree", npz_of(as_json(tree), ARRAYS)))


def test_an_array_can_stand_in_one_place_alone_and_none_is_left_over(folder: Path) -> None:
    for tree in ([{"array": 0}, {"array": 0}], [], [{"array": True}], [{"array": -1}], [{"array": 0.0}], {"scalar": 0}):
        _, problem = cost_of(tree_file.load_tree, written(folder, "tree", npz_of(as_json(tree), [np.zeros(1)])))
        assert problem


def test_what_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="as arrays"):
        tree_file.save_tree([0] * (tree_file.MAX_PARTS + 1), tmp_path / "tree")
    keys = {2**60 + n: 0 for n in range(tree_file.MAX_LARGE_KEYS + 1)}
    with pytest.raises(ValueError, match="keys"):
        tree_file.save_tree(keys, tmp_path / "tree")
    assert not list(tmp_path.iterdir())


# --- language models and checkpoints ---------------------------------------------------------------------------------

MODEL = LanguageModel(language.CharacterVocabulary.from_text("hello"), "GRU", units=4, seed=0)


def arrays_as_lists(tree: Any) -> Any:
    """A tree whose arrays can be changed like the rest."""
    if isinstance(tree, np.ndarray):
        return {"@array": [tree.dtype.str, list(tree.shape)], "of": tree.ravel()[:2].tolist()}
    if isinstance(tree, dict):
        return {key: arrays_as_lists(part) for key, part in tree.items()}
    return [arrays_as_lists(part) for part in tree] if isinstance(tree, (list, tuple)) else tree


def as_tree(value: Any, original: Any) -> Any:
    """The reverse; what was changed in an array makes another array."""
    if isinstance(value, dict) and set(value) >= {"@array"}:
        try:
            dtype, shape = value["@array"]
            small = [n for n in shape if isinstance(n, int) and 0 <= n < 100][:5]
            array = np.zeros(small, dtype)
        except (TypeError, ValueError):
            return 0
        if isinstance(original, np.ndarray) and original.shape == array.shape and original.dtype == array.dtype:
            return original
        return array if array.dtype.kind in "biufc" else 0
    if isinstance(value, dict):
        known = original if isinstance(original, dict) else {}
        return {key: as_tree(part, known.get(key)) for key, part in value.items() if isinstance(key, (str, int))}
    if isinstance(value, list):
        known = original if isinstance(original, (list, tuple)) else []
        return [as_tree(part, known[i] if i < len(known) else None) for i, part in enumerate(value)]
    return value


@pytest.fixture(scope="module")
def model_tree(folder: Path) -> Any:
    model_file.save_language_model(MODEL, folder / "model")
    return tree_file.load_tree(folder / "model")


@fewer
@given(choice=st.data())
def test_language_models(choice: st.DataObject, model_tree: Any, folder: Path) -> None:
    changed = as_tree(choice.draw(mutated(arrays_as_lists(model_tree))), model_tree)
    try:
        tree_file.save_tree(changed, folder / "changed")
    except (TypeError, ValueError):
        return
    model, _ = cost_of(model_file.load_language_model, folder / "changed")
    assert model is None or isinstance(model, LanguageModel)


class Small(nn.Module):
    def __init__(self) -> None:
        self.layer = nn.Linear(2, 1, seed=0)

    def forward(self, x: Any) -> Any:
        return self.layer(x)


def trained(checkpoints: Path, resume: bool) -> Any:
    x = np.ones((8, 2), np.float32)
    batches = data.Batches(x, x[:, :1], batch_size=4, rng=0, input_sequences=False)
    model = Small()
    step = optim.Adam(model.parameters(), lr=0.01)
    return tr.fit(model, batches, nn.mse, step, steps=3, progress=False, checkpoints=checkpoints, resume=resume)


@fewer
@given(choice=st.data())
def test_checkpoints(choice: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("run")
    trained(folder, resume=False)
    (path,) = folder.glob("step-*.checkpoint")
    tree = tree_file.load_tree(path)
    changed = as_tree(choice.draw(mutated(arrays_as_lists(tree))), tree)
    try:
        tree_file.save_tree(changed, path)
    except (TypeError, ValueError):
        return
    cost_of(lambda path: trained(path.parent, resume=True), path)


# --- weights ---------------------------------------------------------------------------------------------------------

MEMBERS: list[Any] = [
    {"name": "W.npy", "descr": "<f4", "fortran_order": False, "shape": [2, 3], "version": 1, "data": 24, "packed": 8},
    {"name": "b.npy", "descr": "|b1", "fortran_order": True, "shape": [4], "version": 2, "data": 4, "packed": 0},
]
SAFE = {
    "W": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b": {"dtype": "BOOL", "shape": [4], "data_offsets": [24, 28]},
    "__metadata__": {"by": "hand"},
}


def npy(member: dict[str, Any]) -> bytes:
    """A member of an .npz file, whatever its fields say."""
    fields = {key: member[key] for key in ("descr", "fortran_order", "shape") if key in member}
    if isinstance(fields.get("shape"), list):
        fields["shape"] = tuple(fields["shape"])
    header = repr(fields).encode(errors="replace")[:60_000] + b"\n"
    version = 2 if member.get("version") == 2 else 1
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    size = member.get("data")
    size = size if isinstance(size, int) and 0 <= size <= 2**31 else 0
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + bytes(min(size, 20_000_000))


def npz(members: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for member in members if isinstance(members, list) else [members]:
            if not isinstance(member, dict):
                archive.writestr("x", "text")
                continue
            name = str(member.get("name")).replace("\0", "").encode("utf-8", "replace").decode()
            packed = member.get("packed")
            archive.writestr(name, npy(member), packed if packed in (0, 8, 12, 14) else 0)
    return file.getvalue()


@pytest.mark.filterwarnings("ignore")
@few
@given(members=mutated(MEMBERS), claimed=st.none() | st.integers(0, 2**32 - 1), cut=st.integers(0, 30))
def test_npz(members: Any, claimed: int | None, cut: int, folder: Path) -> None:
    content = npz(members)
    if claimed is not None:  # the size of the first member, as the directory has it
        at = content.find(b"PK\x01\x02") + 24
        content = content[:at] + struct.pack("<I", claimed) + content[at + 4 :]
    content = content if cut > 20 else content[: len(content) - cut]
    arrays, problem = cost_of(nn.load_weights, written(folder, "weights.npz", content))
    assert problem or only_numbers(arrays)


def test_the_npz_and_the_safetensors_of_these_tests_are_right(folder: Path) -> None:
    arrays = nn.load_weights(written(folder, "weights.npz", npz(MEMBERS)))
    assert {name: (a.shape, str(a.dtype)) for name, a in arrays.items()} == {
        "W": ((2, 3), "float32"),
        "b": ((4,), "bool"),
    }
    pytest.importorskip("safetensors")
    arrays = nn.load_weights(written(folder, "weights.safetensors", safe(SAFE, bytes(28))))
    assert {name: (a.shape, str(a.dtype)) for name, a in arrays.items()} == {
        "W": ((2, 3), "float32"),
        "b": ((4,), "bool"),
    }


REFUSED = {
    "text beside arrays": lambda f: f.writestr("readme.txt", "text"),
    "strings": lambda f: np.lib.format.write_array(f.open("a.npy", "w"), np.array(["a"])),
    "dates": lambda f: np.lib.format.write_array(f.open("a.npy", "w"), np.array(["2020"], "M8[Y]")),
    "objects": lambda f: np.lib.format.write_array(f.open("a.npy", "w"), np.array([{}], object)),
    "records": lambda f: np.lib.format.write_array(f.open("a.npy", "w"), np.zeros(3, "f4,i4")),
    "one name twice": lambda f: [f.writestr("a.npy", npy(MEMBERS[0])) for _ in range(2)],
    "a thousandfold": lambda f: np.lib.format.write_array(f.open("a.npy", "w"), np.zeros(10**6)),
    "a thousandfold in parts": lambda f: [
        f.writestr(f"{i}.npy", npy({**MEMBERS[0], "data": 10**5})) for i in range(99)
    ],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", REFUSED)
def test_an_npz_with_anything_but_numbers_is_refused(what: str, folder: Path) -> None:
    with zipfile.ZipFile(folder / "refused.npz", "w", zipfile.ZIP_DEFLATED) as file:
        REFUSED[what](file)
    assert cost_of(nn.load_weights, folder / "refused.npz")[1]


def test_what_numpy_writes_is_read_packed_or_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    given = {
        "W": rng.normal(size=(30, 40)),
        "by columns": np.asfortranarray(rng.normal(size=(3, 4))),
        "zeros": np.zeros(20_000, "f4"),
        "a/b": np.int8(3),
        "none": np.zeros((0, 3)),
        "true": np.array([True, False]),
        "big": np.arange(3, dtype=">i4"),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "weights.npz", **given)
        read = nn.load_weights(tmp_path / "weights.npz")
        assert list(read) == list(given)
        for name, array in given.items():
            np.testing.assert_array_equal(read[name], array)
            assert read[name].dtype == array.dtype and read[name].shape == array.shape


def safe(header: Any, rest: bytes, length: int | None = None) -> bytes:
    text = as_json(header)
    return (len(text) if length is None else length).to_bytes(8, "little") + text + rest


@few
@given(
    header=mutated(SAFE),
    rest=st.sampled_from([bytes(28), b"", b"\xff" * 28, bytes(1000)]),
    length=st.none() | st.none() | st.integers(0, 2**64 - 1),
)
def test_safetensors(header: Any, rest: bytes, length: int | None, folder: Path) -> None:
    pytest.importorskip("safetensors")
    arrays, problem = cost_of(nn.load_weights, written(folder, "weights.safetensors", safe(header, rest, length)))
    assert problem or only_numbers(arrays)


# --- vocabularies, texts as numbers, settings ------------------------------------------------------------------------

VOCABULARY = language.CharacterVocabulary.from_text("hello").to_tree()


@few
@given(fields=mutated(VOCABULARY))
def test_vocabularies(fields: Any, folder: Path) -> None:
    if isinstance(fields, dict):
        fields = {"dict": [[key, value] for key, value in fields.items()]}
    vocabulary, problem = cost_of(language.Vocabulary.load, written(folder, "vocabulary", npz_of(as_json(fields))))
    assert problem or all(isinstance(symbol, str) and symbol for symbol in vocabulary.symbols)


def test_a_vocabulary_may_hold_brackets(tmp_path: Path) -> None:
    words = [f"[{n}{{" for n in range(2000)] + ['"[', "\\", '\\"[', "]"]
    vocabulary = language.WordVocabulary(words)
    vocabulary.save(tmp_path / "words")
    assert language.Vocabulary.load(tmp_path / "words").symbols == tuple(words)


@few
@given(descr=VALUES, order=VALUES, shape=VALUES, kept=st.sets(st.sampled_from(["descr", "order", "shape"]), max_size=2))
def test_texts_as_numbers(descr: Any, order: Any, shape: Any, kept: set[str], folder: Path) -> None:
    fields = {
        "descr": "|u1" if "descr" in kept else descr,
        "fortran_order": False if "order" in kept else order,
        "shape": (5,) if "shape" in kept else tuple(shape) if isinstance(shape, list) else shape,
    }
    header = repr(fields).encode(errors="replace")[:60_000].ljust(117) + b"\n"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(5)
    vocabulary = language.CharacterVocabulary.from_text("hello")
    path = written(folder, "text.npy", content)
    numbers, problem = cost_of(lambda path: language.load_encoded(path, vocabulary), path)
    assert problem or numbers.tolist() == [0] * 5


@fewer
@given(settings=mutated({"cell": "GRU", "words": False, "units": 4, "seed": 0}))
def test_settings(settings: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tinygrad_rnn.cli import main

    run = folder / "run"
    run.mkdir(exist_ok=True)
    (run / "settings.json").write_bytes(as_json(settings))
    language.CharacterVocabulary.from_text("hello").save(run / "vocabulary")
    language.encode_text("hello", language.CharacterVocabulary.from_text("hello"), out=run / "text.npy")

    def resumed(path: Path) -> None:
        assert main(["train", "--resume", "--quiet", "--out", str(run)]) == 2
        answer = capsys.readouterr().err
        assert answer.count("\n") == 1 and "settings.json" in answer

    resumed(run / "settings.json")


@pytest.mark.parametrize("place", [("history", "smoothed"), ("optimizer", 1, "state", 0, "\x9b31m")])
def test_an_error_repeats_no_long_text_of_a_file_and_nothing_that_controls_a_terminal(
    place: tuple[Any, ...], tmp_path: Path
) -> None:
    trained(tmp_path, resume=False)
    (path,) = tmp_path.glob("step-*.checkpoint")
    tree = holder = tree_file.load_tree(path)
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = "a" * 100_000
    tree_file.save_tree(tree, path)
    _, problem = cost_of(lambda path: trained(path.parent, resume=True), path)
    assert problem

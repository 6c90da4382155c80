"""A language model in one file: its vocabulary and its weights; the sizes follow from them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import nn
from ..nn.compiled_cells import uncompiled
from ..training import load_tree, save_tree
from .model import CELLS, LanguageModel
from .vocabulary import Vocabulary

KIND = "tinygrad_rnn language model, version 1"


def save_language_model(model: LanguageModel, path: str | os.PathLike[str]) -> None:
    """Write a language model to a file, whole or not at all; an older file is replaced.

    Args:
        model: a model with an "RNN", "LSTM" or "GRU" cell without further options. (A cell of your own is code, which a
            file of weights can't hold: save ``model.state_dict()`` with ``nn.save_weights``, and make the model anew to
            load it.)
        path: the file.

    Raises:
        TypeError: the model has another cell, or one with options, such as peepholes.
        OSError: the file can't be written.

    Example:
        >>> import os, tempfile
        >>> from tinygrad_rnn.language import CharacterVocabulary
        >>> model = LanguageModel(CharacterVocabulary.from_text("hello"), "GRU", units=8, seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "model.tree")
        ...     save_language_model(model, path)
        ...     again = load_language_model(path)
        >>> again.sample(20, seed=1) == model.sample(20, seed=1)
        True
    """
    cell = uncompiled(model.cell)
    cells = cell.cells if type(cell) is nn.StackedCell else [cell]
    names = [name for name, kind in CELLS.items() if all(type(one) is kind for one in cells)]
    if not names or any(_options(one) != _options(type(one)(one.inputs, one.units)) for one in cells):
        option = " with options of its own" if names else ""
        raise TypeError(
            f"save_language_model: a {type(cell).__name__}{option} is not one of {', '.join(CELLS)}; save "
            "model.state_dict() with nn.save_weights instead"
        )
    tree = {
        "kind": KIND,
        "cell": names[0],
        "vocabulary": model.vocabulary.to_tree(),
        "weights": model.state_dict(),
    }
    save_tree(tree, path)


def _options(cell: nn.Cell) -> dict[str, Any]:
    """The options of a cell beside its sizes, and the names of its parameters."""
    return {
        name: "a parameter" if isinstance(value, nn.Parameter) else value
        for name, value in vars(cell).items()
        if name != "training"
    }


def load_language_model(path: str | os.PathLike[str]) -> LanguageModel:
    """Read what ``save_language_model`` wrote. Nothing in the file is executed.

    Args:
        path: the file.

    Raises:
        ValueError: the file is damaged, or not of this kind.
        OSError: the file can't be read.
    """
    tree = load_tree(path)
    if not isinstance(tree, dict) or tree.get("kind") != KIND:
        raise ValueError(f"{Path(path)} holds no language model; give a file that save_language_model wrote")
    try:
        vocabulary = Vocabulary.from_tree(tree["vocabulary"], source="its vocabulary")
        return _rebuilt(tree["cell"], vocabulary, tree["weights"])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise ValueError(f"{Path(path)} holds no whole language model: {error!r:.200}") from None


def _rebuilt(cell: str, vocabulary: Vocabulary, weights: Mapping[str, Any]) -> LanguageModel:
    """The model, no larger than its weights: their shapes are compared with each other before any memory is taken."""
    symbols, embedding_size = weights["embedding"].shape
    count = sum(path.startswith("cell.cells.") and path.endswith(".W") for path in weights)
    prefixes = [f"cell.cells.{i}" for i in range(count)] or ["cell"]
    units = len(weights[f"{prefixes[0]}.W"])
    fits = symbols == len(vocabulary) and len(weights["output.W"]) == units
    for size, prefix in zip([embedding_size] + [units] * (len(prefixes) - 1), prefixes):
        U, W = weights[f"{prefix}.U"], weights[f"{prefix}.W"]
        fits = fits and len(U) == size and len(W) == units and min(W.shape[1], U.shape[1]) >= units
    if not fits:
        raise ValueError("the sizes of its weights don't fit together")
    model = LanguageModel(
        vocabulary,
        cell,
        units=units,
        embedding_size=embedding_size,
        layers=len(prefixes),
        dtype=weights["embedding"].dtype,
    )
    model.load_state_dict(weights)
    model.eval()
    return model

"""A picture is checked by its structure, read back from the SVG and the scene, not by its bytes."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.viz import draw


def elman(T: int):
    rng = np.random.default_rng(0)
    shapes = {"U": (3, 2), "W": (2, 2), "b": (2,), "V": (2, 3), "c": (3,)}
    U, W, b, V, c = (tr.tensor(rng.normal(size=s) / 2, requires_grad=True, name=n) for n, s in shapes.items())

    def cell(x, h):
        return np.tanh(x @ U + h @ W + b)

    hs, _ = tr.unroll(cell, rng.normal(size=(T, 3)), state=np.zeros(2))
    targets = rng.integers(0, 2, (T, 3)).astype(float)
    return sum(-np.sum(targets[t] * np.log(tr.sigmoid(hs[t] @ V + c))) for t in range(T))


def test_svg_has_a_column_for_each_step_and_is_well_formed(tmp_path):
    picture = draw(elman(3))
    headings = [label.text for label in picture.scene.labels if label.kind == "heading"]
    assert headings == ["t = 1", "t = 2", "t = 3"]
    ET.fromstring(picture.svg)
    assert picture.save(tmp_path / "g.svg").read_bytes().lstrip().startswith(b"<")


def test_a_parameter_stands_once_with_a_tap_for_each_step():
    picture = draw(elman(5))
    boxes = [box for box in picture.scene.boxes if box.kind == "parameter" and box.vertex >= 0]
    assert sorted(box.lines[0].text for box in boxes) == ["U", "V", "W", "b", "c"]
    assert sum(path.kind == "tap" for path in picture.scene.paths) == 5 * 5


def test_a_freed_graph_says_what_to_do():
    loss = elman(2)
    loss.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        draw(loss)

"""Values and gradients in words: in boxes, in the text table and as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.viz import draw
from tinygrad_rnn.viz.reading.symbols import index_text, plain_number
from tinygrad_rnn.viz.writing.numbers import value_lines


def test_an_operation_with_several_results():
    """Its value and its gradient are several, too; a result that nobody uses has none."""
    values, _ = np.linalg.eigh(tr.tensor(np.diag([1.0, 2.0]), requires_grad=True, name="A"))
    picture = draw(np.sum(values * [3.0, 5.0]), values=True, gradients=True)
    (box,) = [box for box in picture.scene.boxes if [line.text for line in box.lines][:1] == ["linalg.eigh"]]
    assert [line.text for line in box.lines[1:]] == ["2 results", "∇ of 1 results"]
    document = json.loads(picture.json)
    (node,) = [node for node in document["nodes"] if node["operation"] == "linalg.eigh"]
    first, second = node["value"]["results"]
    assert first["numbers"] == [1.0, 2.0] and second["shape"] == [2, 2]
    (edge,) = [edge for edge in document["edges"] if edge["source"] == node["id"]]
    for given in (node["gradient"], edge["contribution"]):
        assert given["results"][0]["numbers"] == [3.0, 5.0] and given["results"][1] is None
    (line,) = [line for line in picture.text.splitlines() if " linalg.eigh  #0" in line]
    assert "2 results" in line and line.endswith("5.831")  # √(3² + 5²)


def test_what_is_not_finite_is_counted_beside_the_rest():
    array = np.ones(20)
    array[:3] = np.nan, np.inf, -np.inf
    assert value_lines(array) == ["(20,) float64", "mean 1", "1 … 1", "1 NaN, 2 inf"]
    assert value_lines(np.full(20, np.nan)) == ["(20,) float64", "20 NaN, 0 inf"]
    assert value_lines(np.arange(20)) == ["(20,) int64", "mean 9.5", "0 … 19"]
    assert value_lines(np.array(["word"] * 20)) == ["(20,) <U4"]


def test_json_has_words_for_what_json_has_no_numbers_for():
    x = tr.tensor([1.0, np.inf, -np.inf, np.nan], requires_grad=True, name="x")
    with np.errstate(all="ignore"):
        document = json.loads(draw(np.sum(x), gradients=True).json)
    assert document["nodes"][0]["value"]["numbers"] == [1.0, "inf", "-inf", "NaN"]
    assert document["nodes"][0]["value"]["norm"] == "NaN"


def test_large_arrays_have_a_shape_and_a_norm_alone():
    x = tr.tensor(np.ones(16), requires_grad=True, name="x")
    value = json.loads(draw(np.sum(x)).json)["nodes"][0]["value"]
    assert value == {"shape": [16], "dtype": "float64", "norm": 4.0}


@pytest.mark.parametrize("constant", [2, 2.0, np.float32(2), np.array(2.0), np.array([2.0]), np.array([[2]])])
def test_a_constant_of_one_number_is_written_into_its_operation(constant):
    assert plain_number(constant) == 2.0
    x = tr.tensor(np.ones(3), requires_grad=True, name="x")
    picture = draw(x * constant)
    assert [vertex.symbol for vertex in picture.graph.vertices] == ["", "× 2"]


@pytest.mark.parametrize("value", [True, None, "2", np.ones(2), np.array("2"), np.array(True)])
def test_what_is_not_one_number_is_not(value):
    assert plain_number(value) is None


@pytest.mark.parametrize(
    ("index", "written"),
    [((None, slice(2, None, 2)), "[new, 2::2]"), ((np.array([1, 2]),), "[index]"), ((slice(None, -1),), "[:-1]")],
)
def test_indices_as_they_were_written(index, written):
    assert index_text(index) == written

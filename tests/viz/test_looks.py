"""What one sees: frames, labels of lines, the order of units, names in wide boxes, indices, and how wide it all is."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.viz.networks import (
    attending,
    bidirectional,
    built_in,
    elman,
    encoder_decoder,
    language,
    masked,
    skipping,
    stacked,
)
from tinygrad_rnn.viz import draw
from tinygrad_rnn.viz.compose import MOST_WIDTH
from tinygrad_rnn.viz.formats import graphviz as render
from tinygrad_rnn.viz.placing.step_template import levels_from_below
from tinygrad_rnn.viz.scene import SUBSCRIPTS, text_width

needs_renderer = pytest.mark.skipif(not render.renderers(), reason="no Graphviz, neither the system's nor pygraphviz's")
SPACE = "{http://www.w3.org/2000/svg}"


# --- Graphviz draws what we draw ------------------------------------------------------------------------------------


@needs_renderer
@pytest.mark.parametrize("network", [stacked, masked, bidirectional, lambda: elman(12)[0]])
def test_no_frame_hides_the_columns_behind_it(network):
    picture = draw(network())
    root = ET.fromstring(render.render(picture.dot, "svg"))
    fills = {
        group.find(f"{SPACE}title").text: group.find(f".//{SPACE}path").get("fill")
        for group in root.iter(f"{SPACE}g")
        if group.get("class") == "cluster"
    }
    for panel in picture.scene.panels:
        assert (fills[f"cluster_{panel.name}"] in ("none", "transparent")) == (panel.kind == "lane")


@needs_renderer
def test_a_png_shows_the_columns_inside_the_frames(tmp_path):
    image = pytest.importorskip("PIL.Image").open(draw(stacked()).save(tmp_path / "stacked.png")).convert("RGB")
    column = (0xF3, 0xF6, 0xF9)
    shown = sum(count for count, color in image.getcolors(1 << 24) if color == column)
    panels = [panel for panel in draw(stacked()).scene.panels if panel.kind == "column"]
    assert (
        shown > 0.6 * sum(panel.width * panel.height for panel in panels) * 4
    )  # two pixels a point, in each direction


@needs_renderer
def test_titles_formulas_and_constants_look_alike_in_both():
    picture = draw(stacked(), formulas=True)
    root = ET.fromstring(render.render(picture.dot, "svg"))
    texts = [(text.text, text.get("font-style"), text.get("font-family")) for text in root.iter(f"{SPACE}text")]
    assert {title for title, style, _ in texts if style == "italic"} == {"layer 0 · RNNCell", "layer 1 · RNNCell"}
    formula = "".join(text for text, _, family in texts if family == "serif")
    assert formula == 2 * "ht = tanh(xt U + ht−1 W + b)"  # its indices below the line
    assert 'dy="2.6" font-size="9">t−1</tspan><tspan dy="-2.6"> W + b)</tspan>' in picture.svg
    style = re.search(r"<style>(.*?)</style>", draw(elman(2)[0]).svg, flags=re.S)[1]
    assert not re.search(r"\} ?\.p\w+ \.constant\{", style)  # the lines of constants are dashed, not their boxes


def summed_step_by_step():
    """An Elman network whose loss adds one term a step: a short loop beside the line that brings the first term."""
    loss, W = 0, tr.tensor(np.eye(3), requires_grad=True, name="W")
    ys, _ = tr.unroll(lambda x, h: (np.tanh(x + h @ W) @ W, np.tanh(x + h @ W)), np.ones((9, 3)), state=np.zeros(3))
    for t in range(1, 10):
        with tr.scope(step=t):
            term = tr.named("L", np.sum(np.square(ys[t - 1] - tr.tensor(np.ones(3), name="target"))))
            loss = term if t == 1 else loss + term
    return loss


# --- rolled -----------------------------------------------------------------------------------------------------------

ROLLED = {
    "elman": lambda: elman(4)[0],
    "lstm": lambda: built_in(tr.nn.LSTMCell(3, 2)),
    "gru": lambda: built_in(tr.nn.GRUCell(3, 2)),
    "stacked": stacked,
    "skipping": skipping,
    "summed step by step": summed_step_by_step,
    "bidirectional": bidirectional,
    "attending": attending,
    "encoder_decoder": encoder_decoder,
}


def upright(path):
    """The vertical parts of a path, as (x, upper end, lower end)."""
    return [(a[0], min(a[1], b[1]), max(a[1], b[1])) for a, b in pairwise(path.points) if abs(a[0] - b[0]) < 0.01]


@pytest.mark.parametrize("name", ROLLED)
@pytest.mark.parametrize("level", ["op", "gate"])
def test_each_delay_stands_at_its_own_line(name, level):
    scene = draw(ROLLED[name](), view="rolled", level=level).scene
    path_of = {path.edge: path for path in scene.paths if path.kind in ("carry", "initial")}
    labels = [label for label in scene.labels if label.kind == "loop"]
    assert labels
    for label in labels:  # round corners take four points off each end
        own = [x for x, top, bottom in upright(path_of[label.edge]) if top - 9 <= label.y - 3 <= bottom + 9]
        distance = min(label.x - x for x in own)
        assert 0 < distance <= 6
        for path in scene.paths:  # nothing else runs through it, or between it and its line
            for x, top, bottom in upright(path):
                if top < label.y - 3 < bottom:
                    assert not label.x - distance + 0.5 < x < label.x + text_width(label.text, label.size)


@pytest.mark.parametrize("name", ROLLED)
def test_no_line_strikes_a_label_out(name):
    scene = draw(ROLLED[name](), view="rolled").scene
    level = [(a, b) for path in scene.paths for a, b in pairwise(path.points) if abs(a[1] - b[1]) < 0.01]
    for label in scene.labels:
        if label.kind == "loop":
            right = label.x + text_width(label.text, label.size)
            for a, b in level:
                across = min(a[0], b[0]) < right and max(a[0], b[0]) > label.x
                assert not (across and label.y - 7 < a[1] < label.y + 1)


@pytest.mark.parametrize("name", ROLLED)
def test_labels_of_lines_do_not_overlap(name):
    scene = draw(ROLLED[name](), view="rolled").scene
    placed = [(b.x, b.x + text_width(b.text, b.size), b.y) for b in scene.labels if b.kind in ("loop", "first")]
    for i, (left, right, y) in enumerate(placed):
        assert all(right < x or end < left or abs(y - other) >= 9 for x, end, other in placed[:i])
        assert right <= scene.width


@pytest.mark.parametrize("T", [1, 2, 7])
def test_an_initial_state_says_at_which_step_it_is_used(T):
    cell = tr.nn.GRUCell(2, 3)
    xs = np.ones((T, 2), np.float32)
    for reverse, expected in ((False, "t = 1"), (True, "t = T" if T > 1 else "t = 1")):
        scene = draw(np.sum(tr.unroll(cell, xs, reverse=reverse)[0]), view="rolled").scene
        begins = [path for path in scene.paths if path.kind == "initial"]
        boxes = {box.name: box for box in scene.boxes}
        assert begins and all(boxes[path.source].step == 0 for path in begins)
        assert {label.text for label in scene.labels if label.kind == "first"} == {expected}
        assert not any(path.kind == "carry" and boxes[path.source].step == 0 for path in scene.paths)


@pytest.mark.parametrize("choices", [{}, {"view": "rolled"}])
def test_the_parts_of_a_cells_initial_state_stand_in_its_row(choices):
    boxes = draw(built_in(tr.nn.LSTMCell(3, 2, seed=0), 3), level="cell", **choices).scene.boxes
    assert len({box.y for box in boxes if box.vertex >= 0 and box.kind in ("state", "cell")}) == 1


def test_what_an_encoder_hands_to_a_decoder_is_a_beginning_too():
    scene = draw(encoder_decoder(), view="rolled").scene
    assert {label.text for label in scene.labels if label.kind == "first"} == {"t = 1", "t = T to t = 1"}
    assert {label.text for label in scene.labels if label.kind == "loop"} == {"delay 1, 3×", "delay 1, 2×"}


@pytest.mark.parametrize("name", ROLLED)
def test_the_heading_of_the_steps_is_crossed_by_no_line(name):
    scene = draw(ROLLED[name](), view="rolled").scene
    (heading,) = [label for label in scene.labels if label.text == "t = 1 … T"]
    for path in scene.paths:
        for (x, y), (other, end) in pairwise(path.points):
            assert not (heading.y - 11 < y < heading.y + 3 and y == end and min(x, other) < heading.x < max(x, other))


# --- numbers ----------------------------------------------------------------------------------------------------------


NUMBERS = {
    "elman": lambda: elman(2)[0],
    "lstm": lambda: tr.nn.LSTM(2, 3)(np.ones((2, 1, 2), np.float32))[0].sum(),
}


@pytest.fixture(params=NUMBERS)
def picture(request):
    return draw(NUMBERS[request.param](), level="scalar")


def test_units_stand_in_order_and_side_by_side(picture):
    rows = defaultdict(list)
    for box in picture.scene.boxes:
        match = box.lines and re.fullmatch(r"(\D+)\[([\d,]+)\](\D*)", box.lines[0].text)
        if match and match[3]:  # a unit at a step
            rows[match[1], box.step].append((tuple(map(int, match[2].split(","))), box.x, box.y))
    assert len(rows) >= 5
    for units in rows.values():
        assert [x for _, x, _ in sorted(units)] == sorted(x for _, x, _ in units)
        assert len({y for _, _, y in units}) == 1


def test_parameters_stand_in_the_order_of_their_elements(picture):
    columns = defaultdict(list)
    for box in picture.scene.boxes:
        if box.kind == "parameter" and box.lines:
            name, _, index = box.lines[0].text.partition("[")
            columns[name].append((tuple(map(int, index.rstrip("]").split(","))), box.y))
    for elements in columns.values():
        assert [y for _, y in sorted(elements)] == sorted(y for _, y in elements)


def test_all_of_a_step_is_inside_its_frame(picture):
    columns = {panel.step: panel for panel in picture.scene.panels if panel.kind == "column"}
    vertices = picture.graph.vertices
    for box in picture.scene.boxes:
        if box.step in columns and box.vertex >= 0 and vertices[box.vertex].lane is not None:
            frame = columns[box.step]
            assert frame.x <= box.x - box.width / 2 and box.x + box.width / 2 <= frame.x + frame.width
            assert frame.y <= box.y - box.height / 2 and box.y + box.height / 2 <= frame.y + frame.height
    lowest = max(frame.y + frame.height for frame in columns.values())
    assert all(y <= lowest for path in picture.scene.paths if path.kind == "carry" for _, y in path.points)


def test_results_stand_above_what_they_are_made_of_and_constants_below_their_users():
    edges = [("x", "p"), ("p", "s"), ("q", "s"), ("k", "s")]
    found = levels_from_below(["x", "p", "q", "k", "s"], edges, ["p", "q", "s"], ["k"])
    assert found == {"x": 0, "p": 1, "q": 1, "k": 1, "s": 2}
    assert levels_from_below(["p", "s"], [("p", "s")], ["p", "s"], []) == {"p": 0, "s": 1}


# --- wide boxes, wide pictures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("choices", [{}, {"color": "gradient"}, {"values": True}])
def test_the_name_of_a_bar_is_never_further_away_than_a_screen(choices):
    picture = draw(language(), elide=False, **choices)
    wide = [box for box in picture.scene.boxes if box.width > 800]
    assert wide
    for box in wide:
        left, right = box.x - box.width / 2, box.x + box.width / 2
        again = [
            label for label in picture.scene.labels if label.kind.startswith("again") and abs(label.y - box.y) < 20
        ]
        places = sorted([left, box.x, *(label.x for label in again), right])
        assert max(b - a for a, b in pairwise(places)) <= 600
        assert {label.text for label in again} == {box.lines[0].text}


@pytest.mark.parametrize("T", [8, 20])
@pytest.mark.parametrize("choices", [{"gradients": True}, {"values": True, "gradients": True}, {"level": "scalar"}])
def test_a_picture_that_would_be_too_wide_is_elided(T, choices):
    picture = draw(elman(T)[0], **choices)
    assert picture.scene.width <= MOST_WIDTH
    assert any(vertex.kind == "elided" for vertex in picture.graph.vertices)
    assert draw(elman(T)[0], elide=False, **choices).scene.width > MOST_WIDTH


def test_a_step_that_is_followed_stays_visible_however_wide():
    picture = draw(elman(12)[0], highlight=(6, "W"), gradients=True)
    assert {5, 6} <= {box.step for box in picture.scene.boxes if box.kind == "state"}


# --- indices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("choices", [{}, {"level": "cell", "gradients": True}, {"highlight": (2, "W")}])
def test_indices_are_ordinary_figures_below_the_line(choices):
    picture = draw(elman(3)[0], **choices)
    root = ET.fromstring(picture.svg)
    for text in root.iter(f"{SPACE}text"):
        assert not SUBSCRIPTS.keys() & set("".join(text.itertext()))
        shifted = [float(span.get("dy", 0)) for span in text.iter(f"{SPACE}tspan")]
        sizes = [float(span.get("font-size", text.get("font-size"))) for span in text.iter(f"{SPACE}tspan")]
        assert all(size >= 7 for size in sizes)
        if shifted and (text[-1].tail or text[-1].get("font-size") is None):
            assert abs(sum(shifted)) < 0.2  # what follows stands on the line again
    titles = {"".join(text.itertext()) for text in root.iter(f"{SPACE}text")}
    assert {"x1", "x2", "x3"} <= titles
    dot = "".join(line for line in picture.dot.splitlines() if "label=" in line)
    assert not SUBSCRIPTS.keys() & set("".join(re.findall(r"label=<(.*?)> (?:pos|fontsize)", dot)))

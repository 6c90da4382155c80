"""What a picture promises to the eye, checked on its geometry: nothing overlaps, nothing is crossed, rows align."""

from __future__ import annotations

import itertools
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.viz.networks import NETWORKS, built_in, elman, elman_at_once
from tinygrad_rnn.viz import draw
from tinygrad_rnn.viz.formats.colors import DARK, LIGHT
from tinygrad_rnn.viz.scene import WIDER_FONTS, text_width
from tinygrad_rnn.viz.writing.norm_colors import CIVIDIS, GradientScale, contrast, ink_on

SVG = "{http://www.w3.org/2000/svg}"
OPTIONS = {
    "op": {},
    "gate": {"level": "gate"},
    "cell": {"level": "cell"},
    "rolled": {"view": "rolled"},
    "layer": {"level": "layer"},
    "numbers": {"values": True, "gradients": True},
    "colored": {"color": "gradient"},
}
EVERY = [
    pytest.param(make, options, id=f"{name}-{kind}")
    for name, make in NETWORKS.items()
    for kind, options in OPTIONS.items()
]


def solid_boxes(scene):
    return [box for box in scene.boxes if box.kind != "elided"]


def on_the_way(points, pieces=12):
    """Points along a chain of Bézier curves, (points, 2)."""
    t = np.linspace(0, 1, pieces + 1)[:, None]
    weights = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3])
    curves = [weights @ points[i : i + 4] for i in range(0, len(points) - 3, 3)]
    return np.vstack([np.zeros((0, 2)), *curves])


@pytest.mark.parametrize("level", ["op", "gate"])
@pytest.mark.parametrize("color", [None, "gradient"])
def test_no_line_runs_through_what_is_told_of_elided_steps(level, color):
    scene = draw(elman(40)[0], level=level, gradients=True, color=color).scene
    (middle,) = {box.x for box in scene.boxes if box.kind == "elided"}
    told = [label for label in scene.labels if label.x == middle and label.kind in ("tap", "elided-title")]
    assert "⋯ 35 steps" in [label.text for label in told]
    assert any("…" in label.text for label in told)  # the range of the norms
    beside = [label for label in scene.labels if label.kind == "tap" and label not in told]
    for label in told:
        top, bottom = label.y - 0.75 * label.size, label.y + 0.2 * label.size
        half = text_width(label.text, label.size, label.bold) / 2
        for path in scene.paths:
            x, y = on_the_way(path.points, 60).T
            assert not ((abs(x - middle) < half) & (top < y) & (y < bottom)).any(), (label.text, path)
        for other in beside:
            width = text_width(other.text, other.size)
            aside = other.x > middle + half or other.x + width < middle - half
            assert aside or not top < other.y < bottom + 0.75 * other.size, (label.text, other.text)


@pytest.mark.parametrize("loss", [elman(3)[0], built_in(tr.nn.RNNCell(3, 4, seed=0), 3)], ids=["2 units", "4 units"])
@pytest.mark.parametrize("options", [{}, {"view": "rolled"}, {"level": "gate"}, {"direction": "both"}])
def test_what_is_written_beside_a_tap_stays_in_its_column_and_no_line_runs_through_it(options, loss):
    scene = draw(loss, gradients=True, **options).scene
    beside = [label for label in scene.labels if label.kind == "tap"]
    assert beside
    columns = {panel.step: panel for panel in scene.panels if panel.kind == "column"}
    for label in beside:
        left, right = label.x + 1, label.x + text_width(label.text, label.size) * WIDER_FONTS - 1
        assert right < columns[label.step].x + columns[label.step].width, label.text
        top, bottom = label.y - 0.75 * label.size, label.y + 1
        for path in scene.paths:
            x, y = on_the_way(path.points, 60).T
            assert not ((left < x) & (x < right) & (top < y) & (y < bottom)).any(), (label.text, path)


def test_the_initial_state_of_a_layer_that_runs_back_meets_no_other_arrow():
    """It comes from the left, where the last step hands its state on to the one before."""
    picture = draw(NETWORKS["bidirectional"](), level="gate")
    vertices = picture.graph.vertices
    carried = [path for path in picture.scene.paths if path.kind == "carry"]
    for one, other in itertools.combinations(carried, 2):
        if one.target == other.source and vertices[int(one.source[1:])].step == 0:
            assert one.points[-1] != other.points[0]


def test_arrow_heads_stand_upright_below_their_boxes():
    """However far to the side an edge begins: it arrives along the axis of its head."""
    scene = draw(built_in(tr.nn.RNNCell(3, 5)), values=True, gradients=True).scene
    flat = []
    for path in scene.paths:
        (x, y), (tip_x, tip_y) = path.points[0], path.points[-1]
        if path.kind == "flow" and abs(x - tip_x) > 2 * abs(y - tip_y):
            flat.append(path)
            before = next(point for point in reversed(path.points) if point != path.points[-1])
            last = on_the_way(path.points, 40)[-10]
            assert before[0] == tip_x and abs(last[0] - tip_x) < 1.5
    assert flat


@pytest.mark.parametrize(("make", "options"), EVERY)
@pytest.mark.one_in(4)
def test_no_boxes_overlap_and_all_is_on_the_page(make, options):
    scene = draw(make(), **options).scene
    boxes = solid_boxes(scene)
    centers, sizes = (np.array(pairs) for pairs in zip(*(((b.x, b.y), (b.width, b.height)) for b in boxes)))
    apart = np.abs(centers[:, None] - centers) - (sizes[:, None] + sizes) / 2  # (boxes, boxes, 2)
    for i, j in np.argwhere(apart.max(axis=2) <= -0.1):
        assert i >= j or boxes[i].name.startswith("scale"), (boxes[i], boxes[j])
    for box in scene.boxes:
        assert box.x - box.width / 2 >= 0 and box.x + box.width / 2 <= scene.width
        assert box.y - box.height / 2 >= 0 and box.y + box.height / 2 <= scene.height
    for x, y in (point for path in scene.paths for point in path.points):
        assert 0 <= x <= scene.width and 0 <= y <= scene.height


@pytest.mark.parametrize(("make", "options"), EVERY)
@pytest.mark.one_in(4)
def test_no_line_crosses_a_box_that_it_does_not_join(make, options):
    scene = draw(make(), **options).scene
    boxes = [box for box in solid_boxes(scene) if box.width <= 0.6 * scene.width]  # lines pass behind wider bars
    names = np.array([box.name for box in boxes])
    centers = np.array([(box.x, box.y) for box in boxes])
    halves = np.array([(box.width, box.height) for box in boxes]) / 2 - 0.5
    for path in scene.paths:
        inside = (np.abs(on_the_way(path.points)[:, None] - centers) < halves).all(axis=2)  # (points, boxes)
        crossed = set(names[inside.any(axis=0)]) - {path.source, path.target}
        assert not crossed, (path, crossed)


@pytest.mark.parametrize(("make", "options"), EVERY)
@pytest.mark.one_in(4)
def test_text_fits_its_box_and_is_large_enough_to_read(make, options):
    scene = draw(make(), **options).scene
    for box in scene.boxes:
        for line in box.lines:
            assert line.size >= 9
            assert text_width(line.text, line.size, line.bold) <= box.width + 0.1
    for label in scene.labels:
        assert label.size >= 9
        assert label.anchor != "start" or label.x + text_width(label.text, label.size) <= scene.width + 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: elman(3)[0],
        lambda: built_in(tr.nn.LSTMCell(3, 2)),
        lambda: built_in(tr.nn.GRUCell(3, 2)),
    ],
    ids=["elman", "lstm", "gru"],
)
def test_golden_sizes_fit_a_screen(make):
    scene = draw(make()).scene
    assert scene.width <= 1600
    assert scene.height <= 900


def test_a_column_for_each_step_and_rows_that_align():
    picture = draw(elman(3)[0])
    headings = [label for label in picture.scene.labels if label.kind == "heading"]
    assert [label.text for label in headings] == ["t = 1", "t = 2", "t = 3"]
    assert [label.x for label in headings] == sorted(label.x for label in headings)
    columns = [{}, {}, {}]
    for box in picture.scene.boxes:
        if box.step:
            columns[box.step - 1].setdefault((round(box.y, 3), round(box.width, 3)), []).append(box.x)
    assert columns[0].keys() == columns[1].keys() == columns[2].keys()
    for place in columns[0]:
        shifts = {round(b - a, 3) for a, b in zip(sorted(columns[0][place]), sorted(columns[1][place]))}
        assert shifts == {round(headings[1].x - headings[0].x, 3)}


def test_a_first_step_that_is_partly_constant_still_lines_up():
    picture = draw(NETWORKS["leaky"]())
    states = [box for box in picture.scene.boxes if box.kind == "state" and box.step]
    assert len(states) == 4 and len({box.y for box in states}) == 1


def test_what_a_step_hands_to_the_next_runs_to_the_right():
    for make in (lambda: elman(6)[0], NETWORKS["lstm"], NETWORKS["skipping"]):
        carried = [path for path in draw(make()).scene.paths if path.kind == "carry"]
        assert carried
        for path in carried:
            xs = [x for x, _ in path.points]
            assert xs == sorted(xs), "leftward"


def test_a_layer_that_goes_backward_in_time_has_arrows_to_the_left():
    picture = draw(NETWORKS["both_ways"]())
    carried = [path.points for path in picture.scene.paths if path.kind == "carry"]
    assert sum(points[0][0] > points[-1][0] for points in carried) == 3
    assert sum(points[0][0] < points[-1][0] for points in carried) == 3


def test_a_parameter_stands_once_with_a_tap_for_each_step():
    picture = draw(elman(5)[0])
    boxes = [box for box in picture.scene.boxes if box.kind == "parameter" and box.vertex >= 0]
    assert sorted(box.lines[0].text for box in boxes) == ["U", "V", "W", "b", "c"]
    taps = [path for path in picture.scene.paths if path.kind == "tap"]
    assert len(taps) == 5 * 5
    assert len(picture.scene.dots) == 5 * 5


def test_svg_names_and_describes_every_node():
    picture = draw(elman(3)[0], gradients=True)
    root = ET.fromstring(picture.svg)
    assert root.find(f"{SVG}title").text == "computation graph over 3 time steps"
    groups = [group for group in root.iter(f"{SVG}g") if group.find(f"{SVG}title") is not None]
    assert len(groups) == len(picture.graph.vertices)
    described = {group.find(f"{SVG}title").text: group.find(f"{SVG}desc").text for group in groups}
    assert "local derivative: ∂y/∂a = 1 − y²" in described["h₂ = tanh"]
    assert "h_t = tanh(x_t U + h_{t-1} W + b)" in described["h₂ = tanh"]
    assert "gradient: " in described["W"] and "not computed" not in described["W"]


def test_two_pictures_on_one_page_share_no_names():
    one, other = draw(elman(2)[0]).svg, draw(elman(3)[0]).svg
    names = [ET.fromstring(svg).get("class") for svg in (one, other)]
    assert names[0] != names[1]
    for svg, own, foreign in ((one, *names), (other, *names[::-1])):
        assert foreign not in svg
        assert all(rule.startswith(f".{own}") for rule in svg.split("<style>")[1].split("</style>")[0].splitlines())
        assert svg.count(' id="') == svg.count(f' id="{own}-')


def test_colors_can_be_read_and_told_apart():
    for palette in (LIGHT, DARK):
        paper = palette.paper
        fills = [color.fill for color in palette.kinds.values()] + [paper.paper, paper.column]
        for fill in fills:
            assert contrast(paper.ink, fill) >= 4.5
            assert contrast(paper.muted, fill) >= 4.5
            assert contrast(paper.gradient, fill) >= 4.5
        for line in (*palette.tints, paper.line, paper.carry):
            assert contrast(line, paper.column) >= 3
    scale = GradientScale([1e-12, 1.0])
    for n in range(101):
        assert contrast(scale.at(n / 100), ink_on(scale.at(n / 100))) >= 4.5
    lightness = [contrast(color, "#000000") for color in CIVIDIS]
    assert lightness == sorted(lightness)


def test_bytes_are_the_same_in_every_process(tmp_path):
    program = (
        "import sys; from tests.viz.networks import NETWORKS; from tinygrad_rnn.viz import draw\n"
        "p = draw(NETWORKS[sys.argv[1]](), gradients=True)\n"
        "sys.stdout.buffer.write((p.svg + p.dot + p.html + p.json + p.text).encode())"
    )
    found = set()
    for seed in ("1", "2"):
        command = [sys.executable, "-c", program, "elman"]
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ".", "PATH": "", "SYSTEMROOT": ""}
        found.add(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    assert len(found) == 1 and len(found.pop()) > 10_000


def test_many_steps_are_drawn_without_recursion():
    loss, _ = elman_at_once(3000)
    picture = draw(loss, elide=False)
    assert sum(label.kind == "heading" for label in picture.scene.labels) == 3000

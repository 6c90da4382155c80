"""Writing pictures to files: by Graphviz in a process of its own, or without any Graphviz."""

from __future__ import annotations

import json
import os
import stat
import time
import xml.etree.ElementTree as ET
from collections import Counter
from itertools import groupby, pairwise
from pathlib import Path

import graphviz
import pytest

from tests.viz.networks import elman, stacked, without_time
from tinygrad_rnn.viz import draw
from tinygrad_rnn.viz.formats import graphviz as render
from tinygrad_rnn.viz.formats.dot import DIMMED, to_dot

GOLDEN = Path(__file__).with_name("golden.dot")
needs_renderer = pytest.mark.skipif(not render.renderers(), reason="no Graphviz, neither the system's nor pygraphviz's")
posix_only = pytest.mark.skipif(os.name != "posix", reason="a stand-in for Graphviz is a shell script")


@pytest.fixture
def picture():
    return draw(elman(3)[0])


def install(folder, monkeypatch, script):
    """A stand-in for the system's Graphviz."""
    for name in ("neato", "dot"):
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/bin{os.pathsep}/usr/bin")


def without_graphviz(monkeypatch):
    monkeypatch.setattr(render, "renderers", list)


def test_dot_is_what_it_was():
    """Regenerate with: python -m tests.viz.test_rendering."""
    assert to_dot(draw(elman(2)[0]).scene) == GOLDEN.read_text("utf-8")


@needs_renderer
@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_graphviz_renders(picture, tmp_path, kind, start):
    path = picture.save(tmp_path / f"graph.{kind}", renderer="graphviz")
    assert path.read_bytes().startswith(start)


@needs_renderer
def test_graphviz_keeps_every_position(picture):
    root = ET.fromstring(render.render(picture.dot, "svg"))
    space = "{http://www.w3.org/2000/svg}"
    found = {}
    for group in root.iter(f"{space}g"):
        text = group.find(f".//{space}text")
        title = group.find(f"{space}title")
        if group.get("class") == "node" and text is not None and title.text.startswith("n"):
            found[title.text] = (float(text.get("x")), float(text.get("y")))
    boxes = {box.name: box for box in picture.scene.boxes if box.vertex >= 0}
    assert found.keys() == boxes.keys()
    shift = {round(y - boxes[name].y) - round(found["n0"][1] - boxes["n0"].y) for name, (_, y) in found.items()}
    assert max(map(abs, shift)) <= 16  # text within its box; all boxes moved alike
    assert len(root.findall(f".//{space}g[@class='edge']")) == len(picture.scene.paths)
    assert len(root.findall(f".//{space}g[@class='cluster']")) == len(picture.scene.panels)


@needs_renderer
@pytest.mark.parametrize(
    ("loss", "choices"),
    [
        (stacked, {}),
        (stacked, {"direction": "backward"}),
        (lambda: elman(3)[0], {"direction": "both"}),
        (lambda: elman(3)[0], {"highlight": (2, "W")}),
    ],
    ids=["layers", "backward", "both", "highlight"],
)
def test_graphviz_draws_what_we_draw(loss, choices):
    """Titles of layers, arrow heads and what stands back: as many as in the SVG that is written without Graphviz."""
    shown = draw(loss(), **choices)
    space = "{http://www.w3.org/2000/svg}"
    root = ET.fromstring(render.render(shown.dot, "svg"))
    words = "".join(root.itertext())
    assert all(panel.title in words for panel in shown.scene.panels if panel.title)
    heads = [len(edge.findall(f".//{space}polygon")) for edge in root.findall(f".//{space}g[@class='edge']")]
    assert sum(heads) == sum(bool(path.arrow) for path in shown.scene.paths)
    drawn = Counter(
        (edge.find(f"{space}title").text, edge.find(f".//{space}path").get("stroke") == DIMMED)
        for edge in root.findall(f".//{space}g[@class='edge']")
    )
    assert drawn == Counter((f"{path.source}->{path.target}", path.dimmed) for path in shown.scene.paths)
    pale = {
        node.find(f"{space}title").text
        for node in root.findall(f".//{space}g[@class='node']")
        if any(part.get("stroke") == DIMMED for part in node.iter(f"{space}path"))
    }
    assert pale == {box.name for box in shown.scene.boxes if box.dimmed}


def test_the_picture_is_a_digraph_that_can_be_edited(picture):
    digraph = picture.digraph
    assert isinstance(digraph, graphviz.Digraph)
    digraph.node("mine", "a remark", pos="10,10")
    assert "a remark" in digraph.source and picture.dot.splitlines()[1] in digraph.source


def test_without_any_graphviz_everything_but_png_and_pdf_works(picture, tmp_path, monkeypatch):
    without_graphviz(monkeypatch)
    for kind in ("svg", "dot", "html", "json", "txt"):
        assert picture.save(tmp_path / f"graph.{kind}").stat().st_size > 500
    ET.parse(tmp_path / "graph.svg")
    for kind in ("png", "pdf"):
        with pytest.raises(RuntimeError, match=r'pip install .*\[render\]"'):
            picture.save(tmp_path / f"graph.{kind}")
        assert not (tmp_path / f"graph.{kind}").exists()


@posix_only
def test_a_renderer_that_hangs_is_stopped_with_all_it_started(picture, tmp_path, monkeypatch):
    marker = tmp_path / "started"
    install(tmp_path, monkeypatch, f"sleep 60 & echo $! > {marker}; wait")
    monkeypatch.setattr(render.importlib.util, "find_spec", lambda name: None)
    begin = time.monotonic()
    with pytest.raises(RuntimeError, match=r"neato: stopped after 0.5 s; dot: stopped after 0.5 s"):
        picture.save(tmp_path / "graph.png", time_limit=0.5)
    assert time.monotonic() - begin < 30
    child = int(marker.read_text())
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            break
        if Path(f"/proc/{child}/stat").exists() and Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.05)
    else:
        pytest.fail("what the renderer started is still running")


@posix_only
@needs_renderer
def test_a_renderer_that_fails_is_followed_by_the_next(picture, tmp_path, monkeypatch):
    if "pygraphviz" not in dict(render.renderers()):
        pytest.skip("needs pygraphviz")
    install(tmp_path, monkeypatch, "echo broken >&2; exit 1")
    assert picture.save(tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")


@posix_only
def test_when_all_renderers_fail_their_reasons_are_told(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "echo no fonts >&2; exit 1")
    monkeypatch.setattr(render.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match="rendering png failed; neato: no fonts; dot: no fonts"):
        render.render("digraph {}", "png")


def test_svg_is_the_projects_own_unless_asked(picture, tmp_path, monkeypatch):
    monkeypatch.setattr(render, "_run", lambda *_: pytest.fail("Graphviz was not asked for"))
    assert picture.save(tmp_path / "graph.svg").read_text("utf-8") == picture.svg
    without_graphviz(monkeypatch)
    with pytest.raises(RuntimeError, match="SVG needs Graphviz, and there is none"):
        picture.save(tmp_path / "graph.svg", renderer="graphviz")


@pytest.mark.parametrize(("name", "renderer"), [("graph.svg", "inkscape"), ("graph.html", "graphviz")])
def test_an_unknown_renderer_is_refused(picture, tmp_path, name, renderer):
    with pytest.raises(ValueError, match=r'there is "graphviz", for \.svg, \.png and \.pdf'):
        picture.save(tmp_path / name, renderer=renderer)


@needs_renderer
def test_graphviz_keeps_lines_of_text_apart(picture):
    """Of itself it sets lines of different sizes so close that an @ touches the numbers below it."""
    root = ET.fromstring(render.render(draw(elman(2)[0], gradients=True).dot, "svg"))
    space = "{http://www.w3.org/2000/svg}"
    nodes = [group for group in root.iter(f"{space}g") if group.get("class") == "node"]
    by_height = [groupby(node.iter(f"{space}text"), key=lambda text: text.get("y")) for node in nodes]
    lines = [[next(line) for _, line in node] for node in by_height]
    pairs = [pair for node in lines for pair in pairwise(node)]
    assert len(pairs) > 20
    for upper, lower in pairs:
        assert float(lower.get("y")) - float(upper.get("y")) >= 1.15 * float(lower.get("font-size"))


@needs_renderer
def test_graphviz_begins_labels_where_they_belong(picture):
    """Right of the tap, whatever width Graphviz measures."""
    scene = draw(elman(2)[0], gradients=True).scene
    root = ET.fromstring(render.render(to_dot(scene), "svg"))
    space = "{http://www.w3.org/2000/svg}"
    found = {}
    for group in root.iter(f"{space}g"):
        text = group.find(f"{space}text")
        if group.get("class") == "node" and text is not None:
            found[group.find(f"{space}title").text] = (text.get("text-anchor"), float(text.get("x")))
    labels = {f"label{n}": label for n, label in enumerate(scene.labels) if label.anchor == "start"}
    assert len(labels) > 10
    for name, label in labels.items():
        anchor, x = found[name]
        assert anchor == "start" and abs(x - label.x) < 2.5


def test_an_unknown_ending_is_refused(picture, tmp_path):
    with pytest.raises(ValueError, match=r"ends in none of \.svg, \.png"):
        picture.save(tmp_path / "graph.bmp")


def test_the_page_is_painted(picture):
    """Or its dark text is lost on a dark slide: few programs but browsers heed a background in CSS."""
    root = ET.fromstring(picture.svg)
    space = "{http://www.w3.org/2000/svg}"
    first = next(child for child in root if child.tag in (f"{space}rect", f"{space}g", f"{space}path"))
    assert (first.get("class"), first.get("width")) == ("paper", root.get("width"))
    assert ".paper{fill:#" in root.find(f"{space}style").text


def test_a_notebook_gets_svg_and_text(picture):
    bundle = picture._repr_mimebundle_()
    assert bundle["image/svg+xml"].startswith("<svg")
    assert (
        bundle["text/plain"]
        == "<Picture: computation graph over 3 time steps; 48 nodes, 59 edges; parameters: U, W, b, V, c>"
    )


def test_json_has_the_whole_graph(picture):
    document = json.loads(draw(elman(2)[0], gradients=True).json)
    assert document["equations"] == ["h_t = tanh(x_t U + h_{t-1} W + b)"]
    leaf = next(node for node in document["nodes"] if node["name"] == "W")
    taps = [edge["contribution"]["numbers"] for edge in document["edges"] if edge["source"] == leaf["id"]]
    assert len(taps) == 2
    for i in range(2):
        for j in range(2):
            assert sum(tap[i][j] for tap in taps) == pytest.approx(leaf["gradient"]["numbers"][i][j])


def test_the_text_table_has_a_line_for_each_node():
    picture = draw(without_time(), gradients=True)
    lines = picture.text.splitlines()
    assert lines[0] == "computation graph"
    assert len(lines) == 4 + len(picture.graph.vertices)
    assert lines[3].split() == [
        "#",
        "step",
        "layer",
        "kind",
        "name",
        "made",
        "by",
        "from",
        "value",
        "norm",
        "of",
        "gradient",
    ]


def test_the_text_ends_with_the_terms_of_a_highlight():
    picture = draw(elman(4)[0], highlight=(3, "W"))
    *_, first, second, third = picture.text.splitlines()
    for step, line in enumerate((first, second, third), start=1):
        assert line.startswith(f"k = {step}: ∂L₃/∂h₃ · ") and f"∂⁺h{'₁₂₃'[step - 1]}/∂W, norm " in line
    written = [float(line.rpartition(" ")[2]) for line in (first, second, third)]
    assert written == pytest.approx([term.norm for term in picture.terms], rel=1e-3)


def test_a_rolled_edge_counts_the_steps_that_it_stands_for():
    edges = json.loads(draw(elman(7)[0], view="rolled").json)["edges"]
    loops = [edge for edge in edges if edge["source"] == edge["target"] or edge.get("delay")]
    assert sorted(edge.get("count", 1) for edge in loops) == [1, 6, 6]  # the initial state enters once
    assert {edge["count"] for edge in edges if edge not in loops} == {7}


if __name__ == "__main__":
    GOLDEN.write_text(to_dot(draw(elman(2)[0]).scene), "utf-8", newline="\n")

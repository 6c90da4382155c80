"""The film of the two passes: what each frame shows, and each file it is written to."""

from __future__ import annotations

import os
import stat
import sys
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.chromium import watched
from tests.viz.networks import built_in, elman, language, stacked, without_time
from tinygrad_rnn.viz import animation, draw
from tinygrad_rnn.viz.formats import graphviz as render
from tinygrad_rnn.viz.frames import passes, shots
from tinygrad_rnn.viz.reading.gradients import measure

needs_renderer = pytest.mark.skipif(not render.renderers(), reason="no Graphviz, neither the system's nor pygraphviz's")
T = 4


def film(loss, **choices):
    picture = draw(loss, **choices)
    measured = picture.measured or measure(picture.graph)
    return picture, list(
        zip(passes(picture.scene, measured is not None), shots(picture.scene, picture.graph, measured))
    )


def test_the_frames_go_forward_and_back():
    _, frames = film(elman(3)[0])
    assert [frame.text for frame, _ in frames] == [
        "forward: step 1", "forward: step 2", "forward: step 3", "forward: the loss",
        "backward: from the loss", "backward: step 3", "backward: step 2", "backward: step 1",
    ]  # fmt: skip


@pytest.mark.parametrize("make", [lambda: elman(T)[0], stacked, language, lambda: built_in(tr.nn.LSTMCell(3, 2))])
def test_what_is_not_computed_yet_stands_back(make):
    picture, frames = film(make())
    lanes, vertices = picture.graph.lanes, picture.graph.vertices
    for frame, shot in frames:
        for box in shot.boxes:
            if box.vertex < 0 or vertices[box.vertex].lane is None:
                assert not box.dimmed
            elif lanes[vertices[box.vertex].lane].timed:
                assert box.dimmed == (box.step > frame.forward)
            else:
                assert box.dimmed == np.isfinite(frame.forward)


@pytest.mark.parametrize("make", [lambda: elman(T)[0], stacked, language])
def test_arrows_turn_where_the_gradient_has_flowed(make):
    picture, frames = film(make())
    carrying = {n for n, edge in enumerate(picture.graph.edges) if edge.uses}
    turned = [{path.edge for path in shot.paths if path.gradient} for _, shot in frames]
    assert not any(found for (frame, _), found in zip(frames, turned) if frame.backward is None)
    assert all(before <= after for before, after in pairwise(turned))
    assert turned[-1] == carrying
    for (frame, _), found in zip(frames, turned):
        steps = {picture.graph.vertices[picture.graph.edges[n].target].step for n in found} - {None}
        assert all(step >= (frame.backward or 0) for step in steps)


def test_numbers_appear_when_the_pass_comes_to_them():
    picture, frames = film(elman(T)[0], gradients=True)
    for frame, shot in frames:
        for box in shot.boxes:
            written = [line.text for line in box.lines if line.tone == "gradient"]
            if box.vertex < 0 or not written:
                continue
            if picture.graph.vertices[box.vertex].lane is None:
                assert any(written) == (frame.backward == 1)  # a parameter's gradient is the sum over all steps
            else:
                assert any(written) == (frame.backward is not None and max(box.step, 1) >= frame.backward)
        for label in shot.labels:
            if label.kind == "tap":
                assert bool(label.text) == (frame.backward is not None and label.step >= frame.backward)
    last = frames[-1][1]
    assert [box.lines for box in last.boxes] == [box.lines for box in picture.scene.boxes]


def test_elided_steps_go_by_together():
    picture, frames = film(elman(20)[0], gradients=True)
    assert [frame.text for frame, _ in frames][2] == "forward: steps 3 to 17"
    told = [label.text for label in frames[-1][1].labels]
    assert all(label.text in told for label in picture.scene.labels)


def test_a_graph_without_steps_and_one_without_a_gradient_have_a_film_too():
    assert [frame.text for frame, _ in film(without_time())[1]] == ["forward: the loss", "backward: from the loss"]
    many = tr.tensor(np.ones(3), requires_grad=True) * 2
    assert [frame.text for frame, _ in film(many)[1]] == ["forward: the loss"]


@pytest.mark.sweep
def test_the_svg_shows_one_frame_at_a_time(browser, tmp_path):
    path = tr.animate(elman(3)[0], tmp_path / "film.svg", level="gate", gradients=True, seconds=0.2)
    ET.parse(path)
    assert path.stat().st_size < 120_000
    assert path.read_text("utf-8") == tr.animate(
        elman(3)[0], tmp_path / "again.svg", level="gate", gradients=True, seconds=0.2
    ).read_text("utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    seen = """() => [...document.querySelectorAll('text.heading')]
        .filter((text) => /ward/.test(text.textContent) && getComputedStyle(text).visibility === 'visible')
        .map((text) => text.textContent)"""
    told = []
    for _ in range(40):
        (text,) = page.evaluate(seen)
        told += [text] if told[-1:] != [text] else []
        page.wait_for_timeout(60)
    assert len(set(told)) >= 6
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(seen) == ["backward: step 1"]


def test_the_page_plays_by_itself_and_begins_again(browser, tmp_path):
    path = tr.animate(elman(2)[0], tmp_path / "film.html", gradients=True, seconds=0.1)
    complaints = []
    page = watched(browser, complaints, viewport={"width": 1000, "height": 700})
    page.goto(path.as_uri())
    for text in ("forward: step 2", "backward: step 1", "forward: step 1"):
        page.wait_for_function("(text) => document.getElementById('phase').textContent === text", arg=text)
    page.locator("#play").click()
    still = page.locator("#phase").inner_text()
    page.wait_for_timeout(400)
    assert page.locator("#phase").inner_text() == still
    assert not page.locator("#parameter").is_visible() and not page.locator("#map").is_visible()
    calm = browser.new_page(reduced_motion="reduce")
    calm.goto(path.as_uri())
    calm.wait_for_timeout(400)
    assert calm.locator("#phase").inner_text() == "the whole graph"
    assert complaints == []


def test_gradients_appear_on_the_page_too(browser, tmp_path):
    path = draw(elman(3)[0], gradients=True).save(tmp_path / "page.html")
    page = browser.new_page()
    page.goto(path.as_uri())
    hidden = """() => [...document.querySelectorAll('#stage text.g, #stage text.tap')]
        .filter((text) => getComputedStyle(text).visibility === 'hidden').length"""
    assert page.evaluate(hidden) == 0
    page.locator("#next").click()
    counts = [page.evaluate(hidden)]
    for _ in range(7):
        page.locator("#next").click()
        counts.append(page.evaluate(hidden))
    assert counts[0] > 50 and counts[-1] == 0 and counts == sorted(counts, reverse=True)


@needs_renderer
def test_the_gif_has_all_frames_and_the_last_one_stays(tmp_path):
    image = pytest.importorskip("PIL.Image")
    path = tr.animate(elman(2)[0], tmp_path / "film.gif", level="gate", seconds=0.5)
    with image.open(path) as shown:
        times = []
        for n in range(shown.n_frames):
            shown.seek(n)
            times.append(shown.info["duration"])
        assert times == [500] * 5 + [1500] and shown.info["loop"] == 0
        assert max(shown.size) <= animation.MOST_PIXELS + 40


@pytest.mark.skipif(os.name != "posix", reason="a stand-in for ffmpeg is a shell script")
@needs_renderer
def test_an_mp4_is_made_by_ffmpeg_of_all_frames(tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    program.write_text('#!/bin/sh\nfor last; do :; done\necho "$@" > "$0.said"\ncat > "$last"\n')
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    path = tr.animate(elman(2)[0], tmp_path / "film.mp4", level="gate", seconds=0.5)
    assert path.read_bytes().count(b"\x89PNG") == 6 + animation.LAST_STAYS - 1
    assert "-framerate 2 " in (tmp_path / "ffmpeg.said").read_text()
    program.write_text("#!/bin/sh\ncat > /dev/null\necho no such codec >&2\nexit 3\n")
    with pytest.raises(RuntimeError, match="ffmpeg failed: no such codec"):
        tr.animate(elman(2)[0], tmp_path / "other.mp4", level="gate")
    assert not (tmp_path / "other.mp4").exists()


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    loss = elman(2)[0]
    monkeypatch.setattr(animation.shutil, "which", lambda name: None)
    monkeypatch.setattr(animation.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match=r"an MP4 needs ffmpeg.*imageio-ffmpeg"):
        tr.animate(loss, tmp_path / "film.mp4")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"Pillow: pip install .*\[gif\]"):
        tr.animate(loss, tmp_path / "film.gif")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "choices", "words"),
    [
        ("film.avi", {}, r"film\.avi ends in none of \.svg, \.html, \.gif, \.mp4"),
        ("film.svg", {"view": "rolled"}, "no time to go through"),
        ("film.svg", {"level": "layer"}, "no time to go through"),
        ("film.svg", {"seconds": 0}, "seconds=0"),
    ],
)
def test_what_has_no_film_is_refused(tmp_path, name, choices, words):
    with pytest.raises(ValueError, match=words):
        tr.animate(elman(2)[0], tmp_path / name, **choices)


def test_a_picture_can_be_filmed_as_it_is(tmp_path):
    loss = elman(2)[0]
    picture = draw(loss, level="gate", gradients=True)
    one = tr.animate(picture, tmp_path / "one.svg").read_bytes()
    assert one == tr.animate(loss, tmp_path / "other.svg", level="gate", gradients=True).read_bytes()
    with pytest.raises(TypeError, match="level for a picture that is drawn already"):
        tr.animate(picture, tmp_path / "one.svg", level="op")


def test_the_command_makes_films(tmp_path, capsys):
    from tinygrad_rnn.cli import main

    out = tmp_path / "elman.svg"
    assert main(["draw", "elman", "--film", "--level=gate", f"--out={out}"]) == 0
    assert "@keyframes" in out.read_text("utf-8")
    for words, said in (
        (["--film", "--view=rolled", f"--out={tmp_path / 'a.svg'}"], "no time to go through"),
        (["--film", f"--out={tmp_path / 'a.png'}"], "ends in none of .svg, .html, .gif, .mp4"),
        ([f"--out={tmp_path / 'a.gif'}"], "with --film it can"),
    ):
        with pytest.raises(SystemExit) as stopped:
            raise SystemExit(main(["draw", "elman", *words]))
        assert stopped.value.code == 2 and said in capsys.readouterr().err

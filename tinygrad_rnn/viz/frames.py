"""The frames of an animation: the forward pass step by step, then the backward pass, each as a scene of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from .reading.gradients import Measured
from .reading.model import Graph
from .scene import Box, Dot, Label, Path, Scene

CAPTION_ROOM = 30.0
END = float("inf")


class Frame(NamedTuple):
    """The progress of the two passes."""

    text: str  # the caption
    forward: float  # the step that the forward pass has reached, infinite once it has the loss
    backward: float | None = None  # the step that the backward pass has reached, infinite where it begins; None before


def passes(scene: Scene, has_gradient: bool) -> list[Frame]:
    """The frames of a picture: each step forward, the loss, each step backward. Elided steps share a frame."""
    columns = sorted((panel for panel in scene.panels if panel.kind in ("column", "hidden")), key=lambda panel: panel.x)
    names: dict[int, str] = {}
    for panel, following in zip(columns, [*columns[1:], None]):
        if panel.step is not None:
            last = following.step - 1 if following is not None and following.step else panel.step
            names[panel.step] = f"step {panel.step}" if last == panel.step else f"steps {panel.step} to {last}"
    frames = [Frame(f"forward: {name}", step) for step, name in names.items()]
    frames.append(Frame("forward: the loss", END))
    if has_gradient:
        frames.append(Frame("backward: from the loss", END, END))
        frames += [Frame(f"backward: {name}", END, step) for step, name in reversed(names.items())]
    return frames


def shots(scene: Scene, graph: Graph, measured: Measured | None) -> Iterator[Scene]:
    """The frames as scenes: values not computed yet are pale, and arrows turn where a gradient has flowed.

    Without measured gradients there is no backward pass.
    """
    for frame in passes(scene, measured is not None):
        yield _Shot(scene, graph, measured or Measured(), frame).scene()


class _Shot:
    """A frame of a film."""

    def __init__(self, scene: Scene, graph: Graph, measured: Measured, frame: Frame) -> None:
        self.whole, self.graph, self.measured, self.frame = scene, graph, measured, frame
        self.untimed = graph.outside_time()
        self.first = min((panel.step for panel in scene.panels if panel.step is not None), default=END)

    def scene(self) -> Scene:
        """The whole scene, with a caption below."""
        whole = self.whole
        caption = Label(self.frame.text, 18, whole.height + 16, 15, "start", "heading")
        return replace(
            whole,
            height=whole.height + CAPTION_ROOM,
            paths=[self.path(path) for path in whole.paths],
            dots=[self.dot(dot) for dot in whole.dots],
            boxes=[self.box(box) for box in whole.boxes],
            labels=[*(self.label(label) for label in whole.labels), caption],
        )

    def target(self, edge: int) -> int:
        """The vertex to which an edge leads; -1 for anything but an edge."""
        return self.graph.edges[edge].target if edge >= 0 else -1

    def is_later(self, step: int | None, vertex: int) -> bool:
        """Return True if the forward pass hasn't reached it."""
        if vertex in self.untimed:
            return self.frame.forward != END
        return step is not None and step > self.frame.forward

    def has_gradient(self, step: int | None, vertex: int) -> bool:
        """Return True if the backward pass has reached it; for a parameter, when all steps have added their parts."""
        backward = self.frame.backward
        if backward is None:
            return False
        if vertex >= 0 and self.graph.vertices[vertex].lane is None:
            return backward <= self.first
        return vertex in self.untimed or (step is not None and max(step, self.first) >= backward)

    def path(self, path: Path) -> Path:
        target = self.target(path.edge)
        dimmed = path.dimmed or self.is_later(path.step, target)
        if path.edge in self.measured.contribution and self.has_gradient(path.step, target):
            return replace(path, dimmed=dimmed, gradient=True, arrow="start")
        return replace(path, dimmed=dimmed)

    def dot(self, dot: Dot) -> Dot:
        return replace(dot, dimmed=dot.dimmed or self.is_later(dot.step, self.target(dot.edge)))

    def box(self, box: Box) -> Box:
        if box.vertex < 0:
            return box
        lines = box.lines
        if not self.has_gradient(box.step, box.vertex):  # an empty line keeps its place
            lines = [replace(line, text="") if line.tone == "gradient" else line for line in lines]
        return replace(box, lines=lines, dimmed=box.dimmed or self.is_later(box.step, box.vertex))

    def label(self, label: Label) -> Label:
        if label.kind == "tap" and not self.has_gradient(label.step, self.target(label.edge)):
            return replace(label, text="")
        return label

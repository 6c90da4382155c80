"""The direction of arrows: forward, as values are computed; backward, as gradients flow; or both, side by side."""

from __future__ import annotations

from dataclasses import replace

from ..scene import Path, Scene

DIRECTIONS = ("forward", "backward", "both")
APART = 2.2  # half the distance of the two lines of "both"


def directed(scene: Scene, direction: str) -> None:
    """Turn the arrows of a scene. Nothing else moves; edges without a gradient have no arrow backward."""
    if direction == "forward":
        return
    paths = []
    for path in scene.paths:
        carries = path.flows
        backward = replace(path, arrow="start" if carries else "", gradient=carries)
        if direction == "backward":
            paths.append(backward)
        elif carries and path.kind != "bus":
            paths += [_moved(path, -APART), _moved(backward, APART)]
        else:
            paths.append(path)
    scene.paths = paths
    if direction == "both":
        for label in scene.labels:
            label.x += 2 * APART * (label.kind == "tap")  # beside both lines


def _moved(path: Path, by: float) -> Path:
    """A path, moved aside: sideways where it is steep, up or down where it is flat."""
    dx = abs(path.points[-1][0] - path.points[0][0])
    dy = abs(path.points[-1][1] - path.points[0][1])
    slanted = path.kind in ("carry", "initial") and dx > 1 and dy > 1
    move = (by, -by) if slanted else (by, 0.0) if dy >= dx else (0.0, by)
    return replace(path, points=[(x + move[0], y + move[1]) for x, y in path.points])

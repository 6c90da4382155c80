"""Rendering a DOT text by Graphviz: the system's if there is one, else the one inside pygraphviz's wheels.

Either runs in a process of its own with a time limit, so a renderer that hangs or crashes is stopped and does no harm.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys

from ...autodiff.extras import pip_install

TIME_LIMIT = 60.0  # seconds
DOTS_PER_INCH = 144.0  # of a PNG: two for each point, sharp on a projector
PYGRAPHVIZ = (
    "import sys, warnings; warnings.simplefilter('ignore'); import pygraphviz; "
    "graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode()); "
    "sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog='nop', args=' '.join(sys.argv[2:])))"
)


class NoRenderer(RuntimeError):
    """The error for a missing Graphviz."""


def renderers() -> list[tuple[str, list[str]]]:
    """The available Graphviz programs, best first: (name, command to which the format is added)."""
    found = []
    for program, options in (("neato", ["-n2"]), ("dot", [])):
        path = shutil.which(program)
        if path:
            found.append((program, [path, *options, "-T"]))
    if importlib.util.find_spec("pygraphviz") is not None:
        found.append(("pygraphviz", [sys.executable, "-c", PYGRAPHVIZ]))
    return found


def render(dot: str, kind: str, time_limit: float = TIME_LIMIT, dpi: float = DOTS_PER_INCH) -> bytes:
    """A DOT text, rendered in a format of Graphviz; a PNG gets ``dpi`` pixels for 72 points.

    Raises:
        NoRenderer: none is installed.
        RuntimeError: all available renderers failed; the error says why.
    """
    problems = []
    for name, command in renderers():
        command = [*command[:-1], f"-T{kind}"] if command[-1] == "-T" else [*command, kind]
        command += [f"-Gdpi={dpi:g}"] if kind == "png" else []
        try:
            return _run(command, dot.encode(), time_limit)
        except RuntimeError as problem:
            problems.append(f"{name}: {problem}")
    if problems:
        raise RuntimeError(f"rendering {kind} failed; " + "; ".join(problems))
    raise NoRenderer(
        f"{kind.upper()} needs Graphviz, and there is none: {pip_install('render')} brings one. "
        "SVG, HTML, DOT, JSON and text work without."
    )


def _run(command: list[str], data: bytes, time_limit: float) -> bytes:
    """The output of a program; it is stopped, with all its child processes, when its time is over."""
    own_group = os.name == "posix"
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=own_group
    )
    try:
        output, errors = process.communicate(data, timeout=time_limit)
    except subprocess.TimeoutExpired:
        if own_group:
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.communicate()
        raise RuntimeError(f"stopped after {time_limit:g} s") from None
    if process.returncode or not output:
        last = errors.decode(errors="replace").strip().splitlines()[-1:] or ["no output"]
        raise RuntimeError(last[0])
    return output

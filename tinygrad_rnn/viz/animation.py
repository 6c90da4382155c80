"""``animate``: the forward and the backward pass as a film, for slides: an SVG or a page that plays, a GIF, an MP4."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ..autodiff.extras import optional
from ..data.files import replace_file
from .drawing import draw
from .formats.dot import to_dot
from .formats.graphviz import render
from .formats.svg import to_film
from .frames import shots
from .picture import Picture
from .reading.gradients import measure
from .scene import Scene

FORMATS = ("svg", "html", "gif", "mp4")
LAST_STAYS = 3  # the last frame stays as long as this number of frames
MOST_PIXELS = 2400  # the longer side of a frame


def animate(x: Any, path: str | os.PathLike[str], *, seconds: float = 0.9, **choices: Any) -> Path:
    """Film the forward pass step by step, then the backward pass: arrows turn as the gradient flows back.

    Args:
        x: as for ``draw``, for example the loss; or a picture of it.
        path: the file; its ending chooses the format: .svg or .html (both play in any browser; the page can be
            stopped), .gif or .mp4.
        seconds: how long each step is shown.
        choices: further arguments of ``draw``. With ``gradients=True`` each number appears when the pass comes to it.

    Returns:
        The path.

    Raises:
        TypeError: choices are given for a finished picture.
        ValueError: the ending is none of these, or the view is rolled and so has no time to go through.
        ImportError: a GIF needs Pillow, which isn't installed.
        RuntimeError: frames need Graphviz, or an MP4 needs ffmpeg; the error says what to install.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> from tinygrad_rnn.viz import animate
        >>> W = tr.tensor([[0.5]], requires_grad=True, name="W")
        >>> ys, h = tr.unroll(lambda x, h: np.tanh(x + h @ W), np.ones((3, 1)), state=np.zeros(1))
        >>> animate(ys.sum(), "bptt.svg")  # doctest: +SKIP
        PosixPath('bptt.svg')
    """
    path = Path(path)
    kind = path.suffix[1:].lower()
    if kind not in FORMATS:
        raise ValueError(f"animate: {path.name} ends in none of .{', .'.join(FORMATS)}")
    if not seconds > 0:
        raise ValueError(f"animate: seconds={seconds!r} for each step; it takes more than none")
    if isinstance(x, Picture) and choices:
        raise TypeError(
            f"animate: {', '.join(choices)} for a picture that is drawn already. Pass what it shows instead."
        )
    picture = x if isinstance(x, Picture) else draw(x, **choices)
    if picture.is_rolled:
        raise ValueError("animate: a rolled view shows one step for all, so there is no time to go through in it")
    if kind == "svg":
        content = to_film(_shots(picture), seconds, LAST_STAYS).encode()
    elif kind == "html":
        content = picture.page(film=seconds).encode()
    else:
        content = _gif(picture, seconds) if kind == "gif" else _mp4(picture, seconds)
    with replace_file(path) as file:
        file.write(content)
    return path


def _shots(picture: Picture) -> list[Scene]:
    return list(shots(picture.scene, picture.graph, picture.measured or measure(picture.graph)))


def _frames(picture: Picture) -> list[bytes]:
    """Each frame as a PNG."""
    scale = min(MOST_PIXELS / max(picture.scene.width, picture.scene.height), 2.0)
    return [render(to_dot(scene), "png", dpi=72 * scale) for scene in _shots(picture)]


def _gif(picture: Picture, seconds: float) -> bytes:
    what = "animate: an SVG and a page (.html) work without other libraries, but a GIF needs Pillow"
    Image = optional("gif", "PIL.Image", what)
    first, *rest = (Image.open(io.BytesIO(frame)).convert("RGB") for frame in _frames(picture))
    # All frames of a film have one size, whatever margin a renderer leaves around them.
    rest = [frame if frame.size == first.size else frame.resize(first.size) for frame in rest]
    times = [round(1000 * seconds)] * (1 + len(rest))
    times[-1] *= LAST_STAYS
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=rest, duration=times, loop=0, optimize=True)
    return file.getvalue()


def _mp4(picture: Picture, seconds: float) -> bytes:
    program = _ffmpeg()
    frames = _frames(picture)
    frames += [frames[-1]] * (LAST_STAYS - 1)
    even = "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white"  # as H.264 has it
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        source = ["-f", "image2pipe", "-framerate", f"{1 / seconds:g}", "-i", "-"]
        target = ["-vf", even, "-r", "25", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(film)]
        command = [program, "-y", "-loglevel", "error", *source, *target]
        made = subprocess.run(command, input=b"".join(frames), capture_output=True, check=False)
        if made.returncode or not film.exists():
            said = made.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no output"]
            raise RuntimeError(f"animate: ffmpeg failed: {said[0]}")
        return film.read_bytes()


def _ffmpeg() -> str:
    """The ffmpeg to use: the system's, else the one that comes with the package imageio-ffmpeg."""
    program = shutil.which("ffmpeg")
    if program is None and importlib.util.find_spec("imageio_ffmpeg") is not None:
        program = importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe()
    if program is None:
        raise RuntimeError(
            "animate: an MP4 needs ffmpeg, and there is none: install it, or the package imageio-ffmpeg, which brings "
            "one. A page (.html), an SVG (.svg) and a GIF (.gif) work without."
        )
    return program

"""Type checkers: users' code in strict mode, and an editable install that they can follow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USERS_CODE = """
import numpy as np
import tinygrad_rnn as tr

rng = np.random.default_rng(0)
U = tr.tensor(rng.normal(size=(2, 3)), requires_grad=True, name="U")
xs = rng.normal(size=(4, 2))
np.tanh(xs @ U).sum().backward()
np.square(np.tanh(U)).mean().backward()
np.mean(np.square(xs @ U - 1)).backward()
np.mean(U).backward()
np.stack([U, U]).sum().backward()
first: tr.Tensor = np.sum(U)


class MyCell(tr.nn.Module):
    def __init__(self, n: int, d: int) -> None:
        self.read = tr.nn.Linear(n, d)
        self.W = tr.nn.Parameter(np.eye(d))

    def forward(self, x: tr.Array, h: tr.Array) -> tuple[tr.Array, tr.Array]:
        h = tr.named("h", np.tanh(self.read(x) + h @ self.W))
        return h, h


def cell(x: tr.Array, h: tr.Array) -> tr.Array:
    return np.tanh(x @ U + h)


hs, h = tr.unroll(cell, xs, state=np.zeros(3))
hs, h = tr.unroll(MyCell(2, 3), xs, state=np.zeros(3))
total: tr.Tensor = np.sum(hs * hs)
total.backward()
with tr.no_grad():
    for p in (U,):
        p -= 0.1 * p.grad
U.data -= 0.1
print(float(total), total.item(), U.grad.shape, tr.draw(np.sum(xs @ U)).svg)
"""
ANNOTATED_TENSORS = """
import numpy as np
import tinygrad_rnn as tr

U = tr.tensor(np.ones((3, 4)), requires_grad=True)


def cell(x: tr.Tensor, h: tr.Tensor) -> tr.Tensor:
    return np.tanh(x @ U + h)


def gated(x: tr.Tensor, h: tr.Tensor) -> tuple[tr.Tensor, tr.Tensor]:
    z = tr.sigmoid(x @ U)
    h = z * h + (1 - z) * np.exp(np.concatenate([x, x], axis=-1)[..., :4])
    return h, h


def loss(y: tr.Tensor) -> tr.Tensor:
    return np.mean(np.square(np.where(y > 0, y, 0)))


def which(y: tr.Tensor) -> tr.Array:
    return np.argmax(y), np.isnan(y)


x, h = tr.tensor(np.ones((2, 3))), tr.tensor(np.zeros((2, 4)))
loss(gated(x, cell(x, h))[0]).backward()
assert isinstance(cell(x, h), tr.Tensor) and isinstance(loss(h), tr.Tensor)
"""
WRONG_TENSORS = """
import numpy as np
import tinygrad_rnn as tr


def cell(x: tr.Tensor) -> str:
    return np.tanh(x)


def largest(x: tr.Tensor) -> tr.Tensor:
    return np.argmax(x)
"""
PLUGIN = "[mypy]\nplugins = tinygrad_rnn.mypy_plugin\n"
WRONG = """
import tinygrad_rnn as tr

x = tr.tensor([1.0])
x.tanh()
tr.zeros(3)
"""


@pytest.fixture
def strict(tmp_path, pytestconfig):
    """What mypy says of sources; of the package it has read, it keeps what it found, with and without its plugin."""
    pytest.importorskip("mypy")

    def checked(sources, settings=""):
        for name, source in sources.items():
            (tmp_path / name).write_text(source, "utf-8")
        if settings:
            (tmp_path / "users.ini").write_text(settings, "utf-8")
        config = "users.ini" if settings else ""
        kept = pytestconfig.cache.mkdir("mypy-with-plugin" if settings else "mypy")
        options = ["--strict", "--follow-imports=silent", f"--config-file={config}", f"--cache-dir={kept}"]
        command = [sys.executable, "-m", "mypy", *options, *sources]
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "MYPYPATH": str(ROOT)}, capture_output=True, text=True
        )
        return done.stdout + done.stderr

    return checked


@pytest.mark.sweep
def test_users_code_is_clean_in_strict_mode_and_what_is_not_there_is_found(strict):
    said = strict({"users.py": USERS_CODE, "wrong.py": WRONG})
    assert 'has no attribute "tanh"' in said and "zeros" in said
    assert "users.py" not in said
    exec(compile(USERS_CODE, "users.py", "exec"), {})  # and it runs


@pytest.mark.sweep
def test_cells_of_tensors_are_clean_with_the_plugin(strict):
    said = strict({"users.py": ANNOTATED_TENSORS, "wrong.py": WRONG_TENSORS}, PLUGIN)
    assert 'got "Tensor", expected "str"' in said and "wrong.py:11: error" in said
    assert "users.py" not in said
    exec(compile(ANNOTATED_TENSORS, "users.py", "exec"), {})


def test_an_editable_install_is_a_path(tmp_path):
    """A finder, which runs code at import, hides the package from mypy, pyright and editors."""
    pytest.importorskip("setuptools", minversion="68")
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "tinygrad_rnn", copy / "tinygrad_rnn", ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools.build_meta import build_editable; build_editable('.')"
    done = subprocess.run([sys.executable, "-c", build], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = copy.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        top = [name for name in file.namelist() if "/" not in name]
        assert [name for name in top if name.endswith(".py")] == []
        (path,) = top
        assert Path(file.read(path).decode().strip()).resolve() == copy.resolve()

"""The example finds the mistake that it tells of."""

from __future__ import annotations

import runpy
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "find_my_mistake.py"


def test_it_names_the_line_and_the_mistake(capsys):
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    assert "1 of 4 gradients agree; look at U, W, b." in printed
    assert "The first wrong line is dL/ds[5]." in printed
    assert "U, W, b: your gradients equal the gradient with W where its transpose belongs" in printed

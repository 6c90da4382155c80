"""Generated text for machine code, run as the Python that it is: slowly, but with nothing to compile.

Indices out of range raise then, and so does a name that doesn't exist. With ``TINYGRAD_RNN_AS_PYTHON=1`` in the
environment, all machine code runs in this way; the tests do so to try thousands of programs.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from . import division, fast_functions, places, tiled_product

VARIABLE = "TINYGRAD_RNN_AS_PYTHON"


def is_asked_for() -> bool:
    """Return True if the environment says that machine code is to run as Python."""
    return os.environ.get(VARIABLE, "0") not in ("", "0")


def program_of(text: str) -> Callable[..., Any]:
    """The function ``program`` of generated text, as Python."""
    names: dict[str, Any] = {}
    for module in (fast_functions, division, places, tiled_product):
        names |= vars(module)
    for vectors in (1, 2, 4):
        names[f"multiply_{vectors}"] = tiled_product.multiply
        names[f"add_products_{vectors}"] = tiled_product.add_products
    names |= {"np": np, "erf": math.erf, "summing": lambda function: function}  # sums in the order of the text
    exec(text, names)
    program: Callable[..., Any] = names["program"]
    return program

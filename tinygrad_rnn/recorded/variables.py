"""The variables of a user's functions: what they call the values that they compute.

A recorded loss has no names but those of parameters and of ``named`` values. While a loss runs, each of its functions
is looked at when it returns: a local variable that holds a Tensor then is a name of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from ..autodiff.graph import Node

LIBRARIES = tuple(f"{Path(file).parent}{os.sep}" for file in (Path(__file__).parent, np.__file__))
Variables = dict[Node, str]


@contextmanager
def noticing() -> Iterator[Variables]:
    """A context in which a user's functions tell the names of what they compute.

    It provides the name of each node that a variable held when its function returned; of several names, the first
    variable's of the function that returned last. Under a profiler, which looks at the same place, there are none.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> from tinygrad_rnn.recorded.variables import noticing
        >>> w = tr.tensor([1.0, 2.0], requires_grad=True)
        >>> def loss(w):
        ...     error = w - 1
        ...     return np.sum(error**2)
        >>> with noticing() as variables:
        ...     total = loss(w)
        >>> list(variables.values())
        ['error']
    """
    found: Variables = {}

    def look(frame: FrameType, event: str, given: Any) -> None:
        if event == "return" and not frame.f_code.co_filename.startswith(LIBRARIES):
            for name, value in reversed(frame.f_locals.items()):
                if isinstance(value, Node) and not value.is_leaf:
                    found[value] = name

    if sys.getprofile() is not None:
        yield found
        return
    sys.setprofile(look)
    try:
        yield found
    finally:
        sys.setprofile(None)

"""NumPy's own BLAS, called from machine code.

numba would bring SciPy's: a second library with a second pool of threads, and two pools on the same cores wait for each
other. So the address of ``gemm`` is looked up in the library that NumPy has loaded, and is passed to the generated
code as a number, which also leaves that code cacheable.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any

import numpy as np

# The names under which builds of OpenBLAS with 64-bit integers export it; NumPy's wheels have no other.
SPELLINGS = ("scipy_cblas_{}gemm64_", "cblas_{}gemm64_")


@functools.cache
def gemm_address(dtype: Any) -> int:
    """Where ``gemm`` for 64-bit integers is, for float32 or float64; 0 if there is none to be found."""
    letter = {"float32": "s", "float64": "d"}.get(np.dtype(dtype).name)
    if letter is None:
        return 0
    for path in _libraries():
        try:
            library = ctypes.CDLL(str(path))
        except OSError:
            continue
        for spelling in SPELLINGS:
            function = getattr(library, spelling.format(letter), None)
            if function is not None:
                return ctypes.cast(function, ctypes.c_void_p).value or 0
    return 0


def _libraries() -> list[Path]:
    """The BLAS libraries that came with NumPy's wheel."""
    package = Path(np.__file__).parent
    folders = [package.parent / "numpy.libs", package / ".libs", package / ".dylibs"]
    return sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir() if "blas" in path.name)

"""What the engine's own figures are read from, each in a process of its own.

`python -m benchmarks.probes chain LENGTH` or `... memory STEPS` prints a line of JSON.
"""

from __future__ import annotations

import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from .processes import peak_bytes

# CPython keeps up to 2,000 tuples of each length for reuse, which looks like a leak until it has them.
FREE_LISTS_FULL = 2_500


def chain(length: int) -> dict[str, float]:
    """Seconds to record, differentiate and free a chain of `length` multiplications."""
    import numpy as np

    import tinygrad_rnn as tr

    x = tr.tensor(np.array([1.0]), requires_grad=True)
    began = time.perf_counter()
    y = x
    for _ in range(length):
        y = y * x
    recorded = time.perf_counter()
    y.backward(np.array([1.0]))
    del y
    freed = time.perf_counter()
    assert x.grad is not None and x.grad[0] == length + 1
    return {
        "forward": recorded - began,
        "backward": freed - recorded,
        "peak_bytes": peak_bytes(),
    }


def memory(steps: int) -> dict[str, Any]:
    """What training steps leave behind while the cyclic collector is off.

    `growth` is the most bytes in use after any step, less those after the first; `cyclic_objects`
    is how many a collection finds at the end.
    """
    import numpy as np

    from .contenders import tinygrad_rnn_eager
    from .tasks import elman

    step = tinygrad_rnn_eager.elman(**elman("S", goals={}).inputs())
    gc.collect()
    gc.disable()
    for _ in range(FREE_LISTS_FULL):
        step()
    tracemalloc.start()
    in_use = np.zeros(steps, dtype=np.int64)
    for i in range(steps):
        step()
        in_use[i] = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return {"growth": int(in_use.max() - in_use[0]), "cyclic_objects": gc.collect()}


PROBES: dict[str, Callable[[int], Any]] = {"chain": chain, "memory": memory}

if __name__ == "__main__":
    print(json.dumps(PROBES[sys.argv[1]](int(sys.argv[2]))))

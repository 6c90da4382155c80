"""A contender's own process: does as the parent says, one line of JSON for each request.

`python -m benchmarks.worker MODULE` loads a contender (see `benchmarks.contenders`), then

- `{"do": "prepare", "task", "inputs", "options", "threads", "numbers"}` builds its training step
  for the arrays in the file `inputs`, takes the first two steps, and writes loss and gradients to
  the file `numbers`;
- `{"do": "time", "seconds"}` takes steps for that long, and answers the median time of one and the
  page faults of one.

Arrays travel in files, and are checked by the parent: this process runs nothing of NumPy's linear
algebra, whose threads would disturb the contender's.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

Step = Callable[[], Any]
WARM_UP = 0.25  # of a round: caches and clock rate are another contender's when a turn begins
FEWEST_CALLS = 3


def thread_pools() -> list[str]:
    """The BLAS and OpenMP libraries in this process, with their kernels and thread counts."""
    try:
        from threadpoolctl import threadpool_info
    except ModuleNotFoundError:
        return ["unknown (pip install threadpoolctl)"]
    pools = []
    for pool in threadpool_info():
        parts = Path(pool["filepath"]).parts
        owner = parts[parts.index("site-packages") + 1] if "site-packages" in parts else parts[-1]
        facts = [pool["internal_api"], pool.get("version"), pool.get("architecture")]
        library = " ".join(fact for fact in facts if fact)
        pools.append(f"{owner.removesuffix('.libs')}: {library}, threads: {pool['num_threads']}")
    return pools


class Entrant:
    """What this process holds between requests: the contender and its training step."""

    def __init__(self, module: str) -> None:
        self.module_name = module
        self.step: Step | None = None

    def prepare(self, task: str, inputs: str, options: dict[str, Any], threads: int, numbers: str) -> dict[str, Any]:
        try:
            contender = importlib.import_module(self.module_name)
        except ModuleNotFoundError as missing:
            return {"error": f"not installed ({missing})"}
        import numpy as np

        if hasattr(contender, "use_threads"):
            contender.use_threads(threads)
        if not hasattr(contender, task):
            return {"error": "takes no part"}
        arrays = dict(np.load(inputs))
        began = time.perf_counter()
        self.step = getattr(contender, task)(**arrays, **options)
        self.step()
        first_call = time.perf_counter() - began
        outcome = self.step()  # the second one, so that what piles up from step to step is seen
        if outcome is not None:
            loss, gradients = outcome
            np.savez(numbers, loss=loss, **{f"d_{name}": g for name, g in gradients.items()})
        return {
            "first_call": first_call,
            "versions": {name: importlib.metadata.version(name) for name in contender.PACKAGES},
            "pools": thread_pools(),
        }

    def measure(self, seconds: float) -> dict[str, Any]:
        assert self.step is not None, "prepare comes first"
        self._run(seconds * WARM_UP, fewest=1)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        durations = self._run(seconds, fewest=FEWEST_CALLS)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
        return {"seconds": median(durations), "faults": faults / len(durations)}

    def _run(self, seconds: float, fewest: int) -> list[float]:
        assert self.step is not None
        step, clock = self.step, time.perf_counter
        durations: list[float] = []
        end = clock() + seconds
        after = 0.0
        while after < end or len(durations) < fewest:
            before = clock()
            step()  # its result dies here, so freeing a graph is part of the time
            after = clock()
            durations.append(after - before)
        return durations


def main() -> None:
    # Answers keep the real standard output; whatever a library prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    entrant = Entrant(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        action = request.pop("do")
        try:
            answer = entrant.prepare(**request) if action == "prepare" else entrant.measure(**request)
        except Exception as error:
            answer = {"error": f"failed ({type(error).__name__}: {error})"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()

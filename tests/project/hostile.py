"""Files that mean harm: valid ones whose structure is changed, and what each may cost who reads it."""

from __future__ import annotations

import copy
import io
import json
import os
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.any_text import any_text

SECONDS = 10.0  # of the processor, for files of at most a few megabytes: what is quadratic takes minutes
TIMES_THE_FILE = 30
BYTES_BESIDES = 4 << 20

EVIL: list[Any] = [
    None, True, -1, 0, 1, 2, 63, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, 0.5, float("nan"), float("inf"), "", "0",
    "x", "a" * 1000, "../../x", "\0", "\ud800", [], [[]], [1], [-1], [0],
    [0, 10**15, 10**15], [10**15], [2**62, 4], [9] * 100, [1] * 65, [0] * 2000, ["1"], [True], [1.5], {},
    {"array": 0}, {"array": -1}, {"scalar": 0}, {"dict": [[1, 2]]},
    "|O8", "<f3", "<f8", ">f8", "|b1", "<M8[s]", "<U9", "<c16", "F64", "BOOL", "BF16", "F8_E4M3",
    "<V1000000000", [["a", "<f8"]],
]  # fmt: skip

# Put where a value stands, and replaced in the text: what json.dumps can't write, or only slowly.
BOMBS = {
    '"@deep@"': "[" * 100_000,
    '"@nested@"': "[" * 900 + "]" * 900,
    '"@objects@"': '{"a":' * 900 + "1" + "}" * 900,
    '"@wide@"': "[" + "[]," * 100_000 + "[]]",
    '"@numbers@"': "[" + "1," * 200_000 + "1]",
    '"@digits@"': "9" * 100_000,
    '"@many digits@"': "[" + ("9" * 4000 + ",") * 200 + "1]",
    '"@axes@"': "[" + "9," * 300_000 + "9]",
    '"@zeros@"': "[" + "0," * 300_000 + "0]",
    '"@keys@"': '{"dict":[' + ",".join(f"[{k * (2**61 - 1)},0]" for k in range(50_000)) + "]}",
    '"@same@"': '{"dict":[' + "[1,0]," * 50_000 + "[1,0]]}",
    '"@shared@"': "[" + '{"array":0},' * 50_000 + '{"array":0}]',
    '"@text@"': '"' + "a" * 500_000 + '"',
    '"@escapes@"': '"' + "\\u0061" * 100_000 + '"',
    '"@quotes@"': '"' + '\\"[' * 100_000 + '"',
}
VALUES = st.sampled_from([*EVIL, *(name[1:-1] for name in BOMBS)]).map(copy.deepcopy)


def as_json(value: Any) -> bytes:
    """JSON with the bombs in their places."""
    text = json.dumps(value)
    for name, bomb in BOMBS.items():
        text = text.replace(name, bomb)
    return text.encode()


def npz_of(tree: bytes, arrays: Sequence[np.ndarray] = (), packed: bool = False) -> bytes:
    """A tree file, whatever stands in its JSON."""
    file = io.BytesIO()
    save: Any = np.savez_compressed if packed else np.savez
    save(file, tree=np.frombuffer(tree, np.uint8), **{str(i): array for i, array in enumerate(arrays)})
    return file.getvalue()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all values in nested lists and dicts."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, part in parts for found in places(part, (*path, key)))]


@st.composite
def mutated(draw: Any, value: Any, most: int = 3) -> Any:
    """A structure with a few changes: values replaced, taken out, put in twice, wrapped, put under another name."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, most))):
        *path, key = ("root", *draw(st.sampled_from(places(value))))
        holder: Any = {"root": value}
        for step in path:
            holder = holder[step]
        change = draw(st.sampled_from(["replace", "replace", "take out", "twice", "wrap", "rename"]))
        if change == "replace":
            holder[key] = draw(VALUES)
        elif change == "wrap":
            holder[key] = draw(st.sampled_from([[holder[key]], {"tuple": [holder[key]]}, {"dict": holder[key]}]))
        elif isinstance(holder, list):
            holder[key : key + 1] = [] if change == "take out" else [holder[key]] * 2
        elif path:
            part = holder.pop(key)
            holder.update({} if change == "take out" else {draw(any_text(max_size=3)): part})
        value = value if path else holder["root"]
    return value


def cost_of(read: Callable[[Path], Any], path: Path) -> tuple[Any, Exception | None]:
    """What a reader gives, or the error that it raises, which has to be one line with the file's name in it.

    What it takes of time and memory is held to the size of the file.
    """
    found, problem = None, None
    tracemalloc.start()
    began = time.process_time()
    try:
        found = read(path)
    except ValueError as error:
        problem = error
    seconds = time.process_time() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = os.path.getsize(path)
    assert seconds < SECONDS, f"{size:,} bytes kept the reader busy for {seconds:.1f} s"
    assert peak < TIMES_THE_FILE * size + BYTES_BESIDES, f"{size:,} bytes took {peak:,} of memory"
    if problem is not None:
        assert path.name in str(problem), problem
        assert len(str(problem)) < 1000 and str(problem).isprintable(), problem
    return found, problem


def only_numbers(value: Any) -> bool:
    """Whether all arrays in a tree are of numbers, with truth values that are true or false."""
    if isinstance(value, dict):
        return all(map(only_numbers, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(only_numbers, value))
    if isinstance(value, (np.ndarray, np.generic)):
        bits = np.asarray(value)
        truths = bits.dtype.kind != "b" or set(np.unique(bits.view(np.uint8))) <= {0, 1}
        return bits.dtype.kind in "biufc" and truths
    return isinstance(value, (type(None), bool, int, float, str))

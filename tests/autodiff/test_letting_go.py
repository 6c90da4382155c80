"""Long chains are let go of piece by piece: a thread with a small stack can drop them."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.autodiff.letting_go import EVERY, Knot

N = 50_000
DROPS = {
    "a chain": f"""
y = tr.tensor(1.0, requires_grad=True)
for _ in range({N}):
    y = y * 1.0000001
del y
""",
    "a chain through sums": f"""
x = y = tr.tensor(1.0, requires_grad=True)
for _ in range({N} // 2):
    y = np.tanh(y + x)
del y
""",
    "a chain of steps with several results": f"""
y = tr.tensor(np.eye(2), requires_grad=True)
for _ in range({N} // 20):
    y = np.linalg.qr(y)[0] * 1.5
del y
""",
    "after backward()": f"""
y = tr.tensor(1.0, requires_grad=True)
for _ in range({N}):
    y = y * 1.0000001
y.backward()
del y
""",
    "a small one that is kept to be looked at": """
y = tr.tensor(1.0, requires_grad=True)
for _ in range(9_000):
    y = y * 1.0000001
y.backward()
del y
""",
    "a recorded backward pass": f"""
x = y = tr.tensor(1.0, requires_grad=True)
for _ in range({N} // 5):
    y = np.sin(y)
y.backward(create_graph=True)
x.grad = None
del y
""",
    "a chain of Scalars": f"""
y = tr.Scalar(1.0)
for _ in range({N}):
    y = y * 1.0000001
del y
""",
}
SCRIPT = """
import threading
import numpy as np
import tinygrad_rnn as tr

def drop():
    {body}

np.linalg.qr(np.eye(2))
threading.stack_size(256 * 1024)
thread = threading.Thread(target=drop)
thread.start()
thread.join()
print("alive")
"""


@pytest.mark.parametrize("body", DROPS.values(), ids=DROPS)
@pytest.mark.one_in(3)
def test_a_thread_with_a_small_stack_drops_it(body: str) -> None:
    script = SCRIPT.format(body=body.strip().replace("\n", "\n    "))
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False)
    assert run.stdout.strip() == "alive", (run.returncode, run.stderr)


@pytest.mark.parametrize("stride", [1, 2, 3, 64, 127, 131, 254, 1000])
def test_a_chain_has_knots_whatever_lies_between_its_nodes(stride: int) -> None:
    y = tr.tensor(1.0, requires_grad=True)
    for _ in range(300):
        y = y * 1.0
        for _ in range(stride - 1):
            y * 1.0  # recorded, and dropped
    without, longest, node = 0, 0, y
    while node.inputs:
        without = 0 if isinstance(getattr(node, "knot", None), Knot) else without + 1
        longest = max(longest, without)
        node = node.inputs[0]
    assert longest <= max(EVERY)


def test_what_is_dropped_is_freed_at_once_and_in_full() -> None:
    gc.disable()
    try:
        nodes, y = [], tr.tensor(np.ones(2), requires_grad=True)
        for _ in range(2_000):
            y = np.tanh(y)
            nodes.append(weakref.ref(y))
        kept = nodes[700]()
        del y
        assert [node() is not None for node in nodes] == [True] * 701 + [False] * 1299
        del kept
        assert not any(node() is not None for node in nodes)
    finally:
        gc.enable()


def test_a_part_of_the_graph_that_is_kept_still_has_its_gradient() -> None:
    x = y = tr.tensor(1.0, requires_grad=True)
    for i in range(1_000):
        y = y * 1.001
        if i == 499:
            kept = y
    del y
    kept.backward()
    assert np.isclose(x.grad, 1.001**500)

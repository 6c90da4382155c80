"""Training on two devices gives what one gives, and they meet once a step; started by ``test_on_device``."""

import re

import jax

from tests.training.test_on_device import assert_like_numpy, reader
from tinygrad_rnn.compiler.jax_code import training

MEETINGS = r" = \S.* (all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)(?:-start)?\("


def main() -> None:
    assert len(jax.devices()) == 2
    seen = []
    over_devices = training.over_devices

    def watched(run, mesh):
        step = over_devices(run, mesh)

        def watched_step(*arguments):
            seen.append((step, jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), arguments)))
            return step(*arguments)

        return watched_step

    training.over_devices = watched
    assert_like_numpy(devices=2)
    assert_like_numpy(devices=2, accumulate=2, clip_norm=0.1)
    assert_like_numpy(make=reader, devices=2)
    assert len(seen) >= 3
    for step, forms in seen:
        with jax.enable_x64(True):
            text = jax.jit(step).lower(*forms).compile().as_text()
        met = re.findall(MEETINGS, text)
        assert met == ["all-reduce"], met
    print("one all-reduce")


if __name__ == "__main__":
    main()

"""The loop over time: what is hoisted out of it, what is moved behind it, and what has to stay.

- ``over_time``: for each operation, how it is done for all steps at once (a batching rule for the time axis).
- ``loop``: a Loop is a traced step with its state, and a LoopResult what a program takes of it.
- ``rewriting``: the same step, rewritten so that more of it can leave; ``lowering``: with simpler operations.
- ``linear``: which states are linear recurrences, and become Loops of their own.
- ``fission``: what is loop-invariant or can be batched over time leaves a Loop.
- ``storage``: where the arrays of a Loop lie (buffer assignment), for every executor.
- ``independent_rows``: whether rows of a batch can go through a Loop by themselves.
- ``traced_loop``: where a function goes through time, one step is traced, and a Loop is made of it.
"""

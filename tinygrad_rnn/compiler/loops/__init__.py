"""The loop over time: which operations are hoisted out of it, moved behind it, or have to stay.

- ``over_time``: for each operation, how it is done for all steps at once (a batching rule for the time axis).
- ``loop``: a Loop is a traced step with its state, and a LoopResult is one result that a program reads.
- ``rewriting``: the same step, rewritten so that more of it can leave; ``lowering``: with simpler operations.
- ``linear``: which states are linear recurrences, and become Loops of their own.
- ``fission``: operations that are loop-invariant or can be batched over time leave a Loop.
- ``storage``: where the arrays of a Loop lie (buffer assignment), for every executor.
- ``independent_rows``: whether rows of a batch can go through a Loop by themselves.
- ``traced_loop``: how ``unroll`` inside a traced function becomes a Loop: one step is traced.
"""

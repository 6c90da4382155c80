"""Reading a recorded loss: from the graph of all steps to equations that hold at many steps.

- ``taking_in``: a recording, made from whatever ``derive`` was given.
- ``items``: the recorded graph without operations that nobody writes down; ``steps``: the step of each of them;
  ``plain_loops``: the steps of loops in Python; ``places``: what the first and last of these have of a whole step.
- ``grouping``: the values with the same role at different steps; ``rolling``: one equation for each such group;
  ``starts``: states before the first step; ``data``: the arrays that steps read.
- ``joining``: what a network computes twice, as one. ``draft``: equations that are rewritten one after another, by
  ``summing``: a loss that grows from step to step, as one sum; ``bracketing``: a gain on a normalised value;
  ``comparisons``: masks; ``functions``: what values are of others, found by computing; ``stable_forms``:
  cross-entropies; ``mixtures``: likelihoods of mixtures; ``softmaxes``: lines for them, and their logarithms.
  ``forward`` does all this, in order.
- ``rules``: the derivative rules of operations, as expressions; ``settings``: arguments that aren't operands.
"""

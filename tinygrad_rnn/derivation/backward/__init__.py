"""The backward pass as equations: from the equations of a network to those of its gradients.

- ``adjoints``: the backward recursion (BPTT), in which a quantity's adjoint is the sum over its uses.
- ``path_sums``: the same gradients as sums over paths through time; ``sensitivities``: carried forward (RTRL).
- ``all_steps``: one product over all steps in place of a sum of products.
- ``absence``: terms that don't exist at the first or last step.
- ``grain``: which quantities get a line of their own; ``names``: what the lines are called.
"""

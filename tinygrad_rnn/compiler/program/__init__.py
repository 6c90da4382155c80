"""A traced function and its backward pass: what an executor is given to write.

- ``backward``: the engine's own vjp rules, run on the program; the backward pass of a loop is a loop again.
- ``program``: inputs, outputs and gradients together.
- ``reach``: from which inputs a gradient can flow to which outputs.
"""

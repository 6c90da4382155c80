"""The executor that runs a program on JAX: on whatever devices JAX has, CPUs, GPUs and TPUs.

No text is written here. A program is interpreted once on JAX's own tracers, and XLA compiles what they recorded.

- ``precision``: NumPy's numbers in JAX, which by itself has none of 64 bits.
- ``places``: indices that point past the end, for which JAX raises no error.
- ``by_element``: functions of single elements, with NumPy's types, zeros and NaN.
- ``stand_in``: a JAX array for rules that are written in NumPy.
- ``told_anew``: the few operations that assign into arrays, or that JAX defines otherwise.
- ``interpreter``: all Values of a program, on JAX arrays; a loop is one ``lax.scan``.
- ``passes``: the forward and the backward pass of a program, as functions of JAX.
- ``differentiable``: both as one function for JAX programs.
- ``training``: a step of training, on one device or several.
"""

"""What generated code calls while it runs.

- ``tiles``: how many rows of a product go together;
  ``threads``, ``blas``: rows and large products on threads of our own.
- ``fast_functions``: exp, tanh and sigmoid that vectorise; ``tiled_product``: products in tiles.
- ``cache``: how numba compiles generated text, and where the machine code is kept.
"""

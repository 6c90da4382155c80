"""Functions that generated code calls while it runs.

- ``tiles``: how many rows of a product go together;
  ``threads``, ``blas``: rows and large products on threads of our own.
- ``parsing``: the syntax trees of generated text, by one thread at a time.
- ``llvm_code``: generated text translated to LLVM's language.
- ``fast_functions``: exp, log, tanh and sigmoid that vectorise; ``tiled_product``: products in tiles.
- ``division``: whole quotients and remainders as NumPy has them; ``places``: indices, checked as NumPy checks them.
- ``scan``: linear recurrences by NumPy, in chunks of steps.
- ``as_python``: the same text run as Python; ``failures``: the error for machine code that can't be made;
  ``code_folder``: where machine code is kept; ``cache``: machine code, made once and kept.
"""

"""Machine code without detours: the text of generated functions, translated to LLVM's language.

That text is Python of a few forms (loops over ranges, arithmetic, elements of arrays, calls), in which every number has
one of five types. To translate just this takes a twentieth of the time that a compiler for all of Python takes.

- ``numbers``: arithmetic on single numbers, with NumPy's types; ``arrays``: the elements of arrays.
- ``functions``: functions of numbers; ``tiles``: the inner loop of products.
- ``translator``: loops, assignments, calls; ``entry``: the function that Python calls.
- ``engine``: LLVM itself, which makes machine code of it and loads it.
"""

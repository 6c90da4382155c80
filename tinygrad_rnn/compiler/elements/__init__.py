"""A function of machine code while it is written, and the elements that it computes.

- ``addresses``: where the elements of a Value lie: in which array, and how to count in it.
- ``expressions``: the operations on elements, in the language of generated code.
- ``function``: the text of the function: its arguments, its kernels, and loops over axes.
"""

"""A function of machine code while it is written, and the elements that it computes.

- ``addresses``: where the elements of a Value lie: in which array, and how to count in it.
- ``expressions``: what is done with each, in the language of generated code.
- ``function``: the text of the function: what is passed to it, its kernels, and loops over axes.
"""

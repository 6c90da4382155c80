"""The executor that writes a program as calls of NumPy, with ``out=`` everywhere.

- ``generated``: generated functions, with the buffers that they write to.
- ``kernels``: how NumPy computes each operation into an existing array.
- ``rooms``: which buffers outside of loops are free for other Values.
- ``writer``: the names of Values and buffers in the text.
- ``loop``: a loop over time; ``executor``: all of a program.
- ``views``: views of buffers, taken out of the text and made once.
"""

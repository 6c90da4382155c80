"""The user's own function, read while it runs: what each of its lines assigns, and where that leaves the derivation.

- ``reads``: the variables that a line of code reads and writes, by its bytecode.
- ``watching``: a function is run as under a debugger, and each value that a line assigns is kept, or exchanged.
- ``numbers``: the numbers of a derivation, and whether an array consists of them.
- ``parting``: the first line of the function whose values are not the derivation's, and the line that belongs there.
"""

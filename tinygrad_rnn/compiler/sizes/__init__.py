"""Programs for arguments of all sizes: the numbers in them that follow the lengths of axes, and their values.

A program is traced for arguments of certain sizes, and every length in it is a number. Nothing says where that number
comes from. So the function is traced for three sizes, and what differs between the programs follows the sizes.

- ``reading``: a number that follows sizes, read off its values at several sizes.
- ``following``: floats and constant arrays that do, and the formulas that compute all of it.
- ``axes``: which lengths of arguments are free, and examples of them.
- ``pattern``: what a function does at all sizes, for comparison with what it does at one.
- ``code``: generated functions side by side, and from them the functions that take sizes as arguments.
- ``programs``: the Values of programs side by side, for an exporter.
"""

"""Programs for arguments of all sizes: the numbers in them that follow the lengths of axes, and their values.

A program is traced for arguments of certain sizes, and every length in it is a number whose origin isn't recorded. So
the function is traced for three sizes, and numbers that differ between the programs follow the sizes.

- ``reading``: a number that follows sizes, read off its values at several sizes.
- ``following``: floats and constant arrays that follow sizes, and the formulas that compute them.
- ``axes``: which lengths of arguments are free, and examples of them.
- ``pattern``: the common pattern of a function's programs at all sizes, for comparison with the program at one.
- ``code``: generated functions side by side, and from them the functions that take sizes as arguments.
- ``programs``: the Values of programs side by side, for an exporter.
"""

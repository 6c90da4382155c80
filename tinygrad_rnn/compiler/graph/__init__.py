"""A program as a graph: its parts, and how they are recorded.

- ``values``: a Value is an array that the program will have once it runs, with the operation that makes it.
- ``shapes``: the shape and dtype of an operation's result, without running it.
- ``simplify``: operations that needn't be recorded, or have a shorter form.
- ``trace``: stand-ins for arrays, on which a function runs once; what it does becomes Values.
"""

"""Guards: the things that a trace takes for granted, and the things that a traced function may not do.

- ``argument_form``: the form of arguments; those of one form share a plan.
- ``names_in_code``: the variables and attributes that a function's code mentions.
- ``random_numbers``: random numbers may not be drawn while a function is traced.
- ``watched``: what is kept of a value, to see whether it changes.
- ``guards``: their values when it was traced; a plan is stale once one of them has changed.
- ``side_effects``: what a function may not change itself.
"""

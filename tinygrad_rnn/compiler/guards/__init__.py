"""Guards: the things that a trace takes for granted, and the things that a traced function may not do.

- ``argument_form``: the form of arguments; those of one form share a plan.
- ``names_in_code``: the variables and attributes that a function's code mentions.
- ``random_numbers``: random numbers may not be drawn while a function is traced.
- ``watched``: the records of values by which their changes are seen.
- ``guards``: the values when a function was traced; its plan is stale once one of them has changed.
- ``side_effects``: the things that a function may not change itself.
"""

"""Programs, and the passes over them, for executors and for other readers of what a function does.

- ``printing``: a program as text, as ``print(program)`` shows it.
- ``spelling``: a program as one flat list, by which two are compared.
- ``program``: a program: inputs, outputs and gradients, and the order in which its Values and Loops are computed.
- ``tracing``: ``traced(function, arguments)``, the program of a function.
- ``columns``: products of which loops read columns, as products with columns of the weight.
- ``fission``: ``fissioned(program)``, which leaves in each loop only what its recurrence needs.
- ``backward``: ``differentiated(program, wanted)``: the engine's own vjp rules; a loop's backward pass is a loop again.
- ``verify``: a check of a program, for tests.
- ``reach``: from which inputs a gradient can flow to which outputs.
"""

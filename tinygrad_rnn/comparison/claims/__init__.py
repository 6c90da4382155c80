"""The manual side: gradients in whatever form they are handed in, as what they claim for each parameter.

``claims`` reads them, from any of the ``forms`` that people use: also under ``pytorch_names``, or from a derivation of
``one_layer`` alone. Where a name is unknown, gradients are told by their numbers (``joined``).
"""

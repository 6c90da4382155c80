"""The executor that writes loops as text that machine code is made of.

- ``placement``: which Value lies in which array (buffer assignment).
- ``passes``: passes over elements; ``contractions``, ``products``: sums of products; ``folds``: what goes along axes;
  ``pieces``: what is put together of several; ``schedule``: in which order.
- ``loop``: loops over time around them; ``stepped_loop``: those that have to call NumPy at each step.
- ``whole_program``, ``loops_and_passes``: small programs as one function, and large ones as several.
"""

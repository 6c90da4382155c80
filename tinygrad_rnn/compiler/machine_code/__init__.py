"""The executor that writes loops as text, which is then compiled to machine code.

- ``placement``: which Value lies in which array (buffer assignment).
- ``passes``: passes over elements; ``contractions``, ``products``: sums of products; ``folds``: operations along axes;
  ``pieces``: arrays assembled from several parts; ``schedule``: the order in which all this is written.
- ``loop``: loops over time around them; ``stepped_loop``: those that have to call NumPy at each step;
  ``weight_gradients``: what is summed over all steps and rows after a loop.
- ``whole_program``, ``loops_and_passes``: small programs as one function, and large ones as several.
"""

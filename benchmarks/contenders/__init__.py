"""The contenders: each module writes the tasks out as a user of that library would.

A module has `PACKAGES`, the distributions whose versions matter, and a function for each task that
it takes part in. The function gets NumPy arrays and returns a *step*: a function without arguments
that computes the loss and all gradients afresh, and returns `(float(loss), {"U": gradient, ...})`,
the gradients as the library gives them. `use_threads(count)` is called first, where there is one.

- `chain(x, length)`: `y = x`, then `y = y * x`, `length` times; the loss is the sum of y.
- `elman(x, U, W, b)`: `h = tanh(x[t] @ U + h @ W + b)`, from zeros; the loss is the mean of the
  squares of every h.
- `lstm(x, U, W, b)` and `gru(x, U, W, b, b_hn)`: the same with gates (i, f, g, o; r, z, n with the reset after the
  product), from zeros.
- `attention(x, memory, U, C, W, b)`, `hmm(x, U, W)`, `hmm_scaled(x, U, W)`, `spiking(x, U, W)`,
  `clockwork(x, U, W, b)`, `state_space(x, U, V, a)` and `soft_dtw(x, y)`: cells of other kinds, written out in
  `other_cells`.
- `language(text, E, U, W, b, V, c)`: `text[:-1]` through the embedding E, an LSTM (U, W, b; gates i, f, g, o) from
  zeros, and the output layer (V, c); the loss is the mean cross-entropy of `text[1:]`. The step ends with gradients
  clipped to the norm `CLIP_NORM`, and an update by Adam with a learning rate of 0.
"""

CLIP_NORM = 1e3  # above the norm of any gradient here, so that each has one right answer

"""The decoder of a sequence-to-sequence model: it writes symbol by symbol, each from the one before."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..autodiff.trees import tree_map
from . import init
from .attention import Attention, Memory
from .cells import Cell
from .cells.wrappers import hidden_of, on_hidden_of
from .compiled_cells import is_traced
from .decoding import Step, beam_search, greedy
from .layers import Embedding, Linear
from .module import Module
from .unroll import Noisy, one_step, unroll


class Saying(NamedTuple):
    """The values of a decoder at a step, by the names that pictures show.

    Attributes:
        logits: of the next symbols, (B, k).
        attention: the weights (S, B) of attention, or None.
    """

    logits: Any
    attention: Any


class Decoder(Module):
    """A decoder that writes a sequence: the last symbol is embedded and enters a cell, whose output predicts the next.

    With attention it also looks at a memory at every step. In Bahdanau's order it looks before the cell's step, with
    the old hidden state, and the context enters the cell beside the symbol. In Luong's order it looks after the step,
    with the new output y, and the next symbol is predicted from output and context r together, ``tanh([y, r] V)``.

    Args:
        symbols: k, the number of symbols.
        cell: any cell with a hidden state. Its inputs are the embedding and, in Bahdanau's order, the context. The
            cells of a ``StackedCell`` all begin with the same hidden state, and attention uses the hidden state of the
            last cell.
        attention: the attention; None for none.
        memory_size: m, the size of the memory's vectors.
        look: "before" the cell's step (Bahdanau) or "after" it (Luong).
        start: the symbol before the first one.
        end: the symbol that ends a sequence.
        seed: for the parameters and for scheduled sampling: an int, a numpy.random.Generator, or None for the
            package's own.
        dtype: of the parameters.

    Attributes:
        embedding: from symbols to the cell's inputs.
        readout: from the cell's output to logits.
        combine: in Luong's order, from output and context to the input of the readout; None otherwise.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> decoder = nn.Decoder(10, nn.LSTMCell(4, 8))
        >>> logits, state, weights = decoder(np.array([[2], [7], [1]]), decoder.begin(np.zeros((1, 8), np.float32)))
        >>> logits.shape, weights
        ((3, 1, 10), None)
    """

    def __init__(
        self,
        symbols: int,
        cell: Cell,
        *,
        attention: Attention | None = None,
        memory_size: int = 0,
        look: str = "before",
        start: int = 0,
        end: int = 1,
        seed: init.Seed = None,
        dtype: Any = np.float32,
    ) -> None:
        if look not in ("before", "after"):
            raise ValueError(f"Decoder: look is 'before' or 'after' the cell's step, not {look!r}")
        if attention is not None and memory_size < 1:
            raise ValueError("Decoder: attention needs memory_size, the size of the memory's vectors")
        self.generator = rng = init.generator(seed)
        self.cell, self.attention, self.look = cell, attention, look
        self.symbols, self.start, self.end = symbols, start, end
        sizes = [inner.outputs for inner in getattr(cell, "cells", ())]
        if len(set(sizes)) > 1:
            raise ValueError(f"Decoder: the cells of a stack start alike, so they need one size of output, not {sizes}")
        embedded = cell.inputs - (memory_size if attention is not None and look == "before" else 0)
        if embedded < 1:
            raise ValueError(
                f"Decoder: the cell takes {cell.inputs} numbers, but symbol and context together are more than the "
                f"{memory_size} of the context"
            )
        self.embedding = Embedding(symbols, embedded, seed=rng, dtype=dtype)
        self.combine = None
        if attention is not None and look == "after":
            self.combine = Linear(cell.outputs + memory_size, cell.outputs, bias=False, seed=rng, dtype=dtype)
        self.readout = Linear(cell.outputs, symbols, seed=rng, dtype=dtype)

    def begin(self, h: Any) -> Any:
        """The state before the first step, with a given hidden state h (B, d) and zeros in its other components."""
        initial = self.cell.initial_state(self._first_input(h))
        return on_hidden_of(self.cell, lambda _: h, initial)

    def step(self, symbols: Any, state: Any, memory: Memory | None = None, noise: Any = None) -> tuple[Saying, Any]:
        """Run a step of the decoder.

        Args:
            symbols: (B,), the symbols before this step.
            state: the state of the cell.
            memory: the memory of attention.
            noise: the cell's random numbers for this step, if it draws any (see ``Noisy``).

        Returns:
            ``((logits, weights), state)``: logits (B, k) of the next symbols, and the weights (S, B) of attention or
            None.
        """
        x, weights = self.embedding(symbols), None
        if self.attention is not None and self.look == "before":
            context, weights = self.attention(hidden_of(self.cell, state), memory)
            x = np.concatenate([x, context], axis=-1)
        y, state = one_step(self.cell, x if noise is None else Noisy(x, noise), state)
        if self.attention is not None and self.combine is not None:
            context, weights = self.attention(y, memory)
            y = np.tanh(self.combine(np.concatenate([y, context], axis=-1)))
        return Saying(self.readout(y), weights), state

    def _draw(self, state: Any, steps: int) -> Any:
        """The random numbers of the cell, drawn before the loop; None if it draws none."""
        if not hasattr(self.cell, "draw"):
            return None
        return self.cell.draw(self._first_input(hidden_of(self.cell, state)), state, steps)

    def _first_input(self, h: Any) -> np.ndarray:
        """An array with the shape of the cell's first input."""
        return np.zeros((*np.shape(h)[:-1], self.cell.inputs), np.float32)

    def forward(
        self, target: Any, state: Any, memory: Memory | None = None, *, sampling: float = 0.0
    ) -> tuple[Any, Any, Any]:
        """The logits of the next symbol at each step, given the target's earlier symbols (teacher forcing).

        Args:
            target: (T, B), symbols.
            state: the initial state, as ``begin`` returns it.
            memory: the memory of attention.
            sampling: the probability with which a step gets a symbol drawn from the model's own prediction, instead
                of the target's (scheduled sampling).

        Returns:
            Logits (T, B, k), the final state, and the weights (T, S, B) of attention or None.
        """
        target = target if is_traced(target) else np.asarray(target)
        before = np.concatenate([np.full_like(target[:1], self.start), target[:-1]])
        noise = self._draw(state, len(target))
        if not sampling:
            (logits, weights), state = unroll(
                lambda x, state: self.step(x.x, state, memory, x.noise), Noisy(before, noise), state
            )
            return logits, state, weights

        def cell(x: Any, state: Any) -> Any:
            symbols, noise, own, gumbel = x
            inner, written = state
            said, inner = self.step(np.where(own, written, symbols), inner, memory, noise)
            return said, (inner, np.argmax(said.logits + gumbel, axis=-1))

        # Before the loop, draw the choices, and noise with which the argmax of logits is a draw from their softmax.
        own = self.generator.random(target.shape) < sampling
        gumbel = self.generator.gumbel(size=(*target.shape, self.symbols))
        (logits, weights), (state, _) = unroll(cell, (before, noise, own, gumbel), (state, before[0]))
        return logits, state, weights

    def write(
        self, state: Any, memory: Memory | None = None, *, max_steps: int, width: int = 1, length_penalty: float = 0.0
    ) -> list[list[int]]:
        """The likeliest sequences, found greedily, or by beam search if ``width`` is more than 1.

        Args:
            state: the initial state of a batch, as ``begin`` returns it.
            memory: the memory of attention.
            max_steps: the largest number of symbols.
            width: the width of the beam.
            length_penalty: as in ``beam_search``.

        Returns:
            A list of symbols for each sequence, without start and end.
        """
        batch = len(hidden_of(self.cell, state))
        if width == 1:
            step = self._stepper(memory)
            return greedy(step, state, batch=batch, start=self.start, end=self.end, max_steps=max_steps)
        best = []
        for b in range(batch):
            only = slice(b, b + 1)
            found = beam_search(
                self._stepper(tree_map(lambda a: a[:, only], memory)),  # noqa: B023
                tree_map(lambda a: a[only], state),  # noqa: B023
                start=self.start,
                end=self.end,
                width=width,
                max_steps=max_steps,
                length_penalty=length_penalty,
            )
            best.append(list(found[0].symbols))
        return best

    def _stepper(self, memory: Memory | None) -> Step:
        """The decoder's step as a function, in the form that the searches call."""

        def step(symbols: np.ndarray, state: Any) -> tuple[Any, Any]:
            noise = tree_map(lambda a: a[0], self._draw(state, 1))
            (logits, _), state = self.step(symbols, state, memory, noise)
            return logits, state

        return step

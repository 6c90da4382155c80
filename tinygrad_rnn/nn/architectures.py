"""Whole models, by their inputs and outputs: one vector or a sequence of them.

==========================  ==============================  ==========================================================
many to one                 ``ManyToOne``                   a phrase to a colour, frames to a class, a review to a mood
many to many, aligned       ``ManyToMany``                  the next character or word, a tag for each word
one to many                 ``OneToMany``                   an image to a caption
many to many, by itself     ``EncoderDecoder``              translation
==========================  ==============================  ==========================================================

The figures (a) to (d) of the article "Under the hood of neural networks. Part 2: recurrent" show them all.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autodiff import scope
from . import init
from .compiled_cells import uncompiled
from .layers import Linear
from .module import Module
from .recurrent import Recurrent
from .seq2seq import Decoder
from .through_time import along_batch, checked_lengths


def last_output(layer: Recurrent, output: Any, lengths: Any = None) -> Any:
    """The last output of a recurrent layer: forward at each sequence's end, in reverse at its beginning.

    Args:
        layer: the layer.
        output: the layer's output, time first, (T, B, d).
        lengths: (B,), the lengths of the sequences in a padded batch.

    Returns:
        (B, d); zeros for a sequence without steps.
    """
    if lengths is None:
        final = output[-1]
    else:
        lengths = checked_lengths(lengths, np.shape(output))
        final = output[np.maximum(lengths - 1, 0), np.arange(len(lengths))]
        final = np.where(along_batch(lengths > 0, final), final, 0)
    if not layer.bidirectional:
        return final
    forward = layer.layers[-1][0].outputs
    return np.concatenate([final[..., :forward], output[0][..., forward:]], axis=-1)


def _layer(layer: Any, model: str) -> Any:
    """The layer of a model; a cell, which takes one step only, is refused."""
    if hasattr(layer, "batch_first"):
        return layer
    name = type(uncompiled(layer)).__name__
    raise TypeError(
        f"{model}: a layer goes through the whole sequence, such as RNN, LSTM, GRU or Recurrent; {name} is none. If it "
        f"is a cell, which takes one step, pass Recurrent({name}(...))"
    )


class ManyToOne(Module):
    """A model that reads a sequence and returns one output: a recurrent layer, and a linear layer on its last output.

    Args:
        layer: RNN, LSTM, GRU or Recurrent.
        outputs: k, the size of the output.
        pool: "last" output, or the "mean" or the "max" of all.
        seed: an int, a numpy.random.Generator, or None for the package's own.
        dtype: of the linear layer.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> model = nn.ManyToOne(nn.GRU(3, 8, bidirectional=True), outputs=2)
        >>> model(np.zeros((7, 5, 3), np.float32), lengths=[7, 3, 1, 2, 2]).shape
        (5, 2)
    """

    def __init__(
        self, layer: Recurrent, outputs: int, *, pool: str = "last", seed: init.Seed = None, dtype: Any = np.float32
    ) -> None:
        if pool not in ("last", "mean", "max"):
            raise ValueError(f"ManyToOne: pool is 'last', 'mean' or 'max', not {pool!r}")
        self.layer, self.pool = _layer(layer, "ManyToOne"), pool
        self.readout = Linear(layer.outputs, outputs, seed=seed, dtype=dtype)

    def forward(self, x: Any, lengths: Any = None) -> Any:
        """Args: x, as the layer takes it; lengths (B,). Returns: (B, k)."""
        output, _ = self.layer(x, lengths=lengths)
        if self.layer.batch_first and np.ndim(output) > 2:
            output = np.swapaxes(output, 0, 1)
        return self.readout(self._pooled(output, lengths))

    def _pooled(self, output: Any, lengths: Any) -> Any:
        """A vector for each sequence, (B, d)."""
        if self.pool == "last":
            return last_output(self.layer, output, lengths)
        if lengths is None:
            return np.mean(output, axis=0) if self.pool == "mean" else np.max(output, axis=0)
        lengths = checked_lengths(lengths, np.shape(output))
        valid = np.arange(len(output))[:, None] < lengths
        if self.pool == "mean":  # outputs in the padding are zero
            return np.sum(output, axis=0) / np.maximum(np.sum(valid, axis=0, dtype=output.dtype), 1)[:, None]
        largest = np.max(np.where(along_batch(valid, output), output, -np.inf), axis=0)
        return np.where((lengths > 0)[:, None], largest, 0)


class ManyToMany(Module):
    """A model with an output at each step: a recurrent layer, and a linear layer on each of its outputs.

    Args:
        layer: RNN, LSTM, GRU or Recurrent.
        outputs: k, the size of the output at a step.
        seed: an int, a numpy.random.Generator, or None for the package's own.
        dtype: of the linear layer.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> model = nn.ManyToMany(nn.LSTM(3, 8), outputs=2)
        >>> prediction, (h, c) = model(np.zeros((7, 5, 3), np.float32))
        >>> prediction.shape
        (7, 5, 2)
    """

    def __init__(self, layer: Recurrent, outputs: int, *, seed: init.Seed = None, dtype: Any = np.float32) -> None:
        self.layer = _layer(layer, "ManyToMany")
        self.readout = Linear(layer.outputs, outputs, seed=seed, dtype=dtype)

    def forward(self, x: Any, state: Any = None, lengths: Any = None) -> tuple[Any, Any]:
        """Args: x, state and lengths, as the layer takes them. Returns: (T, B, k), and the layer's final state."""
        output, state = self.layer(x, state, lengths=lengths)
        return self.readout(output), state


class OneToMany(Module):
    """A model that makes a sequence from one vector, from which it computes the first state of a decoder.

    Args:
        size: m, the size of the vector.
        decoder: the ``Decoder`` that writes the sequence.
        seed: an int, a numpy.random.Generator, or None for the package's own.
        dtype: of the parameters.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> model = nn.OneToMany(6, nn.Decoder(10, nn.GRUCell(4, 8)))
        >>> captions = np.array([[2, 3], [5, 1], [1, 1]])  # T = 3, B = 2; 1 is the end
        >>> model(np.zeros((2, 6), np.float32), captions).shape
        (3, 2, 10)
        >>> len(model.write(np.zeros((2, 6), np.float32), max_steps=5))
        2
    """

    def __init__(self, size: int, decoder: Decoder, *, seed: init.Seed = None, dtype: Any = np.float32) -> None:
        self.decoder = decoder
        self.bridge = Linear(size, decoder.cell.outputs, seed=seed, dtype=dtype)

    def _begin(self, vector: Any) -> Any:
        return self.decoder.begin(np.tanh(self.bridge(vector)))

    def forward(self, vector: Any, target: Any) -> Any:
        """The decoder's outputs at each step, given the target's earlier symbols (teacher forcing).

        Args:
            vector: (B, m).
            target: (T, B), symbols; each sequence ends with the end symbol.

        Returns:
            Logits (T, B, k).
        """
        return self.decoder(target, self._begin(vector))[0]

    def write(self, vector: Any, *, max_steps: int, width: int = 1, length_penalty: float = 0.0) -> list[list[int]]:
        """The likeliest sequences, found greedily, or by beam search if ``width`` is more than 1.

        Args:
            vector: (B, m).
            max_steps: the largest number of symbols.
            width: the width of the beam.
            length_penalty: as in ``beam_search``.

        Returns:
            A list of symbols for each vector.
        """
        return self.decoder.write(self._begin(vector), max_steps=max_steps, width=width, length_penalty=length_penalty)


class EncoderDecoder(Module):
    """A model that turns a sequence into another of any length: an encoder reads, then a decoder writes.

    The decoder's first state is computed from the encoder's last output; with attention the decoder looks at all
    outputs of the encoder at every step.

    Args:
        embedding: a module that is applied to the source first, such as an Embedding; None for none.
        encoder: RNN, LSTM, GRU or Recurrent, in one direction or both; time first.
        decoder: the ``Decoder`` that writes the sequence.
        seed: an int, a numpy.random.Generator, or None for the package's own.
        dtype: of the parameters between encoder and decoder.

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation"
    (2014); Sutskever, Vinyals and Le, "Sequence to sequence learning with neural networks" (2014); with attention,
    Bahdanau, Cho and Bengio (2015), and Luong, Pham and Manning (2015).

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> encoder = nn.GRU(4, 8, bidirectional=True)
        >>> attention = nn.AdditiveAttention(query_size=8, memory_size=16, units=8)
        >>> decoder = nn.Decoder(10, nn.GRUCell(4 + 16, 8), attention=attention, memory_size=16)
        >>> model = nn.EncoderDecoder(nn.Embedding(12, 4), encoder, decoder)
        >>> source, target = np.array([[3, 4], [5, 0]]), np.array([[2, 7], [6, 1], [1, 1]])
        >>> logits = model(source, target, lengths=[2, 1])
        >>> logits.shape
        (3, 2, 10)
    """

    def __init__(
        self, embedding: Any, encoder: Recurrent, decoder: Decoder, *, seed: init.Seed = None, dtype: Any = np.float32
    ) -> None:
        if encoder.batch_first:
            raise ValueError("EncoderDecoder: the encoder takes time first; leave batch_first=False")
        self.embedding, self.encoder, self.decoder = embedding, encoder, decoder
        self.bridge = Linear(encoder.outputs, decoder.cell.outputs, seed=seed, dtype=dtype)

    def encode(self, source: Any, lengths: Any = None) -> tuple[Any, Any]:
        """Read a source.

        Args:
            source: (S, B) symbols, or (S, B, n) without an embedding.
            lengths: (B,), the lengths of the sequences in a padded batch.

        Returns:
            The decoder's first state, and its memory (None without attention).
        """
        with scope(layer="encoder"):
            x = source if self.embedding is None else self.embedding(source)
            output, _ = self.encoder(x, lengths=lengths)
        state = self.decoder.begin(np.tanh(self.bridge(last_output(self.encoder, output, lengths))))
        attention = self.decoder.attention
        return state, None if attention is None else attention.memory(output, lengths)

    def forward(self, source: Any, target: Any, lengths: Any = None, *, sampling: float = 0.0) -> Any:
        """The logits of the next symbol at each step, given the target's earlier symbols (teacher forcing).

        Args:
            source: (S, B) symbols, or (S, B, n) without an embedding.
            target: (T, B), symbols; each sequence ends with the end symbol.
            lengths: (B,), the lengths of the sources in a padded batch.
            sampling: the probability with which a step gets a symbol drawn from the model's own prediction, instead of
                the target's; see ``teacher_forcing``.

        Returns:
            Logits (T, B, k).
        """
        state, memory = self.encode(source, lengths)
        with scope(layer="decoder"):
            return self.decoder(target, state, memory, sampling=sampling)[0]

    def write(
        self, source: Any, lengths: Any = None, *, max_steps: int, width: int = 1, length_penalty: float = 0.0
    ) -> list[list[int]]:
        """The likeliest sequences, found greedily, or by beam search if ``width`` is more than 1.

        Args:
            source: (S, B) symbols, or (S, B, n) without an embedding.
            lengths: (B,), the lengths of the sources in a padded batch.
            max_steps: the largest number of symbols.
            width: the width of the beam.
            length_penalty: as in ``beam_search``.

        Returns:
            A list of symbols for each source.
        """
        state, memory = self.encode(source, lengths)
        return self.decoder.write(state, memory, max_steps=max_steps, width=width, length_penalty=length_penalty)


def teacher_forcing(step: int, k: float) -> float:
    """The probability that a decoder in training gets the target's symbol: ``k / (k + exp(step / k))``.

    Scheduled sampling begins with the target's symbols (almost) always and ends with the model's own:
    ``model(source, target, sampling=1 - teacher_forcing(step, k=500))``.

    Args:
        step: the number of updates so far.
        k: the slowness of the decrease, 1 or more.

    Source: Bengio, Vinyals, Jaitly and Shazeer, "Scheduled sampling for sequence prediction with recurrent neural
    networks" (2015), section 2.4.

    Example:
        >>> from tinygrad_rnn import nn
        >>> [round(nn.teacher_forcing(step, k=100), 3) for step in (0, 400, 800)]
        [0.99, 0.647, 0.032]
    """
    return k / (k + math.exp(min(step / k, 700)))

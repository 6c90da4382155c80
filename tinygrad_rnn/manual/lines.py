"""A derivation as a list of named lines, in the order in which it is written down.

``{"dL/dz[3]": ..., "dL/ds[3]": ..., "delta[3]": ..., "dL/dz[2]": ..., ..., "dL/dW": ...}``: from the last step to the
first, as in a backward pass; at the end the derivative by the initial state and the gradients. Go through these lines
in order to find the first wrong line of a derivation.
"""

from __future__ import annotations

from .arrays import Array
from .elman import ElmanBackward
from .gru import GRUBackward
from .lstm import LSTMBackward

Backward = ElmanBackward | LSTMBackward | GRUBackward

# In each step, in the order of the derivation. The derivatives by the inputs come last: nothing follows from them.
_ORDER: dict[type, tuple[str, ...]] = {
    ElmanBackward: ("dL_dz", "dL_ds", "delta", "dL_dx"),
    LSTMBackward: ("dL_dh", "dL_do", "dL_dc", "dL_di", "dL_df", "dL_dg", "delta", "dL_dx"),
    GRUBackward: ("dL_dh", "dL_dz", "dL_dn", "dL_dr", "delta", "dL_dx"),
}
_INITIAL: dict[type, tuple[str, ...]] = {
    ElmanBackward: ("dL_ds0",),
    LSTMBackward: ("dL_dh0", "dL_dc0"),
    GRUBackward: ("dL_dh0",),
}


def lines(back: Backward) -> dict[str, Array]:
    """Every derivative of a backward pass by its name, in the order of the derivation.

    Args:
        back: the result of ``backward`` of ``elman``, ``lstm`` or ``gru``.

    Returns:
        ``"dL/dh[t]"`` and so on for t = T..1, with ``"delta[t]"`` for Δ_t; then ``"dL/dh[0]"``; then ``"dL/dW"`` and
        the other gradients. A parameter that the network doesn't have (peepholes, say) has no line.

    Example:
        >>> from tinygrad_rnn.manual import worked_example
        >>> derivation = lines(worked_example.run()[1])
        >>> list(derivation)[:5]
        ['dL/dz[6]', 'dL/ds[6]', 'delta[6]', 'dL/dx[6]', 'dL/dz[5]']
        >>> list(derivation)[-6:]
        ['dL/ds[0]', 'dL/dU', 'dL/dW', 'dL/dV', 'dL/db', 'dL/dc']
    """
    fields = _ORDER[type(back)]
    derivation = {}
    for t in range(len(back.delta), 0, -1):
        for field in fields:
            derivation[f"{_name(field)}[{t}]"] = getattr(back, field)[t - 1]
    for field in _INITIAL[type(back)]:
        derivation[f"{_name(field.removesuffix('0'))}[0]"] = getattr(back, field)
    for name, gradient in back.gradients._asdict().items():
        if gradient is not None:
            derivation[f"dL/d{name}"] = gradient
    return derivation


def _name(field: str) -> str:
    return field.replace("dL_d", "dL/d")

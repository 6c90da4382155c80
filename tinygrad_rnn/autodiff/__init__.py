"""The engine: reverse- and forward-mode automatic differentiation of plain NumPy code.

To read it, go by ``scalar`` (the idea, one number at a time), ``registry`` (what a primitive is),
``rules/elementwise`` (the rules of calculus), ``tensor`` (an array that records), ``graph`` (the walks through what
was recorded), ``transforms``.
"""

from .allocator import keep_freed_memory
from .gradcheck import GradientError, gradcheck
from .graph import named
from .rules.elementwise import relu, sigmoid
from .rules.reductions import logsumexp
from .scalar import Scalar, gradients, scalars
from .scope import Label, Scope, enable_grad, no_grad, scope
from .tensor import Tensor, tensor
from .transforms import grad, jvp, value_and_grad, vjp

keep_freed_memory()

__all__ = [
    "GradientError",
    "Label",
    "Scalar",
    "Scope",
    "Tensor",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradients",
    "jvp",
    "logsumexp",
    "named",
    "no_grad",
    "relu",
    "scalars",
    "scope",
    "sigmoid",
    "tensor",
    "value_and_grad",
    "vjp",
]

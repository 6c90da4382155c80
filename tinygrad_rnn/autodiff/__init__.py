"""The engine: reverse- and forward-mode automatic differentiation of plain NumPy code.

Read ``scalar`` first (the idea, one number at a time), then ``registry`` (what a primitive is), ``rules/elementwise``
(the rules of calculus), ``tensor`` (an array that records), ``array_node`` (the application of rules), ``graph`` (the
walks through a recorded graph), ``transforms``.
"""

from .anomaly import AnomalyError, detect_anomaly
from .custom import custom_jvp, custom_vjp
from .derivatives import gnvp, hessian, hvp, jacfwd, jacobian, jacrev
from .gradcheck import GradientError, gradcheck
from .graph import named
from .memory import keep_freed_memory
from .recompute import checkpoint, stop_gradient
from .rules.activations import (
    elu,
    gelu,
    hard_sigmoid,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    relu,
    selu,
    sigmoid,
    silu,
    softplus,
)
from .rules.complex_pairs import ComplexTensor
from .rules.indexing import index_add, index_update
from .rules.log_probabilities import log_softmax, logsumexp, softmax
from .rules.special import erf
from .scalar import Scalar
from .scalar_arrays import gradients, scalars
from .scope import Label, Scope, enable_grad, no_grad, scope
from .tensor import Array, Tensor, tensor
from .transforms import grad, jvp, linearize, value_and_grad, vjp

__all__ = [
    "AnomalyError",
    "Array",
    "ComplexTensor",
    "GradientError",
    "Label",
    "Scalar",
    "Scope",
    "Tensor",
    "checkpoint",
    "custom_jvp",
    "custom_vjp",
    "detect_anomaly",
    "elu",
    "enable_grad",
    "erf",
    "gelu",
    "gnvp",
    "grad",
    "gradcheck",
    "gradients",
    "hard_sigmoid",
    "hard_tanh",
    "hessian",
    "hvp",
    "index_add",
    "index_update",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "keep_freed_memory",
    "leaky_relu",
    "linearize",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "named",
    "no_grad",
    "relu",
    "scalars",
    "scope",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "stop_gradient",
    "tensor",
    "value_and_grad",
    "vjp",
]

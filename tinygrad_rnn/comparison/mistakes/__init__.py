"""What people get wrong in a derivation, as a catalogue.

Each mistake knows how to compute the gradients that it gives, for the network at hand. ``CATALOGUE`` holds them all, in
the order in which they are tried; add a row and it is diagnosed.
"""

from .arrays import CHANGES_OF_AN_ARRAY
from .base import Candidate, Mistake
from .forward import MISTAKES_IN_THE_FORWARD_PASS
from .paths import MISTAKES_IN_PATHS
from .rules import MISTAKES_IN_RULES
from .sums import MISTAKES_IN_SUMS

CATALOGUE: tuple[Mistake, ...] = (
    *MISTAKES_IN_SUMS,
    *MISTAKES_IN_RULES,
    *MISTAKES_IN_PATHS,
    *MISTAKES_IN_THE_FORWARD_PASS,
)

__all__ = ["CATALOGUE", "CHANGES_OF_AN_ARRAY", "Candidate", "Mistake"]

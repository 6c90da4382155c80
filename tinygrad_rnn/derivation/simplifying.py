"""Simplifying expressions, as a person does who writes a derivation down."""

from __future__ import annotations

from .expressions import Expression


def simplified(expression: Expression) -> Expression:
    """The simpler form of an expression."""
    return expression

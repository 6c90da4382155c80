"""The signs in which expressions are written: as plain text here, with LaTeX and MathML beside it.

A writer decides what stands where; a notation decides how it looks. A ``step`` from a writer is plain text: ``t-1``,
``1..T``, ``t = T``; each notation formats it.
"""

from __future__ import annotations

from collections.abc import Sequence

# How tightly a piece holds together: a comparison, a sum, a product by element, a matrix product, a power, a name.
COMPARISON, SUM, BY_ELEMENT, MATRIX, POWER, ATOM = range(6)
Piece = tuple[str, int]

GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau",
    "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda",
    "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip
ACCENTS = {"hat": "^", "tilde": "~", "bar": "¯", "dot": "˙"}
SUPERSCRIPTS = dict(zip("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


class Notation:
    """Plain text: ``Δ_t = ∂L/∂h_t ∘ (1 - h_t²)``.

    Attributes:
        minus: the sign with which a negative piece begins.
        has_bars: whether a fraction's bar groups its parts, so that they need no brackets.
    """

    minus = "-"
    has_bars = False

    # --- names and numbers -------------------------------------------------------------------------------------------

    def name(self, base: str, mark: str = "", step: str = "") -> str:
        """A name, with a mark that distinguishes it from others, and the step at which it is read."""
        if mark and all(c in SUPERSCRIPTS for c in mark):  # in brackets, for it is no exponent
            mark = f"⁽{''.join(SUPERSCRIPTS[c] for c in mark)}⁾"
        elif mark:
            mark = f"^{mark}"
        return f"{base}{mark}{self._below(step)}"

    def _below(self, step: str) -> str:
        return "" if not step else f"_{step}" if len(step) == 1 else f"_{{{step}}}"

    def vector(self, names: Sequence[str], step: str) -> str:
        """Several names of one step as one."""
        return f"{self.bracketed(', '.join(names))}{self._below(step)}"

    def number(self, text: str) -> Piece:
        """A number that is not negative."""
        return text, ATOM

    def plain(self, text: str) -> str:
        """Words, steps, indices: anything that is no name."""
        return text

    def derivative(self, of: str, by: str, direct: bool = False) -> str:
        """The derivative of something by something."""
        return f"∂{'⁺' if direct else ''}{of}/∂{by}"

    def equals(self, left: str, right: str) -> str:
        """An equation."""
        return f"{left} = {right}"

    # --- operations --------------------------------------------------------------------------------------------------

    def bracketed(self, text: str) -> str:
        """The text in round brackets."""
        return f"({text})"

    def listed(self, parts: Sequence[str], mark: str = ", ") -> str:
        """The parts in square brackets."""
        return f"[{mark.join(parts)}]"

    def infix(self, sign: str, parts: Sequence[str]) -> str:
        """Parts with a sign between them: +, -, ∘, ⊗, ·, ⋯, a comparison, or "" for a matrix product."""
        return (f" {sign} " if sign else " ").join(parts)

    def fraction(self, above: str, below: str) -> str:
        """A quotient."""
        return f"{above} / {below}"

    def power(self, base: str, exponent: str) -> str:
        """A power; the exponent ``T`` is a transpose."""
        return base + {"2": "²", "T": "ᵀ"}.get(exponent, f"^{exponent}")

    def taken(self, array: str, index: str) -> str:
        """A part of an array."""
        return f"{array}[{index}]"

    def entry(self, array: str, place: str) -> str:
        """An entry of an array, in brackets."""
        return f"{self.bracketed(array)}_{{{place}}}"

    def call(self, function: str, arguments: Sequence[str]) -> str:
        """A function of something."""
        return f"{function}({', '.join(arguments)})"

    def sum_over(self, what: str, inner: str) -> str:
        """A sum, over all steps (``t``), certain ones, or rows."""
        return f"Σ_{what if what.isalpha() else f'{{{what}}}'} {inner}"

    def during(self, term: str, steps: str) -> str:
        """A term that is there at certain steps."""
        return f"{term} [{steps}]"

    def cases(self, chosen: str, condition: str, other: str) -> str:
        """A choice between two values."""
        return self.call("where", [condition, chosen, other])

    def blank(self, number: int) -> str:
        """A right-hand side that is left out, with a number to call it by."""
        return f"____({number})____"


TEXT = Notation()


def letter_and_accent(name: str) -> tuple[str, str]:
    """The letter that a name spells, and the accent above it: what code calls ``c_hat`` or ``alpha``.

    Example:
        >>> letter_and_accent("c_hat"), letter_and_accent("alpha"), letter_and_accent("W_hh")
        (('c', 'hat'), ('α', ''), ('W_hh', ''))
    """
    spelled, _, accent = name.rpartition("_")
    if spelled and accent in ACCENTS:
        letter, _ = letter_and_accent(spelled)
        return (letter, accent) if len(letter) == 1 else (name, "")
    return next((letter for letter, word in GREEK.items() if word == name), name), ""

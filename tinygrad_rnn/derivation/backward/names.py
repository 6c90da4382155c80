"""Names: the names of the lines of a derivation.

Names are the user's own where there are any. Textbooks have letters for some roles: ``a`` for the argument of a
nonlinearity, ``delta`` for its derivative, ``z`` for the result of an output layer, ``e`` for an error. All others,
states above all, are called as the user's variables are. What stands in no variable has a letter: a state ``h``, and a
gate that in which the names of its parameters end: ``i`` is made with ``W_i``, ``U_i`` and ``b_i``.
"""

from __future__ import annotations

import itertools
import keyword
import re
from collections import Counter
from collections.abc import Iterable

from ...autodiff.rules import shape
from ..equations.arithmetic import is_difference
from ..equations.expressions import Apply, Data, Expression, Parameter, Reference, Stack
from ..equations.parts import applies, parts, references_of, values_of_steps
from ..equations.quantities import Letter, Quantity
from .grain import ACTIVATIONS

LETTERS = "uvqwmnrs"  # for values with neither a name nor a known role
TAKEN = {"L", "t", "T", "a", "delta"}  # the loss, a step, the last one, an argument and the derivative by it


def short_names(parameters: Iterable[str]) -> dict[str, str]:
    """The short names of parameters in lines: ``W`` for ``rnn.W``, if there is no other W, else what tells them apart.

    Example:
        >>> short_names(["cell.read.W", "cell.keep.W", "cell.read.b"])
        {'cell.read.W': 'read.W', 'cell.keep.W': 'keep.W', 'cell.read.b': 'b'}
        >>> short_names(["W", "cell.W"])
        {'W': 'W', 'cell.W': 'cell.W'}
        >>> short_names(["0.W", "1.W", "2"])  # of a list: a number alone would be read as one
        {'0.W': 'w0.W', '1.W': 'w1.W', '2': 'w2'}
    """
    endings = {name: [name.split(".")[-k:] for k in range(1, name.count(".") + 2)] for name in parameters}
    ends = Counter(tuple(ending) for found in endings.values() for ending in found)
    alone = {name: [e for e in found if ends[tuple(e)] == 1 and not e[0].isdigit()] for name, found in endings.items()}
    short = {name: ".".join(found[0]) if found else name for name, found in alone.items()}
    return {name: f"w{own}" if own[:1].isdigit() and f"w{own}" not in short else own for name, own in short.items()}


def row_name(name: str) -> str:
    """The name of an array's rows: those of ``xs`` are x."""
    return name[:-1] if len(name) == 2 and name.endswith("s") else name


class Names:
    """The names of quantities, each one different."""

    def __init__(self, forward: list[Quantity], backward: list[Quantity], root: Quantity, taken: Iterable[str]) -> None:
        self.root = root
        self._own_names: dict[Quantity, str | None] = {}
        self.used = {re.sub(r"\W", "_", one) for name in taken for one in (name, row_name(name))} | {"t", "T"}
        self.taken = frozenset(self.used | TAKEN)
        self.variables = {(variable_name(quantity), quantity.loop) for quantity in forward}
        self.layers: dict[str, set[object]] = {}
        self.recurrent = {read.quantity for q in forward for read, _ in references_of(q) if read.shift}
        self.activated = _activated(forward)
        self.gates = _gates(self.activated)
        self.given_to_gates: set[str] = set()
        in_order = sorted(forward, key=self._rank)
        for quantity in in_order:
            self.layers.setdefault(self._base(quantity), set()).add(quantity.layer)
        for quantity in in_order:
            self._give(quantity, self._base(quantity))
        others = [quantity for quantity in forward if quantity.letter.base == root.letter.base and quantity is not root]
        if others and not root.steps and all(quantity.steps for quantity in others):
            root.letter = root.letter._replace(is_silent=True)  # its terms L_t have a step, and the whole L has none
        for quantity in backward:
            self._name_derivative(quantity)

    def _rank(self, quantity: Quantity) -> tuple[bool, ...]:
        """The place in the order in which letters are given: states have theirs first, and no variable gets any."""
        is_unnamed = self._own_name(quantity) is None
        is_state = quantity in self.recurrent
        return is_unnamed, not self._makes_state(quantity), not is_state, not self._variable(quantity)

    def _makes_state(self, quantity: Quantity) -> bool:
        """Return True for the argument of the activation that gives each step's state: that is ``a`` without a mark."""
        is_whole = len(quantity.steps) == max((len(other.steps) for other in self.activated), default=0)
        return is_whole and any(result in self.recurrent for result in self.activated.get(quantity, ()))

    def _own_name(self, quantity: Quantity) -> str | None:
        """The name that the model or textbooks give a quantity."""
        if quantity is self.root:
            return "L"
        if quantity not in self._own_names:
            self._own_names[quantity] = quantity.label("state", "value", "output") or quantity.letter.base or None
        return self._own_names[quantity]

    def _base(self, quantity: Quantity) -> str:
        own = self._own_name(quantity)
        if own is not None:
            return "h" if own.isdigit() else re.sub(r"\W", "_", own)  # a part of a tuple has only a number
        variable = variable_name(quantity)
        if quantity in self.recurrent:
            if variable and variable not in TAKEN:
                return variable
            usual = "c" if quantity in self.activated else "h"  # c of a cell whose output is a function of its state
            return "" if (usual, quantity.loop) in self.variables else usual
        if quantity in self.activated:
            loops = {state.loop for state in self.recurrent}
            return "z" if loops and quantity.loop not in loops else "a"
        gate = self.gates.get(quantity, "")
        free = gate if gate not in self.used or gate in self.given_to_gates else ""
        return _role(quantity) or self._variable(quantity) or free or ("" if quantity.shape else "l")

    def _variable(self, quantity: Quantity) -> str:
        """The variable that gives its name to a quantity without a role; "" if there is none."""
        has_role = quantity is self.root or quantity in self.recurrent or quantity in self.activated
        variable = variable_name(quantity)
        return "" if has_role or variable in self.taken else variable

    def _give(self, quantity: Quantity, base: str) -> None:
        own = self._own_name(quantity) or ""
        mark = own if own.isdigit() else ""
        if base == "a" and not own:
            mark = self._mark_of_argument(quantity)
        if base and not mark and len(self.layers.get(base, ())) > 1 and quantity.layer is not None:
            mark = re.sub(r"\W", "_", str(quantity.layer))
        if base and base == self.gates.get(quantity):
            self.given_to_gates.add(base)
        if not base:
            base = next((letter for letter in LETTERS if letter not in self.used), "u")
        quantity.letter = Letter(base, self._free(base, mark))
        self.used.add(quantity.name)

    def _free(self, base: str, mark: str) -> str:
        """A mark that makes the name unique."""
        free, number = mark, 2
        while str(Letter(base, free)) in self.used or (not free and keyword.iskeyword(base)):
            free, number = f"{mark}_{number}" if mark else str(number), number + 1
        return free

    def _mark_of_argument(self, quantity: Quantity) -> str:
        """The gate whose argument this is, if several gates have one each."""
        alike = [q for q in self.activated if q.layer == quantity.layer and q.loop == quantity.loop]
        others = [q for q in alike if self._own_name(q) is None]
        results = self.activated[quantity]
        if len(others) < 2 or len(results) != 1:
            return ""
        return results[0].label("value") or self._variable(results[0]) or self.gates.get(quantity, "")

    def _name_derivative(self, quantity: Quantity) -> None:
        """Name what a derivative is of and by; the derivative of the loss by an activation's argument is a delta."""
        by, of, direct, _ = quantity.derivative  # type: ignore[misc]
        for source in (of, by):
            if isinstance(source, Quantity) and not source.name:  # written into other lines, so it has none yet
                self._give(source, self._base(source))
        if isinstance(by, Quantity) and of is None:
            is_delta = by.letter.base == "a" and self._own_name(by) is None and not direct
            quantity.letter = by.letter._replace(base="delta") if is_delta else by.letter


def variable_name(quantity: Quantity) -> str:
    """The name of the variable that holds a quantity, without its step: h for h_t; "" if there is none."""
    return re.sub("_t$", "", quantity.variable or "")


def _role(quantity: Quantity) -> str:
    """The letter that textbooks give what plays this role: an error, the result of an output layer, all states."""
    expression = quantity.equations[-1].expression
    if applies(expression, shape.stacked, shape.joined):
        expression = values_of_steps(expression.operands) or expression
    if isinstance(expression, Stack) and isinstance(expression.inner, Reference):
        return expression.inner.quantity.letter.base.upper() or "H"
    if not quantity.shape:
        return ""
    if _is_error(expression):
        return "e"
    is_affine_once = not quantity.steps and any(parts(expression, Parameter))
    return "z" if quantity.softmax is not None or is_affine_once else ""


def _activated(forward: list[Quantity]) -> dict[Quantity, list[Quantity]]:
    """The arguments of activations, each with the results."""
    found: dict[Quantity, list[Quantity]] = {}
    for result in forward:
        for equation in result.equations:
            for part in parts(equation.expression):
                if applies(part, *ACTIVATIONS):
                    inner = part.operands[0]
                    is_part = isinstance(inner, Apply) and inner.name == "getitem"
                    while isinstance(inner, Apply) and inner.name in ("getitem", "transpose", "reshape"):
                        inner = inner.operands[0]
                    if isinstance(inner, Reference) and inner.quantity.label("state", "value", "output") is None:
                        found.setdefault(inner.quantity, [])
                        if result not in found[inner.quantity]:
                            found[inner.quantity] += [result] * (2 if is_part else 1)  # a part is not alone
    return found


def _gates(activated: dict[Quantity, list[Quantity]]) -> dict[Quantity, str]:
    """The letter of each gate and of its argument, if there are several: what the names of its parameters end in."""
    endings = {argument: _common_ending(argument) for argument in activated}
    if len({ending for ending in endings.values() if ending}) < 2:
        return {}
    results = {argument: found[0] for argument, found in activated.items() if len(found) == 1}
    return endings | {result: endings[argument] for argument, result in results.items()}


def _common_ending(quantity: Quantity) -> str:
    """The letters in which the names of all parameters of a quantity end, of two at least: i of W_i and U_i."""
    read = {part.name for e in quantity.equations for part in parts(e.expression, Parameter)}
    names = [name.rpartition(".")[2] for name in read]
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*(reversed(name) for name in names)))
    ending = "".join(letters[0] for letters in alike)[::-1].lstrip("_")
    is_ending = len(names) > 1 and ending.isalpha() and all(len(name) > len(ending) for name in names)
    return ending if is_ending else ""


def _is_error(expression: Expression) -> bool:
    """Return True for a value minus a target."""
    if not is_difference(expression):
        return False
    target = expression.operands[1]
    while isinstance(target, Apply) and target.name == "getitem":
        target = target.operands[0]
    return isinstance(target, Data)

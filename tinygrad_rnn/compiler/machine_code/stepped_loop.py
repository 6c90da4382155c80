"""Loops with an operation that has no machine code: NumPy runs it, and calls machine code for the rest of the step.

Elementwise operations that follow each other at a step are one pass, and one call.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...autodiff.rules import linalg
from .. import thresholds
from ..elements.addresses import whole
from ..elements.expressions import has_expression
from ..elements.function import MachineCode, NoMachineCode
from ..graph.shapes import is_view, multiplications
from ..graph.values import Value
from ..numpy_code.executor import on_one_thread
from ..numpy_code.loop import LoopWriter
from .placement import Placement
from .schedule import write


class SteppedLoop(LoopWriter):
    """A writer of one loop."""

    def lines(self) -> list[str]:
        """The loop, on one thread of BLAS (as in the NumPy executor) unless its products are large."""
        lines = super().lines()
        products = [multiplications(v) for v in self.body if v.op is linalg.matmul]
        if not products or max(products) > thresholds.BLAS_THREADS_INSIDE:
            return lines
        return on_one_thread(self.writer, lines)

    def _operation(self, value: Value) -> None:
        super()._operation(value)
        if value.op is linalg.matmul:  # NumPy's own: outside of loops it is shared among threads
            name = self.writer.named(np.matmul, "product")
            self.inside[-1] = self.inside[-1].replace("matmul(", f"{name}(", 1)

    def _steps(self) -> None:
        together: list[Value] = []
        for place, value in enumerate(self.body):
            if has_expression(value) and not is_view(value) and value not in self.storage.parts:
                together.append(value)
            else:
                self._pass(together)
                self._step(place, value)
                together = []
        self._pass(together)

    def _pass(self, values: Sequence[Value]) -> None:
        """Elementwise operations that follow each other: one call of machine code, if there are several."""
        if len(values) > 1:
            try:
                self.inside += self._called(values)
            except NoMachineCode:  # for their dtype, for example
                pass
            else:
                for value in values:
                    self.rooms.release(self.liveness.ending(self.body.index(value)))
                return
        for value in values:
            self._step(self.body.index(value), value)

    def _called(self, values: Sequence[Value]) -> list[str]:
        code = MachineCode(self.writer)
        placement = Placement(code)
        placement.add_users(self.body)
        for a in dict.fromkeys(a for value in values for a in value.operands):
            if a not in values:
                placement.homes[a] = whole(code.argument(self._operand(a)), a.shape)
        read_at_end = {*(v for _, v in self._copies()), *(result.inner for result in self.storage.sums)}
        for value in values:
            if value in self.targets or value in read_at_end or not placement.users.get(value, set()) <= {*values}:
                self.names[value] = self.targets.get(value) or self._temporary(value)
                placement.kept.add(value)
                placement.write_to(whole(code.argument(self.names[value]), value.shape), value)
        write(placement, values)
        return code.call()

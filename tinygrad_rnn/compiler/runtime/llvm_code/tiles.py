"""The inner loop of a product: one tile of the result, in vector registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

INTEGER, CHOICE = ir.IntType(64), ir.IntType(32)


def write_tile(
    builder: ir.IRBuilder,
    sizes: tuple[int, int, int],
    a: tuple[Any, Any, Any],
    panel: Any,
    depth: Any,
    c: tuple[Any, Any],
    adds: bool = False,
) -> None:
    """Write a tile in LLVM's language, where vectors stay in registers.

    For each k, a row of the panel is read once, and each row of the tile adds to its sums that row times a[row, k].

    Args:
        builder: where to.
        sizes: of the tile: its rows, the vectors in each, the numbers in a vector.
        a: the first element of the tile's rows of A, and how far apart rows and columns lie.
        panel: its first element.
        depth: how many products to sum.
        c: the first element of the tile, and how far apart its rows lie.
        adds: whether the products are added to what is there.
    """
    rows, vectors, lanes = sizes
    real = panel.type.pointee
    itemsize = 4 if isinstance(real, ir.FloatType) else 8
    vector = ir.VectorType(real, lanes)

    def vector_at(pointer: Any, i: int) -> Any:
        return builder.bitcast(builder.gep(pointer, [ir.Constant(INTEGER, i * lanes)]), vector.as_pointer())

    def repeated(number: Any) -> Any:
        undefined = ir.Constant(vector, ir.Undefined)
        one = builder.insert_element(undefined, number, ir.Constant(CHOICE, 0))
        return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(CHOICE, lanes), [0] * lanes))

    first, a_row, a_column = a
    left = [builder.gep(first, [builder.mul(a_row, ir.Constant(INTEGER, r))]) for r in range(rows)]
    out = [builder.gep(c[0], [builder.mul(c[1], ir.Constant(INTEGER, r))]) for r in range(rows)]
    nothing = ir.Constant(vector, [0.0] * lanes)
    starts = [
        [builder.load(vector_at(row, i), align=itemsize) if adds else nothing for i in range(vectors)] for row in out
    ]
    before, body, after = builder.block, builder.append_basic_block("k"), builder.append_basic_block("end")
    builder.branch(body)

    builder.position_at_end(body)
    k = builder.phi(INTEGER)
    k.add_incoming(ir.Constant(INTEGER, 0), before)
    sums = [[builder.phi(vector) for _ in range(vectors)] for _ in range(rows)]
    panel_row = builder.gep(panel, [builder.mul(k, ir.Constant(INTEGER, vectors * lanes))])
    right = [builder.load(vector_at(panel_row, i), align=itemsize) for i in range(vectors)]
    summed = []
    for r in range(rows):
        factor = repeated(builder.load(builder.gep(left[r], [builder.mul(k, a_column)])))
        products = [builder.fmul(factor, v, flags=("contract",)) for v in right]
        summed.append([builder.fadd(s, p, flags=("contract",)) for s, p in zip(sums[r], products)])
        for s, start, new in zip(sums[r], starts[r], summed[r]):
            s.add_incoming(start, before)
            s.add_incoming(new, body)
    following = builder.add(k, ir.Constant(INTEGER, 1))
    k.add_incoming(following, body)
    builder.cbranch(builder.icmp_signed("<", following, depth), body, after)

    builder.position_at_end(after)
    for r in range(rows):
        for i in range(vectors):
            builder.store(summed[r][i], vector_at(out[r], i), align=itemsize)

"""The thresholds at which another way becomes faster: all numbers by which the compiler chooses, on one page.

None of them changes what is computed, only how fast, or how much memory is kept. All were chosen on one machine, the
two-core AMD EPYC with AVX-512 of ``benchmarks/RESULTS.md``, with NumPy's wheel (OpenBLAS) and numba, by the rows of
``python -m benchmarks compiled``: Elman networks and LSTMs from S (B=1, d=16, T=20) to L. On another machine they may
lie elsewhere; near its threshold, either way is about as fast. Work is counted in multiplications of a matrix product,
arrays in elements.

The tiles of products aren't among these numbers: they follow the processor's registers (``runtime.tiles``). They were
measured with AVX2 as well, and are faster than BLAS in loops of all these sizes; so no size sends a loop to BLAS.
"""

from __future__ import annotations

# --- plans and memory ------------------------------------------------------------------------------------------------

# Plans of one function: each keeps buffers of its own, and data of many lengths would fill the memory.
MOST_PLANS = 32

# Times that a plan for arguments of all lengths is made anew, since other lengths differ than those that did before.
MOST_SIZED_PLANS = 8

# Sizes of arguments for which the memory of a call keeps its views; to make them anew takes microseconds.
MOST_SIZES = 256

# Elements of an array over all steps from which an elementwise operation that spreads its operands out, by at least
# such a factor, stays in the loop and isn't kept: a hidden Markov model would keep 128 times what its states need.
MOST_AT_ALL_STEPS, SPREAD = 2**20, 8

# Memory that waits to be used again: for as many calls of one program as a training step in windows may have under way.
MOST_WAITING = 32

# Bytes from which arrays of a program on JAX are room for its next call. The C library keeps the pages of smaller ones.
SMALLEST_ROOM = 2**20

# Calls from which machine code is made with executor="auto": a function that is called once isn't worth seconds.
CALLS_BEFORE_MACHINE_CODE = 2

# --- NumPy and its BLAS ----------------------------------------------------------------------------------------------

# Work up to which a product outside of loops gains nothing from a second thread of ours. If something else runs on its
# core, it waits for that: a step of 0.4 ms was seen to take 40 ms.
SHARED_PRODUCT = 2**23

# Work up to which a product in a loop gains nothing from BLAS's own threads. They begin at once, as they don't sleep in
# between; ours, which do, have to be woken for each product, and are worth that only from SHARED_PRODUCT on.
BLAS_THREADS_INSIDE = 2**20

# Steps from which linear recurrences are scans.
FEWEST_STEPS_TO_SCAN = 64

# Elements of a state up to which NumPy scans by chunks: a step of its own costs a microsecond, a scan twice the work.
# And elements of all chunks together at one of their steps.
WIDEST_SCAN = 2**11
LARGEST_SCAN_STEP = 2**14

# --- machine code ----------------------------------------------------------------------------------------------------

# Elements of the largest array outside of loops up to which all of a program becomes one function. Measured with the
# loss in the plan: an Elman network S takes 21 µs so, and 46 µs where NumPy is called around its loop.
SMALL_VALUE = 2**14

# Elements from which elementwise work around loops is worth a call of machine code: it then goes through memory once.
SMALLEST_PASS = 2**10

# Work up to which a product is a loop of its own: before and after loops over time, and inside of them, where its
# matrix is packed once for all steps, so that tiles pay from a few hundred multiplications on.
SMALL_PRODUCT = 2**15
SMALL_PRODUCT_INSIDE = 2**9

# Products that such a small loop adds up before it writes: each has to wait for the one before it to be written.
UNROLLED = 8

# Work that an element of an operation along axes takes, and one of an elementwise operation, beside a multiplication in
# tiles of a product: an exponential or two, and numbers that come from memory.
ELEMENT_ALONG_AXES, ELEMENT = 16, 4

# Work of a whole loop over time up to which a second thread costs more than it brings: its rows aren't shared.
SMALL_LOOP = 2**24

# Elements up to which sums are added up one by one in float64; NumPy, which sums in pairs, is as precise beyond.
SMALL_SUM = 2**15

# Exponents up to which a power is written out as products.
LARGEST_POWER = 8

# Lengths of a last axis that LLVM isn't told. It unrolls such a loop before it looks for vectors, and then finds none:
# a tanh takes ten times as long. What it has to know is only the power of two by which the length can be divided.
SHORT_AXIS = range(4, 32)

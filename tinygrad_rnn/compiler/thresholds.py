"""The thresholds at which another method becomes faster: all numbers by which the compiler chooses, on one page.

None of them changes what is computed, only how fast, or how much memory is kept. All were chosen on one machine, the
two-core AMD EPYC with AVX-512 of ``benchmarks/RESULTS.md``, with NumPy's wheel (OpenBLAS) and LLVM, by the rows of
``python -m benchmarks compiled``: Elman networks and LSTMs from S (B=1, d=16, T=20) to L. On another machine they may
lie elsewhere; near its threshold, either method is about as fast. Work is counted in multiplications of a matrix
product, arrays in elements.

The tiles of products aren't among these numbers: they follow the processor's registers (``runtime.tiles``). They were
measured with AVX2 as well, and are faster than BLAS in loops of all these sizes; so no size sends a loop to BLAS.
"""

from __future__ import annotations

# --- plans and memory ------------------------------------------------------------------------------------------------

# The most plans of one function: each keeps its own buffers, and data of many lengths would fill the memory.
MOST_PLANS = 32

# How often a plan for all lengths is made anew, because lengths differ now that didn't before.
MOST_SIZED_PLANS = 8

# The number of sizes for which the memory of a call keeps its views; making them anew takes microseconds.
MOST_SIZES = 256

# An elementwise operation stays in the loop, and its results aren't kept, if they would have at least this many
# elements over all steps and this many times those of its operands: a hidden Markov model would keep 128 times its
# states.
MOST_AT_ALL_STEPS, SPREAD = 2**20, 8

# The number of calls whose memory waits to be used again: a training step in windows has several calls under way.
MOST_WAITING = 32

# Bytes from which arrays of a program on JAX are reused by its next call. The C library keeps the pages of smaller
# ones.
SMALLEST_ROOM = 2**20

# The call from which executor="auto" makes machine code: a function that is called once isn't worth seconds.
CALLS_BEFORE_MACHINE_CODE = 2

# --- NumPy and its BLAS ----------------------------------------------------------------------------------------------

# Multiplications for each element of its arrays up to which a product outside of loops gains nothing from a second
# thread of ours: narrow ones, however long. One takes 10 ps. An element that two cores have read takes 0.4 ns more when
# one of them writes it in the next call, and 2 ns if they have no cache in common.
SHARED_ELEMENT = 64

# Work up to which a product in a loop gains nothing from BLAS's own threads. They begin at once, as they don't sleep in
# between; ours, which do, have to be woken for each product.
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

# Work up to which a product is a plain loop: outside of loops over time, and inside of them, where its matrix is packed
# once for all steps, so that tiles pay from a few hundred multiplications on.
SMALL_PRODUCT = 2**15
SMALL_PRODUCT_INSIDE = 2**9

# Rows from which products with a weight stay in loops, also if they could leave: two tiles, each of which goes through
# the packed weight. A few rows at a time take longer to fetch it from the second cache than to multiply.
# So do narrow ones, of less than a vector.
FEWEST_ROWS_INSIDE = 8
FEWEST_COLUMNS_INSIDE = 16

# Work from which the gradient of a weight is summed by each thread over its own rows.
SHARED_GRADIENT = 2**23

# Elements of a weight up to which each part of the rows has a gradient of its own: larger ones would leave the cache,
# and take long to add up.
LARGEST_PART = 2**16

# Products that such a plain loop adds up before it writes: each write has to wait for the one before it.
UNROLLED = 8

# The work of one element of an operation along axes, and of an elementwise operation, in multiplications of a tiled
# product: an exponential or two, and numbers that come from memory.
ELEMENT_ALONG_AXES, ELEMENT = 16, 4

# Work of a whole loop over time up to which a second thread costs more than it brings: its rows aren't shared.
SMALL_LOOP = 2**24

# Elements up to which sums are added up one by one in float64; NumPy, which sums in pairs, is as precise beyond.
SMALL_SUM = 2**15

# Lengths of rows that a pass adds up while it computes them: at least a vector, at most what stays in the first cache.
ROW_OF_SUMS = range(16, 2**11 + 1)

# Exponents up to which a power is written out as products.
LARGEST_POWER = 8

# Lengths of a last axis that aren't shown to LLVM. It would unroll such a loop before it looks for vectors, and then
# find none: a tanh takes ten times as long. It only has to know the power of two that divides the length.
SHORT_AXIS = range(4, 32)

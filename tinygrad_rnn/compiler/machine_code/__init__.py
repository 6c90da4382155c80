"""The executor that writes loops as text that numba makes machine code of."""

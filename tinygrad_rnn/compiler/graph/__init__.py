"""A program as a graph: the Values that it is made of, their shapes, and the trace that records them."""

"""The executor that writes a program as calls of NumPy, with ``out=`` everywhere."""

"""A traced function and its backward pass: what an executor is given to write."""

"""The reading of a recorded graph for a picture: its contents, views, gradients and paths."""

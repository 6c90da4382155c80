"""The reading of a recorded graph for a picture: what is in it, its views, its gradients, its paths."""

"""From a recorded graph to the graph of a picture: what is in it, its views, its gradients, its paths."""

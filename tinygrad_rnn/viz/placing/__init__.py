"""Where everything in a picture lies."""

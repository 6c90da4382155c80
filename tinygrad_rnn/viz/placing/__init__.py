"""The layout of a picture: a place for everything in it."""

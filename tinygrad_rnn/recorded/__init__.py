"""Facts read off a recorded graph: landmarks, contributions, loss terms, gates; and a way to run it again.

``comparison``, ``explanation`` and ``viz`` stand on this room, side by side.
"""

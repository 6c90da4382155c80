"""What can be read off a recorded graph: landmarks, contributions, loss terms, gates, and how to run it again.

``comparison``, ``explanation`` and ``viz`` stand on this room, side by side.
"""

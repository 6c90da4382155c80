"""A placed picture as SVG, DOT, Graphviz output, JSON and text."""

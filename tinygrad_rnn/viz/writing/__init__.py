"""The text and colours on a picture: numbers, formulas, colours of norms."""

"""What is written on a picture: numbers, formulas, colours of norms."""

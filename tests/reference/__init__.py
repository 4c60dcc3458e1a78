"""Independent NumPy versions of the mathematics, written from the papers."""

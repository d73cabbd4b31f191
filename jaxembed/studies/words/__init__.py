"""Word vectors and analogies."""

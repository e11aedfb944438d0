"""What a compiled XLA program costs and where, read from its text."""

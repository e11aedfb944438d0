"""Encodings: label maps to and from what diffuses, as pure functions of arrays."""

"""Ahead-of-time compilation for a machine that is not there: what would fit, and what it costs."""

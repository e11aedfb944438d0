"""Denoisers known in closed form and stubs, shared by tests and benchmarks."""

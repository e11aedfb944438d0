"""Training: state, optimizer, step, and the loop."""

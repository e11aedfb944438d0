"""What diffusion is held against, on the same trunk: built from the seams that anyone may use."""

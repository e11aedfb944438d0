"""Tools that know nothing of segmentation: they would serve any JAX program."""

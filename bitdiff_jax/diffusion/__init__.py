"""Diffusion as pure functions of arrays: no network, no config, no random state held."""

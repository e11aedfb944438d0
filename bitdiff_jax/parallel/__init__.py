"""Meshes, partition rules, and the way of data between hosts and devices."""

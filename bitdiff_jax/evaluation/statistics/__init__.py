"""What a set of images makes of its rows: means and their intervals, pooled counts, curves."""

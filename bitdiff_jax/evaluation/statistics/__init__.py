"""Statistics of a set of images: means with their intervals, pooled counts, ODS and OIS, tests."""

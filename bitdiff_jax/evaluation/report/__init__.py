"""Rows of an evaluation as people read them: tables, plots, side-by-side images, a page."""

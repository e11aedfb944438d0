"""Reports of an evaluation's rows: tables, plots, side-by-side images, a page."""

"""The procedural world of levels 2 and 3: layers of textured, lit regions seen by a camera."""

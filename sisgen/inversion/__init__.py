"""Photographs into a generator: from a picture to the style rows `ws` that show it."""

"""Edits of styles: from style rows `ws` to other style rows."""

"""Hop 1: from a drawing or a picture to a `Condition`."""

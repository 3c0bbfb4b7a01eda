"""Hop 3: from a `ProxyMask` and a sample's features to rearranged features."""

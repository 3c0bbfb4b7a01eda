"""Hop 2: from a `Condition` to a `ProxyMask`."""

"""Network blocks and small networks that are not generators."""

"""Drawings made from samples: scribbles, sketches, edge maps and depth as people and tools would give them, batched torch only."""

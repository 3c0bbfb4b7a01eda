"""The forty edits of `examples/freeform`, in order."""

from benchmarks.freeform import features, heads, wear
from benchmarks.freeform.edits import EDITS, Edit

__all__ = ["EDITS", "Edit", "features", "heads", "wear"]

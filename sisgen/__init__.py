"""Semantic image synthesis with an unconditional generator: draw where things go, get a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sisgen.pipeline import Pipeline
    from sisgen.types import Condition, Result

__all__ = ["Condition", "Pipeline", "Result"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load the public names on first use, so that `import sisgen` stays fast."""
    if name == "Pipeline":
        from sisgen.pipeline import Pipeline

        return Pipeline
    if name in ("Condition", "Result"):
        from sisgen import types

        return getattr(types, name)
    raise AttributeError(f"module 'sisgen' has no attribute {name!r}")

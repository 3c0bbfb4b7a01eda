"""Errors that a user may see: each message says what was expected, what came and what to do next."""

from __future__ import annotations


class SisgenError(Exception):
    """Base of every error that `sisgen` raises on purpose; its text is one sentence fit for a toast or a terminal."""


class InputError(SisgenError):
    """A picture, a mask, a seed or another argument cannot be used."""


class CheckpointError(SisgenError):
    """A model folder is incomplete, altered or of an impossible size."""


class ModelNotFoundError(SisgenError):
    """No model goes by the given name in any of the places that were tried."""


class TrainingError(SisgenError):
    """A training run cannot start, resume or go on."""

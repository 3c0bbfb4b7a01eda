"""Frechet distance between two sets of features, from streamed float64 moments.

Over SqueezeNet features it is called SqueezeNet-FD: it is not FID, and its numbers compare only with one another.
"""

from __future__ import annotations

import torch

from sisgen.errors import InputError


class FeatureMoments:
    """Mean and covariance of features that come in batches, in float64 (batched Welford updates).

    Args:
        num_features: length of a feature vector.
    """

    def __init__(self, num_features: int) -> None:
        self.count = 0
        self.mean = torch.zeros(num_features, dtype=torch.float64)
        self._scatter = torch.zeros(num_features, num_features, dtype=torch.float64)

    def add(self, features: torch.Tensor) -> None:
        """Take in a batch of features [B, C].

        Raises:
            InputError: the length differs, or a value is not finite.
        """
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise InputError(f"Features must have the shape [any, {len(self.mean)}], but they have {list(features.shape)}.")
        batch = features.detach().double().cpu()
        if not bool(torch.isfinite(batch).all()):
            raise InputError("Features must be finite, but some are NaN or infinite; check the pictures.")
        if not len(batch):
            return
        total = self.count + len(batch)
        mean = batch.mean(dim=0)
        shift, centred = mean - self.mean, batch - mean
        self._scatter += centred.t() @ centred + torch.outer(shift, shift) * (self.count * len(batch) / total)
        self.mean += shift * (len(batch) / total)
        self.count = total

    def covariance(self) -> torch.Tensor:
        """The unbiased covariance [C, C].

        Raises:
            InputError: fewer than two features came.
        """
        if self.count < 2:
            raise InputError(f"A covariance needs at least 2 pictures, but {self.count} came; add more.")
        return self._scatter / (self.count - 1)


def frechet_distance(first: FeatureMoments, second: FeatureMoments) -> float:
    """Give the Frechet distance of two Gaussians: |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)).

    The trace of the root is that of the symmetric (S1^(1/2) S2 S1^(1/2))^(1/2), whose eigenvalues are real and not negative, so
    that rank-deficient covariances (few pictures, dead features) need no jitter.
    """
    cov1, cov2 = first.covariance(), second.covariance()
    values, vectors = torch.linalg.eigh(cov1)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.t()
    middle = root @ cov2 @ root
    trace_root = torch.linalg.eigvalsh((middle + middle.t()) / 2).clamp_min(0).sqrt().sum()
    distance = (first.mean - second.mean).square().sum() + cov1.trace() + cov2.trace() - 2 * trace_root
    return float(distance.clamp_min(0))

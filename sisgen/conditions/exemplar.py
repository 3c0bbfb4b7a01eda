"""An exemplar -> `Condition`: the arrangement of another picture, taken as a proxy mask as it is (hop 2 is the identity)."""

from __future__ import annotations

import torch

from sisgen.errors import InputError
from sisgen.shapes import check_shape
from sisgen.types import Condition, ProxyMask

EXEMPLAR = "exemplar"  # the kind's name


def exemplar_condition(proxy: ProxyMask, labels: torch.Tensor | None = None) -> Condition:
    """Take the arrangement of pictures as what others shall follow.

    Args:
        proxy: of one exemplar for all pictures, or of one a picture.
        labels: the exemplars' own masks int64 [B, H, W], for the agreement; `None` where they are not known.

    Returns:
        a condition whose `map` are the probabilities [B, K, h, w].

    Raises:
        InputError: these are no probabilities, or there are labels of another number of pictures.
    """
    check_shape("proxy.probs", proxy.probs, (None, None, None, proxy.probs.shape[-1]))
    total = proxy.probs.sum(dim=1)
    if not bool((proxy.probs >= -1e-4).all()) or not bool(((total - 1).abs() < 1e-2).all()):
        raise InputError("An exemplar's proxy mask must be probabilities that sum to 1 at every place, but it is not; read it anew.")
    if labels is not None:
        check_shape("labels", labels, (proxy.probs.shape[0], None, None))
    return Condition(kind=EXEMPLAR, map=proxy.probs, labels=labels)

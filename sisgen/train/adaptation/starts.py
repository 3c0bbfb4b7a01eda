"""Which of a model's clusters and rearranger a run keeps, by what they were fitted to."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sisgen.io.configs import from_dict, read_json
from sisgen.proxy.clusters import ProxyConfig
from sisgen.rearrange.rearranger import RearrangerConfig
from sisgen.train.adaptation.labels import LabelSource
from sisgen.train.adaptation.settings import AdaptConfig
from sisgen.train.adaptation.state import Start
from sisgen.train.checkpoints import generator_sha256, has_part
from sisgen.train.fitting import generator_of_rearranger

log = logging.getLogger(__name__)


def choose_start(copy: Path, config: AdaptConfig, labels: LabelSource) -> Start:
    """Choose, and say so in a sentence.

    Args:
        copy: the working copy.
        config: of the run.
        labels: of the run.

    Returns:
        "anew" fits clusters and starts the rearranger again; "warm" lets the clusters follow the generator and trains the rearranger
        on; "kept" leaves both as they are.
    """
    content = read_json(copy / "config.json")
    if config.fresh or not (has_part(copy, "proxy", {}) and has_part(copy, "rearranger", {})):
        log.info("Clusters are fitted and the rearranger starts anew.")
        return "anew"
    if not _fits(content):
        log.info("Clusters and rearranger belong to a generator of other sizes: both start anew.")
        return "anew"
    fitted_to = generator_of_rearranger(content)
    if fitted_to is None:
        log.info("It is not known which generator the rearranger was fitted to: it goes on from what is there, its clusters are kept.")
        return "warm"
    if fitted_to != generator_sha256(copy):
        log.info("The generator changed since the rearranger was fitted: it goes on from what is there, its clusters follow.")
        return "warm"
    if _other_labels(content, labels):
        log.info("Clusters and rearranger fit the generator and are kept: only the labels are new.")
        return "kept"
    log.info("Generator and labels are as before: every part goes on from what is there.")
    return "warm"


def _other_labels(content: Mapping[str, Any], labels: LabelSource) -> bool:
    """Tell whether a model was made from other labels than these, or from none."""
    known = content.get("training", {}).get("segmenter", {}).get("labels_key", labels.key)
    return tuple(content.get("labels", {}).get("names", ())) != labels.label_set.names or known != labels.key


def _fits(content: Mapping[str, Any]) -> bool:
    """Tell whether clusters and rearranger have the channels of the generator."""
    channels = content["generator"]["channels"]
    proxy = from_dict(ProxyConfig, content.get("proxy", {}), where="The proxy")
    sizes = from_dict(RearrangerConfig, content.get("rearranger", {}), where="The rearranger")
    wanted = (sizes.channels, sizes.fine_channels, sizes.w_dim, proxy.channels)
    found = (channels.get(str(sizes.resolution)), channels.get(str(sizes.fine_resolution)), content["generator"]["w_dim"])
    return wanted == (*found, sum(channels.get(str(size), 0) for size in proxy.sources))

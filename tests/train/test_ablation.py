"""The comparison of proxy masks, where the right answer is known."""

import torch

from sisgen.train.ablation import ProxyScore, choose, default_sources, shrink_labels


def test_labels_shrink_by_the_class_of_most_area() -> None:
    labels = torch.tensor([[[0, 0, 1, 1], [2, 0, 1, 2], [2, 2, 0, 0], [2, 1, 0, 0]]])
    assert shrink_labels(labels, 2, 3).tolist() == [[[0, 1], [2, 0]]]
    assert shrink_labels(labels, 4, 3) is labels


def test_usual_choices_are_those_of_the_resolution() -> None:
    assert default_sources(128) == ((32,), (64,), (16, 32), (32, 64))
    assert default_sources(16) == ((4,), (8,), (4, 8))  # none twice


def test_a_class_without_a_cluster_weighs_more_than_purity() -> None:
    def score(miou: float, *unowned: str) -> ProxyScore:
        return ProxyScore(sources=(8,), num_clusters=4, miou=miou, per_class={}, unowned=unowned)

    assert choose([score(70, "hat"), score(60), score(65), score(90, "hat", "brow")]).miou == 65

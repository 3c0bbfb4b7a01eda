import dataclasses

import pytest
import torch

import sisgen
from sisgen.types import Agreement, Condition, Features, LabelSet, ProxyMask, Result


def test_public_names_load_on_first_use():
    assert sisgen.Condition is Condition
    assert sisgen.Result is Result
    with pytest.raises(AttributeError, match="no attribute 'Painter'"):
        _ = sisgen.Painter


def test_a_label_set_counts_its_classes():
    assert len(LabelSet(names=("a", "b"), colors=((0, 0, 0), (9, 9, 9)))) == 2


def test_features_know_their_resolution():
    assert Features(map=torch.zeros(1, 4, 8, 8), rgb=torch.zeros(1, 3, 8, 8)).resolution == 8


@pytest.mark.parametrize(
    "value",
    [
        Condition(kind="mask", map=torch.zeros(1)),
        ProxyMask(probs=torch.zeros(1)),
        Agreement(miou=0.5, accuracy=0.5),
        Result(images=torch.zeros(1), seeds=(0,)),
    ],
)
def test_what_travels_is_frozen(value):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(value)[0].name, None)

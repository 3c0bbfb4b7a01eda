import pytest
import torch

from sisgen.errors import InputError
from sisgen.shapes import check_shape


def test_none_stands_for_any_size():
    check_shape("images", torch.zeros(2, 3, 5, 7), (None, 3, None, None))


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 4, 5, 7), (3,)])
def test_both_shapes_are_named(shape):
    with pytest.raises(InputError) as caught:
        check_shape("images", torch.zeros(shape), (None, 3, None, None))

    assert "images must have the shape [any, 3, any, any]" in str(caught.value)
    assert str(list(shape)) in str(caught.value)

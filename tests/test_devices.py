import pytest
import torch

from sisgen.devices import describe_device, pick_device, why_no_cuda
from sisgen.errors import InputError


def test_the_cpu_is_always_there():
    assert pick_device("cpu") == torch.device("cpu")
    assert describe_device(torch.device("cpu")) == "CPU"


def test_the_choice_is_cuda_where_it_works():
    assert pick_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert bool(why_no_cuda()) != torch.cuda.is_available()


@pytest.mark.parametrize("name", ["toaster", "", "cuda:x", "cuda:99"])
def test_odd_devices_get_one_sentence(name):
    with pytest.raises(InputError, match="device") as caught:
        pick_device(name)

    assert "pass --device cpu" in str(caught.value) or "GPUs" in str(caught.value)

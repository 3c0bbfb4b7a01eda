import platform
import subprocess
import sys

import pytest
import torch

from sisgen.devices import describe_device, flushed_denormals, pick_device, why_no_cuda
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting")
def test_freed_memory_is_kept_for_the_next_tensor():
    code = """
import resource, torch
from sisgen.devices import keep_freed_memory
torch.set_num_threads(1)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(2**20)  # 4 MiB, 1,024 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
assert keep_freed_memory()
faults()
print(faults())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1024  # 20,480 where every tensor is mapped anew


def test_tiny_numbers_count_as_zero_only_inside():
    tiny = torch.tensor([1e-39])
    with flushed_denormals():
        with flushed_denormals():  # a trainer that asks the pipeline
            pass
        inside = float(tiny * 0.5)
    assert inside == 0.0
    assert float(tiny * 0.5) > 0.0

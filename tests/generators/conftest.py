"""Files as other projects write them, made here: their classes need not exist, and what is read is compared with the originals."""

import copy
import io
import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from sisgen.generators.discriminator import Discriminator
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config

GOLDEN = Path(__file__).parents[1] / "golden"
BUFFERS = ("noise_const", "resample_filter", "w_avg")
State = dict[str, torch.Tensor]


class Global:
    """A name in a pickle, of a module that does not exist."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self, *args: Any) -> None:
        raise AssertionError("only written, never called")


@dataclass
class Module:
    """A network of the official repositories."""

    class_name: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass
class TensorFlowNetwork:
    """A network of the TensorFlow repositories: its attributes."""

    fields: dict[str, Any]


class EasyDict(dict):
    """The official repositories' dict."""


class ForeignPickler(pickle._Pickler):
    """Writes names of modules that do not exist, the way the originals do."""

    dispatch: ClassVar[dict[Any, Any]] = dict(pickle._Pickler.dispatch)

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Module):
            source = "import os\nraise AssertionError('the source in a file must not be run')"
            meta = EasyDict(type="class", version=6, module_src=source, class_name=obj.class_name, state=obj.fields)
            return Global("torch_utils.persistence", "_reconstruct_persistent_obj"), (meta,)
        return NotImplemented

    def save_global_of_nothing(self, obj: Global) -> None:
        if self.proto >= 4:
            self.save(obj.module)
            self.save(obj.name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(f"c{obj.module}\n{obj.name}\n".encode())

    def save_easy_dict(self, obj: EasyDict) -> None:
        self.save(Global("dnnlib.util", "EasyDict"))
        self.write(pickle.EMPTY_TUPLE + pickle.NEWOBJ)
        self.memoize(obj)
        self._batch_setitems(obj.items())

    def save_tensorflow(self, obj: TensorFlowNetwork) -> None:
        self.save(Global("dnnlib.tflib.network", "Network"))
        self.write(pickle.EMPTY_TUPLE + pickle.NEWOBJ)
        self.memoize(obj)
        self.save(obj.fields)
        self.write(pickle.BUILD)

    dispatch[Global] = save_global_of_nothing
    dispatch[EasyDict] = save_easy_dict
    dispatch[TensorFlowNetwork] = save_tensorflow


def dump(data: Any, protocol: int = 4) -> bytes:
    """Pickle as another project would."""
    file = io.BytesIO()
    ForeignPickler(file, protocol).dump(data)
    return file.getvalue()


def tree(class_name: str, state: State, facts: dict[str, Any] | None = None) -> Module:
    """Nest a state dict as PyTorch modules are pickled; `facts` are attributes by dotted place."""
    root = _module(class_name)
    for name, tensor in state.items():
        *places, last = name.split(".")
        module = _descend(root, places)
        stored = tensor.clone() if last in BUFFERS else nn.Parameter(tensor.clone())
        module.fields["_buffers" if last in BUFFERS else "_parameters"][last] = stored
    for name, value in (facts or {}).items():
        *places, last = name.split(".")
        _descend(root, places).fields[last] = value
    return root


def _module(class_name: str) -> Module:
    groups = {name: OrderedDict() for name in ("_parameters", "_buffers", "_backward_hooks", "_forward_hooks", "_modules")}
    gain = {"act_gain": np.sqrt(2), "weight_gain": np.float64(0.1), "training": False, "padding": 1}
    return Module(class_name, {**groups, "_non_persistent_buffers_set": set(), "_init_kwargs": EasyDict(size=[1, 2]), **gain})


def _descend(module: Module, places: list[str]) -> Module:
    for place in places:
        module = module.fields["_modules"].setdefault(place, _module(f"{place.title()}Network"))
    return module


def official(state: State, facts: dict[str, Any] | None = None, discriminator: Module | None = None, protocol: int = 4) -> bytes:
    """An official pickle: G, D, G_ema and what lies beside them; G differs from its average."""
    other = tree("Generator", {name: tensor + 1 for name, tensor in state.items()})
    options = EasyDict(class_name="training.dataset.ImageFolderDataset", path="x.zip", resolution=32, xflip=False)
    data = {"training_set_kwargs": options, "G": other, "D": discriminator, "G_ema": tree("Generator", state, facts), "augment_pipe": None}
    return dump(data, protocol)


def official_discriminator(net: Discriminator, facts: dict[str, Any] | None = None) -> Module:
    """A discriminator as the official file has it: every layer holds a filter."""
    state = dict(net.state_dict())
    for name in [name for name in state if re.search(r"(fromrgb|conv0|b4\.conv)\.weight$", name)]:
        state[name.replace("weight", "resample_filter")] = net.b8.skip.resample_filter
    return tree("Discriminator", state, facts)


def rosinality(generator: StyleGAN2) -> State:
    """A generator under rosinality's names."""
    state, renamed = generator.state_dict(), {}
    renamed["input.input"] = state["synthesis.b4.const"][None]
    for i in range(generator.config.num_mapping_layers):
        for kind in ("weight", "bias"):
            renamed[f"style.{i + 1}.{kind}"] = state[f"mapping.fc{i}.{kind}"]
    for size in generator.config.resolutions:
        level = int(math.log2(size)) - 3
        for conv, index in (("conv0", 2 * level), ("conv1", 2 * level + 1)):
            ours, theirs = f"synthesis.b{size}.{conv}", f"convs.{index}" if size > 4 else "conv1"
            if f"{ours}.weight" in state:
                renamed[f"{theirs}.conv.weight"] = state[f"{ours}.weight"][None]
                renamed[f"{theirs}.conv.modulation.weight"] = state[f"{ours}.affine.weight"]
                renamed[f"{theirs}.conv.modulation.bias"] = state[f"{ours}.affine.bias"]
                renamed[f"{theirs}.noise.weight"] = state[f"{ours}.noise_strength"].reshape(1)
                renamed[f"{theirs}.activate.bias"] = state[f"{ours}.bias"]
                renamed[f"noises.noise_{index + 1}"] = state[f"{ours}.noise_const"][None, None]
        ours, theirs = f"synthesis.b{size}.torgb", f"to_rgbs.{level}" if size > 4 else "to_rgb1"
        renamed[f"{theirs}.conv.weight"] = state[f"{ours}.weight"][None]
        renamed[f"{theirs}.conv.modulation.weight"] = state[f"{ours}.affine.weight"]
        renamed[f"{theirs}.conv.modulation.bias"] = state[f"{ours}.affine.bias"]
        renamed[f"{theirs}.bias"] = state[f"{ours}.bias"].reshape(1, 3, 1, 1)
        if size > 4:
            renamed[f"convs.{2 * level}.conv.blur.kernel"] = renamed[f"{theirs}.upsample.kernel"] = (
                4 * state[f"{ours[:-6]}.resample_filter"]
            )
    return renamed


def rosinality_discriminator(net: Discriminator) -> State:
    """A discriminator under rosinality's names."""
    layers = {"conv0.weight": "conv1.0.weight", "conv0.bias": "conv1.1.bias", "conv1.resample_filter": "conv2.0.kernel"}
    layers |= {"conv1.weight": "conv2.1.weight", "conv1.bias": "conv2.2.bias", "skip.resample_filter": "skip.0.kernel"}
    layers |= {"skip.weight": "skip.1.weight"}
    last = {"conv.weight": "final_conv.0.weight", "conv.bias": "final_conv.1.bias", "fc.weight": "final_linear.0.weight"}
    last |= {"fc.bias": "final_linear.0.bias", "out.weight": "final_linear.1.weight", "out.bias": "final_linear.1.bias"}
    renamed = {}
    for name, tensor in net.state_dict().items():
        block, _, rest = name.partition(".")
        if block == "b4":
            renamed[last[rest]] = tensor
        elif rest.startswith("fromrgb"):
            renamed[f"convs.0.{'0.weight' if rest.endswith('weight') else '1.bias'}"] = tensor
        else:
            renamed[f"convs.{int(math.log2(net.resolution / int(block[1:]))) + 1}.{layers[rest]}"] = tensor
    return renamed


def tensorflow(generator: StyleGAN2, options: dict[str, Any] | None = None) -> TensorFlowNetwork:
    """A generator as the first release pickled it: arrays by name, in TensorFlow's order of dimensions."""
    state = {name: tensor.numpy() for name, tensor in generator.state_dict().items()}
    layers = generator.config.num_mapping_layers
    mapping = [(f"Dense{i}/weight", state[f"mapping.fc{i}.weight"].T) for i in range(layers)]
    mapping += [(f"Dense{i}/bias", state[f"mapping.fc{i}.bias"]) for i in range(layers)]
    synthesis = [("4x4/Const/const", state["synthesis.b4.const"][None])]
    for size in generator.config.resolutions:
        for ours, theirs in (("conv0", "Conv0_up"), ("conv1", "Conv1" if size > 4 else "Conv"), ("torgb", "ToRGB")):
            place, name = f"synthesis.b{size}.{ours}", f"{size}x{size}/{theirs}"
            if f"{place}.weight" not in state:
                continue
            weight = state[f"{place}.weight"].transpose(2, 3, 1, 0)
            synthesis += [
                (f"{name}/weight", np.ascontiguousarray(weight[::-1, ::-1] if ours == "conv0" else weight)),
                (f"{name}/bias", state[f"{place}.bias"]),
                (f"{name}/mod_weight", state[f"{place}.affine.weight"].T),
                (f"{name}/mod_bias", state[f"{place}.affine.bias"] - 1),
            ]
            if ours != "torgb":
                index = 2 * int(math.log2(size)) - (5 if ours == "conv0" else 4)
                synthesis.append((f"{name}/noise_strength", np.float32(state[f"{place}.noise_strength"])))
                synthesis.append((f"noise{index}", state[f"{place}.noise_const"][None, None]))

    def network(name: str, variables: list[Any], parts: dict[str, Any]) -> TensorFlowNetwork:
        fields = {"version": 4, "name": name, "static_kwargs": EasyDict(options or {}), "components": parts}
        return TensorFlowNetwork({**fields, "build_module_src": "import os", "build_func_name": name, "variables": variables})

    parts = {"synthesis": network("G_synthesis", synthesis, {}), "mapping": network("G_mapping", mapping, {})}
    return network("G_main", [("lod", np.float32(0)), ("dlatent_avg", state["mapping.w_avg"])], parts)


def tensorflow_discriminator(net: Discriminator) -> TensorFlowNetwork:
    """A discriminator as the first release pickled it."""
    layers = {"fromrgb": "FromRGB", "conv0": "Conv0", "conv1": "Conv1_down", "skip": "Skip", "conv": "Conv", "fc": "Dense0"}
    variables = [("lod", np.float32(0))]
    for name, tensor in net.state_dict().items():
        block, layer, kind = name.split(".")
        if kind == "resample_filter":
            continue
        array = tensor.numpy()
        array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
        place = "Output" if layer == "out" else f"{block[1:]}x{block[1:]}/{layers[layer]}"
        variables.append((f"{place}/{kind}", array))
    return TensorFlowNetwork({"version": 4, "static_kwargs": EasyDict(), "components": {}, "variables": variables})


def noisy_generator(**sizes: Any) -> StyleGAN2:
    """A random generator whose noise is not silent, whose mean style is not zero, whose widths follow no rule."""
    torch.manual_seed(0)
    config = {"resolution": 16, "z_dim": 5, "w_dim": 6, "num_mapping_layers": 3, "channels": {"4": 7, "8": 4, "16": 3}, **sizes}
    generator = StyleGAN2(StyleGAN2Config(**config)).eval().requires_grad_(False)
    for name, tensor in generator.named_parameters():
        if name.endswith(("noise_strength", "bias")):
            tensor.normal_()
    generator.mapping.w_avg.normal_()
    return generator


@pytest.fixture(scope="session")
def golden_official() -> State:
    """The official golden file: params.*, in.*, out.*."""
    return load_file(str(GOLDEN / "stylegan2_official_32.safetensors"))


@pytest.fixture(scope="session")
def golden_rosinality() -> State:
    """The rosinality golden file: params.*, in.*, out.*."""
    return load_file(str(GOLDEN / "stylegan2_rosinality_32.safetensors"))


@pytest.fixture(scope="session")
def writers() -> dict[str, Callable[..., Any]]:
    """What writes files as other projects do, by name."""
    made = (dump, tree, official, official_discriminator, rosinality, rosinality_discriminator, tensorflow, tensorflow_discriminator)
    return {function.__name__: function for function in (*made, noisy_generator, params)}


def params(golden: State) -> State:
    """The weights of a golden file."""
    return copy.copy({name.removeprefix("params."): tensor for name, tensor in golden.items() if name.startswith("params.")})

"""StyleGAN2 generator, skip architecture, that can be cut open at any resolution (Karras et al., CVPR 2020).

Parameter names are those of the official PyTorch release, so that its weights load as they are. The contract of a generator in
this project: `map(z) -> ws`, `head(ws, resolution) -> Features`, `tail(features, ws) -> image`, where
`tail(head(ws, r), ws)` equals the uncut forward bit for bit for every r.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

from sisgen.errors import InputError
from sisgen.nets.layers import LRELU_GAIN, EqualLinear, leaky, normalize_second_moment
from sisgen.nets.resample import fir_kernel, up_conv, upsample
from sisgen.shapes import check_shape
from sisgen.types import Features

THIN_128: Mapping[str, int] = {"4": 160, "8": 160, "16": 128, "32": 64, "64": 32, "128": 16}  # trains on two CPU cores
NOISE_MODES = ("const", "random", "none")
NoiseSource = torch.Generator | Sequence[torch.Generator] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StyleGAN2Config:
    """Sizes of a StyleGAN2; `channels` maps every resolution, as text, to the width of its block."""

    resolution: int = 128
    z_dim: int = 64
    w_dim: int = 128
    c_dim: int = 0  # size of a class label; 0 = unconditional
    num_mapping_layers: int = 4
    channels: Mapping[str, int] = field(default_factory=lambda: dict(THIN_128))
    clamp: float | None = None  # clips activations, for fp16; None does not clip

    def __post_init__(self) -> None:
        size = self.resolution
        if size < 8 or size > 4096 or size & (size - 1):
            raise InputError(f"The generator's resolution must be a power of two in 8..4096, but it is {size}; correct the config.")
        missing = [str(r) for r in self.resolutions if str(r) not in self.channels]
        if missing:
            raise InputError(f"The generator's config must give channels for every resolution, but {', '.join(missing)} lack; add them.")
        numbers = [self.z_dim, self.w_dim, self.num_mapping_layers, *(self.channels[str(r)] for r in self.resolutions)]
        if min(numbers) < 1 or max(numbers) > 4096 or not 0 <= self.c_dim <= 4096:
            came = f"they reach from {min(numbers)} to {max(numbers)}"
            raise InputError(f"The generator's sizes must lie in 1..4096, but {came}; correct the config.")

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8, ..., resolution."""
        return tuple(2**i for i in range(2, int(math.log2(self.resolution)) + 1))

    @property
    def at_once(self) -> int:
        """Samples that may run together so that memory stays bounded: 16 up to 256 px, 4 at 512, one at 1024."""
        return max(1, min(16, 16 * 256**2 // self.resolution**2))

    @property
    def num_ws(self) -> int:
        """Number of style layers S: one a convolution and one for the last to-RGB."""
        return 2 * len(self.resolutions)


def channels_by_rule(resolution: int, base: int, maximum: int) -> dict[str, int]:
    """Channels by the official rule: min(base / resolution, maximum) at every resolution from 4 on."""
    return {str(2**i): min(base // 2**i, maximum) for i in range(2, int(math.log2(resolution)) + 1)}


class MappingNetwork(nn.Module):
    """z [B, D] (and a class label c [B, c_dim]) -> ws [B, S, D]."""

    w_avg: torch.Tensor

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.num_ws = config.num_ws
        self.num_layers = config.num_mapping_layers
        features = config.z_dim
        if config.c_dim > 0:
            self.embed = EqualLinear(config.c_dim, config.w_dim)
            features += config.w_dim
        for i in range(self.num_layers):
            layer = EqualLinear(features if i == 0 else config.w_dim, config.w_dim, lr_multiplier=0.01, activation=True)
            self.add_module(f"fc{i}", layer)
        self.register_buffer("w_avg", torch.zeros(config.w_dim))

    def forward(self, z: torch.Tensor, c: torch.Tensor | None = None, psi: float | torch.Tensor = 1.0) -> torch.Tensor:
        w = self.embed_latent(z, c)
        w = self.w_avg + (w - self.w_avg) * psi
        return w[:, None].repeat(1, self.num_ws, 1)  # [B, S, D]

    def embed_latent(self, z: torch.Tensor, c: torch.Tensor | None = None) -> torch.Tensor:
        """z [B, D] -> w [B, D] without truncation."""
        w = normalize_second_moment(z.float())
        if hasattr(self, "embed"):
            if c is None:
                raise InputError("This generator is conditional and needs a class label c, but none came; pass c [B, c_dim].")
            w = torch.cat([w, normalize_second_moment(self.embed(c.float()))], dim=1)
        for i in range(self.num_layers):
            w = getattr(self, f"fc{i}")(w)
        return w


def modulate(x: torch.Tensor, weight: torch.Tensor, styles: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale input channels by the style; return the input and the demodulation factor of every output channel [B, O, 1, 1]."""
    energy = styles.square() @ weight.square().sum(dim=(2, 3)).t()  # [B, O]
    demodulation = (energy + 1e-8).rsqrt()
    return x * styles[:, :, None, None].to(x.dtype), demodulation[:, :, None, None]


class SynthesisLayer(nn.Module):
    """Modulated 3 x 3 convolution, noise, bias, leaky ReLU: [B, I, h, w] -> [B, O, h * up, w * up]."""

    noise_const: torch.Tensor
    resample_filter: torch.Tensor

    def __init__(self, in_channels: int, out_channels: int, config: StyleGAN2Config, *, resolution: int, up: bool) -> None:
        super().__init__()
        self.up = up
        self.clamp = config.clamp
        self.affine = EqualLinear(config.w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", fir_kernel())

    def forward(self, x: torch.Tensor, w: torch.Tensor, noise: torch.Tensor | None) -> torch.Tensor:
        # Unit-variance weights, so that bf16 keeps their scale; demodulation cancels the factor.
        x, demodulation = modulate(x, self.weight, self.affine(w))
        x = up_conv(x, self.weight, self.resample_filter) if self.up else F.conv2d(x, self.weight.to(x.dtype), padding=1)

        # Leaky ReLU is positively homogeneous: its gain goes into the small factors.
        offset = self.bias[None, :, None, None] * LRELU_GAIN
        if noise is not None:
            offset = offset + noise * (self.noise_strength * LRELU_GAIN)
        x = torch.addcmul(offset.to(x.dtype), x, (demodulation * LRELU_GAIN).to(x.dtype))
        return leaky(x, gain=1.0, clamp=self.clamp)


class ToRGB(nn.Module):
    """Modulated 1 x 1 convolution without demodulation: [B, C, h, w] -> [B, 3, h, w]."""

    def __init__(self, in_channels: int, config: StyleGAN2Config) -> None:
        super().__init__()
        self.affine = EqualLinear(config.w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(3, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.weight_gain = 1 / math.sqrt(in_channels)
        self.clamp = config.clamp

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        styles = self.affine(w) * self.weight_gain
        x = F.conv2d(x * styles[:, :, None, None].to(x.dtype), self.weight.to(x.dtype), self.bias.to(x.dtype))
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class SynthesisBlock(nn.Module):
    """All layers of one resolution; the first block starts from a learned constant."""

    resample_filter: torch.Tensor

    def __init__(self, in_channels: int, config: StyleGAN2Config, *, resolution: int) -> None:
        super().__init__()
        width = config.channels[str(resolution)]
        self.first = in_channels == 0
        if self.first:
            self.const = nn.Parameter(torch.randn(width, resolution, resolution))
        else:
            self.conv0 = SynthesisLayer(in_channels, width, config, resolution=resolution, up=True)
        self.conv1 = SynthesisLayer(width, width, config, resolution=resolution, up=False)
        self.torgb = ToRGB(width, config)
        self.register_buffer("resample_filter", fir_kernel())

    @property
    def num_convs(self) -> int:
        """Style rows that this block uses up; its to-RGB borrows the next one."""
        return 1 if self.first else 2

    def forward(
        self,
        x: torch.Tensor | None,  # [B, I, h/2, w/2], None in the first block
        rgb: torch.Tensor | None,  # [B, 3, h/2, w/2], None in the first block
        ws: torch.Tensor,  # [B, num_convs + 1, D]
        noises: tuple[torch.Tensor | None, ...],  # one a convolution
        dtype: torch.dtype,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        # Main branch.
        if self.first:
            x = self.const.to(dtype)[None].expand(ws.shape[0], -1, -1, -1)
            x = self.conv1(x, ws[:, 0], noises[0])
        else:
            x = self.conv0(x, ws[:, 0], noises[0])
            x = self.conv1(x, ws[:, 1], noises[1])

        # Skip branch, always in fp32.
        y = self.torgb(x, ws[:, -1]).float()
        rgb = y if rgb is None else upsample(rgb, self.resample_filter) + y
        return x, rgb


class SynthesisNetwork(nn.Module):
    """ws [B, S, D] -> image [B, 3, H, W], block by block."""

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.config = config
        in_channels = 0
        for resolution in config.resolutions:
            self.add_module(f"b{resolution}", SynthesisBlock(in_channels, config, resolution=resolution))
            in_channels = config.channels[str(resolution)]

    def block(self, resolution: int) -> SynthesisBlock:
        """The block of a resolution."""
        return getattr(self, f"b{resolution}")

    def first_row(self, resolution: int) -> int:
        """Index of the first row of `ws` that the block of a resolution uses."""
        return 0 if resolution == 4 else 2 * int(math.log2(resolution)) - 5


class StyleGAN2(nn.Module):
    """The whole generator: mapping and synthesis, with the cut that the project stands on.

    Args:
        config: sizes.
    """

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.config = config
        self.mapping = MappingNetwork(config)
        self.synthesis = SynthesisNetwork(config)

    def map(self, z: torch.Tensor, c: torch.Tensor | None = None, *, psi: float | torch.Tensor = 1.0) -> torch.Tensor:
        """Map latents to style rows.

        Args:
            z: [B, z_dim], standard normal.
            c: class label [B, c_dim]; `None` for an unconditional generator.
            psi: truncation, a number or [B, 1]; 1 = none, 0 = the mean picture.

        Returns:
            ws [B, S, D].
        """
        check_shape("z", z, (None, self.config.z_dim))
        return self.mapping(z, c, psi)

    def head(self, ws: torch.Tensor, resolution: int, *, noise_mode: str = "const", generator: NoiseSource = None) -> Features:
        """Run the blocks up to and including `resolution`.

        Args:
            ws: [B, S, D].
            resolution: 4, 8, ..., the generator's own.
            noise_mode: "const" (stored), "random" or "none".
            generator: source of random noise, one for all or one a sample; `None` uses torch's default one.

        Returns:
            `Features` with map [B, C, r, r] and rgb [B, 3, r, r].
        """
        check_shape("ws", ws, (None, self.config.num_ws, self.config.w_dim))
        self._check_cut(resolution)
        return _last(self._run(None, ws, 4, resolution, noise_mode, generator))

    def tail(self, features: Features, ws: torch.Tensor, *, noise_mode: str = "const", generator: NoiseSource = None) -> torch.Tensor:
        """Run the blocks after the cut.

        Args:
            features: what `head` gave, rearranged or not.
            ws: [B, S, D].
            noise_mode: as for `head`.
            generator: as for `head`.

        Returns:
            Image [B, 3, H, W], about [-1, 1] (not clipped).
        """
        check_shape("ws", ws, (None, self.config.num_ws, self.config.w_dim))
        self._check_cut(features.resolution)
        if features.resolution == self.config.resolution:
            return features.rgb
        return _last(self._run(features, ws, 2 * features.resolution, self.config.resolution, noise_mode, generator)).rgb

    def advance(self, features: Features, ws: torch.Tensor, resolution: int, *, noise_mode: str = "const") -> Features:
        """Run the blocks between the cut and a finer `resolution`: `Features` in, `Features` out."""
        self._check_cut(resolution)
        if resolution == features.resolution:
            return features
        return _last(self._run(features, ws, 2 * features.resolution, resolution, noise_mode, None))

    def hypercolumn(self, ws: torch.Tensor, *, largest: int | None = None, noise_mode: str = "const") -> tuple[Features, ...]:
        """Keep the `Features` of every block, coarse to fine.

        Args:
            ws: [B, S, D].
            largest: resolution of the last block that is run, from which `tail` makes the image; `None` runs everything, and the
                last one's rgb is the image.
            noise_mode: as for `head`.
        """
        return tuple(self._run(None, ws, 4, self.config.resolution if largest is None else largest, noise_mode, None))

    def forward(self, ws: torch.Tensor, *, noise_mode: str = "const", generator: NoiseSource = None) -> torch.Tensor:
        """ws [B, S, D] -> image [B, 3, H, W], uncut."""
        check_shape("ws", ws, (None, self.config.num_ws, self.config.w_dim))
        return _last(self._run(None, ws, 4, self.config.resolution, noise_mode, generator)).rgb

    def _check_cut(self, resolution: int) -> None:
        if resolution not in self.config.resolutions:
            allowed = ", ".join(map(str, self.config.resolutions))
            raise InputError(f"The generator can be cut at {allowed}, but {resolution} was asked for; take one of these.")

    def _run(
        self,
        features: Features | None,
        ws: torch.Tensor,
        first: int,
        last: int,
        noise_mode: str,
        generator: NoiseSource,
    ) -> Iterator[Features]:
        if noise_mode not in NOISE_MODES:
            raise InputError(f"noise_mode must be one of {', '.join(NOISE_MODES)}, but it is {noise_mode!r}.")
        x, rgb = (None, None) if features is None else (features.map, features.rgb)
        dtype = torch.bfloat16 if torch.is_autocast_enabled(ws.device.type) else ws.dtype
        resolution = first
        while resolution <= last:
            block = self.synthesis.block(resolution)
            row = self.synthesis.first_row(resolution)
            noises = self._noises(block, resolution, ws, noise_mode, generator)
            x, rgb = block(x, rgb, ws[:, row : row + block.num_convs + 1], noises, dtype)
            yield Features(map=x, rgb=rgb)
            resolution *= 2

    @staticmethod
    def _noises(
        block: SynthesisBlock, resolution: int, ws: torch.Tensor, mode: str, generator: NoiseSource
    ) -> tuple[torch.Tensor | None, ...]:
        if mode == "none":
            return (None,) * block.num_convs
        if mode == "const":
            layers = [block.conv1] if block.first else [block.conv0, block.conv1]
            return tuple(layer.noise_const[None, None] for layer in layers)
        return tuple(_draw_noise(ws, resolution, generator) for _ in range(block.num_convs))


def _last(steps: Iterator[Features]) -> Features:
    """Run to the end and keep the last, so that no earlier one takes memory."""
    return deque(steps, maxlen=1)[0]


def _draw_noise(ws: torch.Tensor, resolution: int, generator: NoiseSource) -> torch.Tensor:
    """White noise [B, 1, r, r]; from one generator a sample it does not depend on the batch."""
    if generator is None or isinstance(generator, torch.Generator):
        device = ws.device if generator is None else generator.device
        return torch.randn(ws.shape[0], 1, resolution, resolution, generator=generator, device=device).to(ws.device)
    maps = [torch.randn(1, resolution, resolution, generator=one, device=one.device) for one in generator]
    return torch.stack(maps).to(ws.device)

"""What an adaptation takes by default, by the size of the generator: where features are cut, how many clusters, how much work."""

from __future__ import annotations

from dataclasses import dataclass

from sisgen.generators.stylegan2 import StyleGAN2Config

ROW_FLOATS = 2**26  # numbers of all rows that k-means sees: 256 MB, three times that while it works
ROWS_A_SAMPLE = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class StageSizes:
    """How much work one stage is."""

    share: float  # of the whole time
    images: int  # pictures without a budget of minutes
    most: int  # pictures at most, whatever the budget: more teach nothing
    batch: int


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptSizes:
    """Everything about an adaptation that hangs on the generator's size."""

    sources: tuple[int, int]  # resolutions of the cut and of the refinement; their features are clustered together
    num_clusters: int  # K
    cluster_samples: int  # samples whose features k-means sees
    rearranger: StageSizes
    segmenter: StageSizes
    reader: StageSizes
    mapper: StageSizes
    clusters_share: float = 0.05
    validation_share: float = 0.04
    mapper_width: int = 48
    held_out: int = 256  # samples that the live reader is scored on
    validation: int = 64  # mask-driven pictures that are scored
    validation_batch: int = 8
    class_samples: int = 192  # samples that are looked through for rare classes


def sizes_for(generator: StyleGAN2Config, device_type: str = "cpu") -> AdaptSizes:
    """Choose sizes for a generator of any resolution.

    Args:
        generator: its sizes.
        device_type: "cpu" or "cuda"; a GPU takes larger batches.
    """
    resolution = generator.resolution
    sources = feature_resolutions(resolution)
    channels = sum(generator.channels[str(size)] for size in sources)
    batch = 8 if resolution <= 256 else 4 if resolution <= 512 else 2
    if device_type == "cuda" and resolution <= 256:
        batch = 16
    few = resolution > 256 and device_type == "cpu"  # large pictures take seconds there
    return AdaptSizes(
        sources=sources,
        num_clusters=64 if resolution >= 128 else 32 if resolution >= 64 else 16,
        cluster_samples=max(32, min(512, ROW_FLOATS // (ROWS_A_SAMPLE * channels))),
        rearranger=StageSizes(share=0.35, images=16_000, most=10**9, batch=batch),
        segmenter=StageSizes(share=0.08, images=2_400, most=4_800, batch=4),
        reader=StageSizes(share=0.11, images=8_000, most=80_000, batch=max(batch, 8)),
        mapper=StageSizes(share=0.37, images=12_000, most=10**9, batch=batch),
        held_out=256 if resolution <= 256 else 32 if few else 128,
        validation=16 if few else 64,
        validation_batch=batch,
        class_samples=192 if resolution <= 128 else 16 if few else 64,
    )


def feature_resolutions(resolution: int) -> tuple[int, int]:
    """Where a generator is cut, and where the refinement corrects once more.

    A quarter and half of the picture, at most 32 and 64 up to 256 px; beyond, the refinement works at 128, half of the largest
    drawings, or thin parts would be lost.
    """
    cut = min(32, max(4, resolution // 4))
    return cut, min(64 if resolution <= 256 else 128, max(8, resolution // 2))

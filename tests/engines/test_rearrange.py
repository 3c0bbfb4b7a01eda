"""The engine: caches change nothing but the time, and a picture depends on its own seed and drawing alone."""

import threading
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sisgen.conditions.mask import mask_condition
from sisgen.engines.rearrange import RearrangeEngine, changed_places, covered_rows
from sisgen.generators.latents import latents
from sisgen.io.configs import from_dict, read_json
from sisgen.pipeline import Pipeline
from sisgen.types import Condition, LabelSet

PSI = 0.7


@pytest.fixture
def engine(tiny_model: Path) -> RearrangeEngine:
    """An engine whose caches are empty."""
    return Pipeline.from_pretrained(tiny_model, device="cpu").engine


@pytest.fixture(scope="module")
def drawing(tiny_model: Path) -> Condition:
    """A hat over a face, the lower quarter left open."""
    labels = np.zeros((32, 32), dtype=np.int64)
    labels[12:24, 8:24] = 1
    labels[2:12, 6:26] = 3
    labels[24:] = -1
    return mask_condition(labels, from_dict(LabelSet, read_json(tiny_model / "config.json")["labels"]), 32)


def make(engine: RearrangeEngine, condition: Condition | None, seeds: list[int], strength: float = 1.0) -> torch.Tensor:
    return engine.synthesize(condition, seeds, truncation=PSI, strength=strength)[0]


def test_latents_are_those_of_the_official_tools() -> None:
    made = latents([0, 3, 2**32 - 1], 8)
    assert made.shape == (3, 8) and made.dtype == torch.float32
    assert np.array_equal(made[1].numpy(), np.random.RandomState(3).randn(8).astype(np.float32))


def test_a_cached_style_gives_the_same_picture(engine: RearrangeEngine, drawing: Condition) -> None:
    first = make(engine, drawing, [3, 5])
    assert len(engine.styles) == 2
    assert torch.equal(make(engine, drawing, [3, 5]), first)
    assert torch.equal(make(engine, drawing, [3, 5]), first)
    assert len(engine.styles) == 2


def test_a_picture_does_not_depend_on_its_batch(tiny_model: Path, drawing: Condition) -> None:
    def fresh() -> RearrangeEngine:
        return Pipeline.from_pretrained(tiny_model, device="cpu").engine

    together = make(fresh(), drawing, [3, 5, 8, 5])
    assert torch.equal(together[1], together[3])
    for i, seed in enumerate([3, 5, 8]):
        assert torch.allclose(make(fresh(), drawing, [seed]), together[i : i + 1], atol=1e-5)


def test_a_folded_style_changes_nothing_but_the_time(engine: RearrangeEngine, drawing: Condition) -> None:
    folded = make(engine, drawing, [3])
    style = engine.recall([3], PSI)
    assert style.tail is not None
    engine.styles.clear()
    engine.styles.keep({(3, PSI): replace(style, tail=None)}, [])
    assert torch.allclose(make(engine, drawing, [3]), folded, atol=1e-5)
    assert engine.recall([3, 5], PSI).tail is None  # several styles are not folded


def test_what_is_folded_counts_in_the_cache_and_leaves_with_its_style(engine: RearrangeEngine, drawing: Condition) -> None:
    make(engine, drawing, [0])
    style = engine.recall([0], PSI)
    assert style.tail is not None
    assert engine.styles.num_bytes == replace(style, tail=None).num_bytes + style.tail.num_bytes
    engine.styles.max_bytes = 3 * engine.styles.num_bytes
    size, gone = engine.styles.num_bytes, weakref.ref(style.tail)
    del style
    for seed in range(1, 100):
        engine.recall([seed], PSI)
    assert len(engine.styles) == 3 and engine.styles.num_bytes == 3 * size and gone() is None


def test_a_drawing_changes_the_picture_and_blank_or_powerless_ones_do_not(engine: RearrangeEngine, drawing: Condition) -> None:
    plain = make(engine, None, [3, 5])
    ws = engine.generator.map(latents([3, 5], 8), psi=PSI)
    assert torch.allclose(plain, engine.generator(ws), atol=1e-6)
    assert float((make(engine, drawing, [3, 5]) - plain).abs().mean()) > 1e-3
    assert torch.equal(make(engine, drawing, [3, 5], strength=0.0), plain)
    blank = Condition(kind="mask", map=torch.zeros_like(drawing.map), labels=torch.full_like(drawing.labels, -1))
    assert torch.equal(make(engine, blank, [3, 5]), plain)


def test_strength_goes_from_the_sample_to_the_drawing(engine: RearrangeEngine, drawing: Condition) -> None:
    style = engine.recall([3], PSI)
    own = style.memory.own
    half, full = (engine.map_condition(drawing, style, strength).probs for strength in (0.5, 1.0))
    assert torch.allclose(half, (own + full) / 2, atol=1e-6)
    assert torch.allclose(full.sum(dim=1), torch.ones(1, 16, 16), atol=1e-5)


def test_unpainted_places_keep_the_samples_own_proxy(engine: RearrangeEngine, drawing: Condition) -> None:
    style = engine.recall([3], PSI)
    proxy = engine.map_condition(drawing, style).probs
    assert torch.equal(proxy[:, :, 12:], style.memory.own[:, :, 12:])
    assert not torch.allclose(proxy[:, :, :12], style.memory.own[:, :, :12], atol=1e-2)


def test_the_samples_own_mask_gives_the_plain_sample(engine: RearrangeEngine) -> None:
    style = engine.recall([3], PSI)
    own = torch.nn.functional.one_hot(style.labels, engine.mapper.config.num_labels).permute(0, 3, 1, 2).float()
    condition = Condition(kind="mask", map=own, labels=style.labels)
    assert torch.allclose(make(engine, condition, [3]), style.images, atol=1e-5)


def test_far_from_what_is_drawn_anew_the_sample_keeps_its_arrangement(engine: RearrangeEngine) -> None:
    style = engine.recall([3], PSI)
    labels = style.labels.clone()
    labels[:, 20:, 20:] = (labels[:, 20:, 20:] + 1) % engine.mapper.config.num_labels
    drawn = torch.nn.functional.one_hot(labels, engine.mapper.config.num_labels).permute(0, 3, 1, 2).float()
    proxy = engine.map_condition(Condition(kind="mask", map=drawn, labels=labels), style).probs
    scale = proxy.shape[-1] / 32
    far, changed = round(17 * scale), round(20 * scale)  # a change of 32 pixels reaches one further
    assert torch.equal(proxy[:, :, :far, :far], style.memory.own[:, :, :far, :far])
    assert not torch.allclose(proxy[:, :, changed:, changed:], style.memory.own[:, :, changed:, changed:], atol=0.05)


@pytest.mark.parametrize(("margin", "size", "reach"), [(16, 16, 1), (8, 16, 2), (64, 16, 0), (16, 32, 2), (16, 8, 0)])
def test_a_change_reaches_as_far_as_its_margin_says(margin: int, size: int, reach: int) -> None:
    own = torch.zeros(1, 32, 32, dtype=torch.int64)
    wanted = own.clone()
    wanted[0, 13, 0] = wanted[0, 31, 20] = 1
    near = torch.zeros(1, 1, size, size)
    for row, column in ((13, 0), (31, 20)):
        y, x = row * size // 32, column * size // 32
        near[0, 0, max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1] = 1
    assert torch.equal(changed_places(wanted, own, margin, size), near)


def test_a_stroke_asks_for_its_rows_alone(engine: RearrangeEngine) -> None:
    style = engine.recall([3, 5], PSI)
    labels = style.labels.clone()
    labels[0, 13, 4] = (labels[0, 13, 4] + 1) % engine.mapper.config.num_labels
    asked = []
    read = engine.mapper.read
    engine.mapper.read = lambda mask, leaning, rows: asked.append(rows) or read(mask, leaning, rows)  # type: ignore[method-assign, assignment]
    drawn = torch.nn.functional.one_hot(labels, engine.mapper.config.num_labels).permute(0, 3, 1, 2).float()
    engine.map_condition(Condition(kind="mask", map=drawn, labels=labels), style)
    assert len(asked) == 1 and 0 < asked[0].stop - asked[0].start <= 6
    assert covered_rows([torch.zeros(2, 1, 8, 8)], 2) == slice(0, 0)


def test_open_questions_are_decided_as_the_sample_has_it(engine: RearrangeEngine, drawing: Condition) -> None:
    plain = engine.map_condition(drawing, engine.recall([3], PSI)).probs
    shares = engine.recall([3], PSI).memory.own.mean(dim=(0, 2, 3))
    engine.clusters.shares.copy_(torch.where(shares == shares.max(), shares / 4, shares))  # this sample has four times as much of one
    engine.styles.clear()
    leaned = engine.map_condition(drawing, engine.recall([3], PSI)).probs
    common = int(shares.argmax())
    assert float(leaned[:, common].mean()) > float(plain[:, common].mean())


def test_the_own_proxy_gives_the_plain_sample(engine: RearrangeEngine) -> None:
    plain = make(engine, None, [3, 5])
    assert torch.equal(engine.synthesize_proxy(engine.proxy_of([3, 5], PSI), [3, 5], PSI), plain)
    assert not torch.allclose(engine.synthesize_proxy(engine.proxy_of([5, 3], PSI), [3, 5], PSI), plain, atol=1e-3)


def test_a_returned_picture_may_be_changed(engine: RearrangeEngine) -> None:
    first = make(engine, None, [3]).clone()
    with torch.inference_mode():
        make(engine, None, [3]).zero_()
    assert torch.equal(make(engine, None, [3]), first)


def test_truncation_has_its_own_place_in_the_cache(engine: RearrangeEngine) -> None:
    low, high = (engine.synthesize(None, [3], truncation=psi, strength=1.0)[0] for psi in (0.2, 1.0))
    assert not torch.equal(low, high) and len(engine.styles) == 2


def test_the_hops_are_timed(engine: RearrangeEngine, drawing: Condition) -> None:
    _, timings = engine.synthesize(drawing, [3], truncation=PSI, strength=1.0)
    assert list(timings) == ["style", "proxy", "rearrange", "generate"] and min(timings.values()) > 0


def test_a_full_cache_lets_the_oldest_go(engine: RearrangeEngine, drawing: Condition) -> None:
    wanted = make(engine, drawing, list(range(6)))
    size = engine.styles.num_bytes // 6
    engine.styles.clear()
    engine.styles.max_bytes = 3 * size

    made = torch.cat([make(engine, drawing, [seed]) for seed in range(6)])
    assert torch.allclose(made, wanted, atol=1e-5)
    assert [key[0] for key in engine.styles] == [3, 4, 5] and engine.styles.num_bytes == 3 * size
    make(engine, drawing, [3])
    make(engine, drawing, [9])
    assert [key[0] for key in engine.styles] == [5, 3, 9]  # what was used last stays

    # A call that needs more than there is room for is served all the same.
    assert torch.allclose(make(engine, drawing, list(range(6))), wanted, atol=1e-5)
    make(engine, drawing, [7])
    assert len(engine.styles) <= 3 and engine.styles.num_bytes == len(engine.styles) * size


def test_threads_that_push_each_others_styles_out_get_their_own_pictures(engine: RearrangeEngine, drawing: Condition) -> None:
    wanted = [make(engine, drawing, [seed, seed + 1]) for seed in range(4)]
    size = engine.styles.num_bytes // 5
    engine.styles.clear()
    engine.styles.max_bytes = 2 * size
    wrong: list[int] = []

    def visit(number: int) -> None:
        for turn in range(10):
            seed = (number + turn) % 4
            if not torch.allclose(make(engine, drawing, [seed, seed + 1]), wanted[seed], atol=1e-5):
                wrong.append(seed)

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads) and wrong == []
    assert engine.styles.num_bytes == len(engine.styles) * size

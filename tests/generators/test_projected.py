"""The projected discriminator: what is frozen, what learns, and that every scale counts."""

import torch

from sisgen.generators.projected import STAGES, ProjectedDiscriminator
from sisgen.nets.squeezenet import SqueezeNet


def stages(seed: int, brightness: float = 0.0) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    net = SqueezeNet().requires_grad_(False)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) - 0.5 + brightness
    return net.stages(images, list(STAGES)[-1])


def judge() -> ProjectedDiscriminator:
    torch.manual_seed(1)
    net = ProjectedDiscriminator(width=8)
    net.observe(stages(0))
    return net


def test_logits_come_from_four_scales() -> None:
    logits = judge()(stages(0))
    assert logits.shape == (2, 7 * 7 + 3 * 3 + 3 * 3 + 7 * 7)


def test_every_stage_is_heard() -> None:
    net, plain = judge(), stages(0)
    with torch.no_grad():
        reference = net(plain)
        for name in STAGES:
            assert not torch.equal(net({**plain, name: plain[name] + 1.0}), reference), name


def test_features_come_in_at_unit_size_whatever_their_scale() -> None:
    first, second = judge(), judge()
    second.scale.zero_()
    second.observe({name: 5 * x for name, x in stages(0).items()})
    first.eval(), second.eval()
    with torch.no_grad():
        assert torch.allclose(first(stages(3)), second({name: 5 * x for name, x in stages(3).items()}), atol=1e-5)


def test_sizes_are_followed_in_bf16_training() -> None:
    first, second = judge(), judge()
    for seed in (4, 5):
        first.observe(stages(seed))
        second.observe({name: x.bfloat16() for name, x in stages(seed).items()})
    assert torch.allclose(first.scale, second.scale, rtol=1e-2)


def test_mixing_is_frozen_and_heads_learn_to_tell_pictures_apart() -> None:
    net = judge()
    learned = [p for p in net.parameters() if p.requires_grad]
    assert len(learned) < len(list(net.parameters()))
    mixing = {name: p.clone() for name, p in net.named_parameters() if "mixing" in name}
    optimizer = torch.optim.Adam(learned, lr=1e-2)
    real, fake = stages(1), stages(2, brightness=0.8)
    for _ in range(30):
        loss = torch.relu(1 - net(real)).mean() + torch.relu(1 + net(fake)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1.0
    assert all(torch.equal(p, mixing[name]) for name, p in net.named_parameters() if name in mixing)

"""The discriminator: shapes, groups of the minibatch statistic, second derivatives."""

import math

import torch
from torch.nn import functional as F

from sisgen.generators.discriminator import (
    Discriminator,
    PatchDiscriminator,
    logistic_discriminator_loss,
    logistic_generator_loss,
    minibatch_std,
)

CHANNELS = {"4": 8, "8": 6, "16": 4}


def tiny(c_dim: int = 0) -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(16, CHANNELS, c_dim=c_dim)


def test_one_logit_a_picture() -> None:
    logits = tiny()(torch.randn(5, 3, 16, 16))
    assert logits.shape == (5,) and bool(torch.isfinite(logits).all())
    assert bool(logits.std() > 0)


def test_a_class_label_changes_the_logit() -> None:
    net, image = tiny(c_dim=2), torch.randn(1, 3, 16, 16)
    first, second = (net(image, c[None]) for c in torch.eye(2))
    assert first.shape == (1,)
    assert bool((first - second).abs() > 1e-6)


def test_space_to_depth_reads_every_pixel_at_half_the_resolution() -> None:
    torch.manual_seed(0)
    net, image = Discriminator(16, CHANNELS, unpack=2), torch.randn(2, 3, 16, 16, requires_grad=True)
    assert not hasattr(net, "b16") and net.b8.fromrgb.weight.shape == (6, 12, 1, 1)
    logits = net(image)
    logits.sum().backward()
    assert logits.shape == (2,) and image.grad is not None
    assert bool((image.grad.abs().amax(dim=1) > 0).all())


def test_the_minibatch_statistic_by_hand() -> None:
    # Groups of two: samples 0 and 2, samples 1 and 3; one channel, one cell.
    x = torch.tensor([1.0, 10.0, 3.0, 16.0])[:, None, None, None]
    seen = minibatch_std(x, group_size=2)
    assert torch.equal(seen[:, :1], x)
    assert torch.allclose(seen[:, 1].flatten(), torch.tensor([1.0, 3.0, 1.0, 3.0]))


def test_strided_halves_keep_the_groups_of_the_whole() -> None:
    x = torch.randn(8, 3, 4, 4)
    whole = minibatch_std(x)
    for rank in range(2):
        assert torch.allclose(minibatch_std(x[rank::2]), whole[rank::2], atol=1e-6)
    assert not torch.allclose(minibatch_std(x[:4]), whole[:4], atol=1e-3)  # the first half would not


def test_a_batch_that_no_group_divides_still_works() -> None:
    assert minibatch_std(torch.randn(7, 3, 4, 4)).shape == (7, 4, 4, 4)
    assert torch.allclose(minibatch_std(torch.randn(1, 3, 4, 4))[:, 3], torch.full((1, 4, 4), 1e-4))


def test_a_step_against_the_gradient_of_r1_lowers_it_as_the_gradient_says() -> None:
    net = tiny()
    image = torch.randn(2, 3, 16, 16, requires_grad=True)

    def penalty() -> torch.Tensor:
        (gradient,) = torch.autograd.grad(net(image).sum(), image, create_graph=True)
        return gradient.square().sum(dim=(1, 2, 3)).mean()

    before = penalty()
    weights = [p for name, p in net.named_parameters() if name.endswith("weight")]
    gradients = torch.autograd.grad(before, weights)
    assert all(bool(g.abs().sum() > 0) for g in gradients)
    slope = sum(float(g.square().sum()) for g in gradients)
    step = 0.01 * float(before.detach()) / slope
    with torch.no_grad():
        for weight, gradient in zip(weights, gradients):
            weight -= step * gradient
    fall = float((before - penalty()).detach())
    assert 0.8 < fall / (step * slope) < 1.2


def test_losses_by_hand() -> None:
    real, fake = torch.tensor([2.0]), torch.tensor([-1.0])
    assert math.isclose(float(logistic_generator_loss(fake)), math.log(1 + math.exp(1)), rel_tol=1e-6)
    wanted = math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-2))
    assert math.isclose(float(logistic_discriminator_loss(real, fake)), wanted, rel_tol=1e-6)
    assert torch.equal(logistic_generator_loss(fake), F.softplus(torch.tensor([1.0])))


def test_patches_are_judged_each_by_what_they_see() -> None:
    torch.manual_seed(0)
    network = PatchDiscriminator(32, {"32": 8, "16": 8, "8": 8, "4": 8}, unpack=2)
    image = torch.randn(2, 3, 32, 32)
    logits = network(image)
    assert logits.shape == (2, 16)
    far = image.clone()
    far[:, :, -4:, -4:] += 1  # the last patch sees it, the first one does not
    changed = (network(far) - logits).abs().detach()
    assert float(changed[:, -1].min()) > 1e-3 and float(changed[:, 0].max()) < 1e-6


def test_a_patch_critic_starts_from_the_whole_discriminators_blocks() -> None:
    channels = {"32": 8, "16": 8, "8": 8, "4": 8}
    patches, whole = (network(32, channels, unpack=2).state_dict() for network in (PatchDiscriminator, Discriminator))
    assert {name for name in patches if name not in whole or whole[name].shape != patches[name].shape} == {"out.weight", "out.bias"}

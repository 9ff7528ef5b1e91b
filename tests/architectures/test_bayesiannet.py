"""BayesianNet: Bayes by Backprop, compared with torch.distributions and with the network of its mean weights."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from tests.architectures.networks import build, module


def gaussians(net: nn.Module) -> list[Any]:
    """Every Gaussian weight of a network."""
    return [one for one in net.modules() if isinstance(one, module("BayesianNet", 1).GaussianWeight)]


def distribution(weight: Any) -> Normal:
    """What a Gaussian weight is, in torch's words."""
    return Normal(weight.mean, F.softplus(weight.rho))


def scattered() -> Any:
    """The network with deviations from 0.001 to 1."""
    net = build("BayesianNet")
    with torch.no_grad():
        for weight in gaussians(net):
            weight.rho.uniform_(-7, 0.5)
    return net


def batches(count: int = 3) -> list[tuple[Tensor, Tensor]]:
    """A plain list of batches, the last one smaller."""
    generator = torch.Generator().manual_seed(4)
    sizes = [8] * (count - 1) + [4]
    return [(torch.randn(size, 3, 32, 32, generator=generator), torch.arange(size)) for size in sizes]


def test_all_that_is_learned_is_a_mean_or_a_rho():
    """Every parameter belongs to a Gaussian: a mean and a rho of the same shape."""
    net = build("BayesianNet")
    owned = [id(parameter) for weight in gaussians(net) for parameter in (weight.mean, weight.rho)]
    assert sorted(owned) == sorted(id(parameter) for parameter in net.parameters())
    assert all(weight.mean.shape == weight.rho.shape for weight in gaussians(net))


def test_the_divergence_is_that_of_torch():
    """KL(q || N(0, 1)), summed over all weights, is what torch.distributions computes."""
    net = scattered()
    prior = Normal(0.0, 1.0)
    wanted = sum(kl_divergence(distribution(weight), prior).sum() for weight in gaussians(net))
    torch.testing.assert_close(net.divergence(), wanted, rtol=1e-5, atol=0)


def test_weights_are_drawn_from_their_distributions():
    """Standardised by its mean and deviation, a draw of all weights is standard normal."""
    net = scattered().train()
    for weight in gaussians(net):
        if weight.mean.numel() > 2000:
            drawn = (weight() - weight.mean) / distribution(weight).stddev
            assert abs(drawn.mean().item()) < 0.1
            assert drawn.std().item() == pytest.approx(1, abs=0.05)


def test_training_draws_and_evaluation_does_not():
    """Two passes in training differ; two in evaluation are equal bits and draw nothing from the generator."""
    net, images = build("BayesianNet"), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert not torch.equal(net.train()(images), net(images))
        state = torch.get_rng_state()
        assert torch.equal(net.eval()(images), net(images))
        assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("pixels", "stride"), [(32, 1), (224, 4)])
def test_evaluation_is_the_ordinary_network_of_the_means(pixels, stride):
    """In evaluation it is a plain convolutional network with the means for weights."""
    net = build("BayesianNet", pixels).eval()
    layers: list[nn.Module] = []
    for inside, outside, step in ((3, 32, stride), (32, 64, 1), (64, 128, 1)):
        layers += [nn.Conv2d(inside, outside, 5, step, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    head = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10)]
    plain = nn.Sequential(*layers, *head)
    means = [weight.mean for weight in gaussians(net)]
    images = torch.randn(2, 3, pixels, pixels)
    with torch.no_grad():
        for parameter, mean in zip(plain.parameters(), means, strict=True):
            parameter.copy_(mean)
        torch.testing.assert_close(net(images), plain(images))


def test_an_epoch_bears_the_divergence_once():
    """Whatever the batches' sizes, an epoch's gradient, counted by image, is that of the divergence plus the data's."""
    net, train_data = build("BayesianNet"), batches()
    net.train_setup({"lr": 0.0, "momentum": 0.0})
    seen: dict[str, Tensor] = {}
    sizes = iter([8, 8, 4])

    def add(*_: object) -> None:
        size = next(sizes)
        for name, parameter in net.named_parameters():
            seen[name] = seen.get(name, 0) + size * parameter.grad

    net.optimizer.register_step_pre_hook(add)
    torch.manual_seed(5)
    net.learn(train_data)
    torch.manual_seed(5)
    net.zero_grad()
    bound = net.divergence()
    for images, labels in train_data:
        bound = bound + F.cross_entropy(net(images), labels, reduction="sum")
    bound.backward()
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(seen[name], parameter.grad, rtol=1e-3, atol=1e-4)


def test_the_loss_is_the_bound_on_the_evidence():
    """``learn`` returns the cross-entropy plus the divergence, an image's share of both."""
    net, train_data = build("BayesianNet"), batches(1)
    net.train_setup({"lr": 0.0, "momentum": 0.0})
    torch.manual_seed(5)
    _, loss = net.learn(train_data)
    torch.manual_seed(5)
    images, labels = train_data[0]
    with torch.no_grad():
        wanted = F.cross_entropy(net.train()(images), labels) + net.divergence() / len(images)
    assert loss == pytest.approx(wanted.item(), rel=1e-5)


def test_training_lowers_the_divergence_and_the_loss():
    """In a few epochs the weights come nearer to the prior and the data are fitted better."""
    net, train_data = build("BayesianNet"), batches()
    net.train_setup({"lr": 0.01, "momentum": 0.9})
    before = net.divergence().item()
    losses = [net.learn(train_data)[1] for _ in range(6)]
    assert net.divergence().item() < before
    assert losses[-1] < losses[0]

"""BayesianNet: Bayes by Backprop, compared with torch.distributions and with the network of its mean weights."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from tests.architectures.networks import build, module


def gaussians(net: nn.Module) -> list[Any]:
    """All Gaussian weights of a network."""
    return [layer for layer in net.modules() if isinstance(layer, module("BayesianNet", 1).GaussianWeight)]


def distribution(weight: Any) -> Normal:
    """A Gaussian weight as a torch distribution."""
    return Normal(weight.mean, F.softplus(weight.rho))


def with_random_deviations() -> Any:
    """The network with standard deviations from 0.001 to 1."""
    net = build("BayesianNet")
    with torch.no_grad():
        for weight in gaussians(net):
            weight.rho.uniform_(-7, 0.5)
    return net


def batches(count: int = 3) -> list[tuple[Tensor, Tensor]]:
    """A list of batches, of which the last is smaller."""
    generator = torch.Generator().manual_seed(4)
    sizes = [8] * (count - 1) + [4]
    return [(torch.randn(size, 3, 32, 32, generator=generator), torch.arange(size)) for size in sizes]


def test_every_parameter_is_a_mean_or_a_rho():
    """Every parameter belongs to a Gaussian weight: a mean and a rho of the same shape."""
    net = build("BayesianNet")
    gaussian_parameters = [id(parameter) for weight in gaussians(net) for parameter in (weight.mean, weight.rho)]
    assert sorted(gaussian_parameters) == sorted(id(parameter) for parameter in net.parameters())
    assert all(weight.mean.shape == weight.rho.shape for weight in gaussians(net))


def test_the_kl_divergence_equals_that_of_torch_distributions():
    """KL(q || N(0, 1)), summed over all weights, equals the value of torch.distributions."""
    net = with_random_deviations()
    prior = Normal(0.0, 1.0)
    expected = sum(kl_divergence(distribution(weight), prior).sum() for weight in gaussians(net))
    torch.testing.assert_close(net.kl_divergence(), expected, rtol=1e-5, atol=0)


def test_weights_are_sampled_from_their_distributions():
    """A sample of the weights, standardized by mean and standard deviation, is standard normal."""
    net = with_random_deviations().train()
    for weight in gaussians(net):
        if weight.mean.numel() > 2000:
            standardized = (weight() - weight.mean) / distribution(weight).stddev
            assert abs(standardized.mean().item()) < 0.1
            assert standardized.std().item() == pytest.approx(1, abs=0.05)


def test_weights_are_sampled_in_training_only():
    """Two passes differ in training and are bit-identical in evaluation, which uses no random numbers."""
    net, images = build("BayesianNet"), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert not torch.equal(net.train()(images), net(images))
        state = torch.get_rng_state()
        assert torch.equal(net.eval()(images), net(images))
        assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("pixels", "stride"), [(32, 1), (224, 4)])
def test_evaluation_uses_the_means_as_weights(pixels, stride):
    """In evaluation the network equals a plain convolutional network with the means as weights."""
    net = build("BayesianNet", pixels).eval()
    layers: list[nn.Module] = []
    for in_channels, out_channels, step in ((3, 32, stride), (32, 64, 1), (64, 128, 1)):
        layers += [nn.Conv2d(in_channels, out_channels, 5, step, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    head = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10)]
    plain = nn.Sequential(*layers, *head)
    means = [weight.mean for weight in gaussians(net)]
    images = torch.randn(2, 3, pixels, pixels)
    with torch.no_grad():
        for parameter, mean in zip(plain.parameters(), means, strict=True):
            parameter.copy_(mean)
        torch.testing.assert_close(net(images), plain(images))


def test_the_batches_of_an_epoch_share_the_kl_term():
    """For batches of any sizes, an epoch's summed gradient is that of the cross-entropy plus the KL divergence."""
    net, train_data = build("BayesianNet"), batches()
    net.train_setup({"lr": 0.0, "momentum": 0.0})
    gradients: dict[str, Tensor] = {}
    sizes = iter([8, 8, 4])

    def add(*_: object) -> None:
        size = next(sizes)
        for name, parameter in net.named_parameters():
            gradients[name] = gradients.get(name, 0) + size * parameter.grad

    net.optimizer.register_step_pre_hook(add)
    torch.manual_seed(5)
    net.learn(train_data)
    torch.manual_seed(5)
    net.zero_grad()
    loss = net.kl_divergence()
    for images, labels in train_data:
        loss = loss + F.cross_entropy(net(images), labels, reduction="sum")
    loss.backward()
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-3, atol=1e-4)


def test_the_loss_is_the_negative_elbo_per_image():
    """``learn`` returns the mean over images of the cross-entropy plus the KL divergence."""
    net, train_data = build("BayesianNet"), batches(1)
    net.train_setup({"lr": 0.0, "momentum": 0.0})
    torch.manual_seed(5)
    _, loss = net.learn(train_data)
    torch.manual_seed(5)
    images, labels = train_data[0]
    with torch.no_grad():
        expected = F.cross_entropy(net.train()(images), labels) + net.kl_divergence() / len(images)
    assert loss == pytest.approx(expected.item(), rel=1e-5)


def test_training_reduces_the_kl_divergence_and_the_loss():
    """Within a few epochs the KL divergence from the prior and the loss decrease."""
    net, train_data = build("BayesianNet"), batches()
    net.train_setup({"lr": 0.01, "momentum": 0.9})
    before = net.kl_divergence().item()
    losses = [net.learn(train_data)[1] for _ in range(6)]
    assert net.kl_divergence().item() < before
    assert losses[-1] < losses[0]

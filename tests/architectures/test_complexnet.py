"""ComplexNet: compared with an implementation in complex numbers."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.architectures.networks import build, module, stir


def blocks() -> Any:
    """The file's module: its building blocks."""
    return module("ComplexNet", 1)


def to_complex(x: Tensor) -> Tensor:
    """The complex tensor of real parts, then imaginary parts."""
    real, imag = x.chunk(2, dim=1)
    return torch.complex(real, imag)


def to_real(z: Tensor) -> Tensor:
    """The real parts, then the imaginary parts of a complex tensor."""
    return torch.cat([z.real, z.imag], dim=1)


def convolution(conv: Any, z: Tensor) -> Tensor:
    """The complex convolution in torch's complex arithmetic."""
    return F.conv2d(z, torch.complex(conv.real, conv.imag), stride=conv.stride, padding=conv.padding)


def inverse_root(cov: np.ndarray) -> np.ndarray:
    """The inverse square root of a symmetric matrix by its eigenvectors."""
    values, vectors = np.linalg.eigh(cov)
    return vectors @ np.diag(values**-0.5) @ vectors.T


def batch_norm(norm: Any, z: Tensor) -> Tensor:
    """Complex batch norm in evaluation, channel by channel in numpy's linear algebra."""
    out = np.empty(z.shape, dtype=np.complex128)
    for channel, (values, mean, cov, gamma, beta) in enumerate(
        zip(
            z.detach().numpy().swapaxes(0, 1),
            norm.running_mean.T.double().numpy(),
            norm.running_cov.T.double().numpy(),
            norm.gamma.T.detach().double().numpy(),
            norm.beta.T.detach().double().numpy(),
            strict=True,
        )
    ):
        v = np.array([[cov[0], cov[2]], [cov[2], cov[1]]]) + 1e-4 * np.eye(2)
        g = np.array([[gamma[0], gamma[2]], [gamma[2], gamma[1]]])
        pair = np.stack([values.real - mean[0], values.imag - mean[1]]).reshape(2, -1)
        pair = g @ inverse_root(v) @ pair + beta[:, None]
        out[:, channel] = (pair[0] + 1j * pair[1]).reshape(values.shape)
    return torch.from_numpy(out).to(torch.complex64)


def crelu(z: Tensor) -> Tensor:
    """CReLU: ReLU of the real and of the imaginary part."""
    return torch.complex(F.relu(z.real), F.relu(z.imag))


def complex_logits(net: Any, images: Tensor) -> Tensor:
    """The logits of the network in evaluation, computed with complex numbers."""
    z = torch.complex(images, net.imag_block(images))
    z = crelu(batch_norm(net.bn1, convolution(net.conv1, z)))
    for block in (*net.stage1, *net.stage2, *net.stage3):
        out = convolution(block.conv1, crelu(batch_norm(block.bn1, z)))
        out = convolution(block.conv2, crelu(batch_norm(block.bn2, out)))
        downsample = hasattr(block, "proj")
        z = torch.cat([convolution(block.proj, z), out], dim=1) if downsample else z + out
    return net.fc(to_real(z.mean(dim=(2, 3))))


def randomize(net: nn.Module) -> nn.Module:
    """Give every complex batch norm random statistics, scales and shifts."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for norm in stir(net).modules():
            if isinstance(norm, blocks().ComplexBatchNorm2d):
                for value in (norm.running_mean, norm.running_cov, norm.gamma, norm.beta):
                    value.add_(0.5 * torch.rand(value.shape, generator=generator) - 0.2)
    return net


@pytest.mark.parametrize("pixels", [32, 64])
def test_complexnet_matches_complex_arithmetic(pixels):
    """The logits equal those of an implementation with complex numbers and eigenvectors."""
    net = randomize(build("ComplexNet", pixels)).eval()
    images = torch.randn(2, 3, pixels, pixels)
    with torch.no_grad():
        expected = complex_logits(net, images)
        assert expected.std() > 0.01
        torch.testing.assert_close(net(images), expected, rtol=1e-4, atol=1e-4)


def test_a_convolution_multiplies_complex_numbers():
    """A strided 1x1 convolution equals numpy's product of a complex matrix and a complex vector."""
    torch.manual_seed(0)
    conv, x = blocks().ComplexConv2d(3, 5, 1, stride=2), torch.randn(2, 6, 7, 8)
    with torch.no_grad():
        actual = conv(x).numpy()
        weight = (conv.real + 1j * conv.imag)[:, :, 0, 0].numpy()
    z = x[:, :3, ::2, ::2].numpy() + 1j * x[:, 3:, ::2, ::2].numpy()
    expected = np.einsum("oi,bihw->bohw", weight, z)
    np.testing.assert_allclose(actual, np.concatenate([expected.real, expected.imag], axis=1), rtol=1e-4, atol=1e-5)


def test_weights_start_with_a_rayleigh_magnitude_and_a_uniform_phase():
    """E|w|^2 is 2 / fan_in, the magnitude is Rayleigh-distributed and the phase is uniform."""
    torch.manual_seed(0)
    conv = blocks().ComplexConv2d(48, 96, 3)
    magnitude, phase = torch.complex(conv.real, conv.imag).detach().abs(), torch.atan2(conv.imag, conv.real).detach()
    sigma = (48 * 9) ** -0.5
    assert magnitude.square().mean().item() == pytest.approx(2 * sigma**2, rel=0.02)
    assert magnitude.mean().item() == pytest.approx(sigma * math.sqrt(math.pi / 2), rel=0.02)
    counts = torch.histc(phase, 8, -math.pi, math.pi) / phase.numel()
    assert (counts - 1 / 8).abs().max() < 0.005


def test_batch_norm_whitens_the_real_and_imaginary_parts_jointly():
    """In training, correlated parts of any scale become uncorrelated parts of variance 1/2."""
    torch.manual_seed(0)
    norm = blocks().ComplexBatchNorm2d(4).train()
    common = torch.randn(16, 4, 8, 8)
    scale = torch.tensor([0.3, 1.0, 3.0, 9.0])[:, None, None]
    x = torch.cat([scale * common + 2, scale * (0.9 * common + 0.5 * torch.randn(16, 4, 8, 8)) - 1], dim=1)
    with torch.no_grad():
        z = to_complex(norm(x)).swapaxes(0, 1).flatten(1)
    assert z.mean(dim=1).abs().max() < 1e-5
    for channel in z:
        cov = np.cov(channel.real.numpy(), channel.imag.numpy(), bias=True)
        np.testing.assert_allclose(cov, 0.5 * np.eye(2), atol=2e-2)


def test_batch_norm_updates_its_running_statistics_with_momentum_0_1():
    """The running mean and covariance move a tenth of the way to the batch statistics; evaluation uses them."""
    torch.manual_seed(0)
    norm, x = blocks().ComplexBatchNorm2d(2).train(), torch.randn(8, 4, 5, 5) * 2 + 1
    with torch.no_grad():
        norm(x)
        z = to_complex(x).swapaxes(0, 1).flatten(1).numpy()
        covs = [np.cov(channel.real, channel.imag, bias=True) for channel in z]
        batch = np.array([[cov[0, 0], cov[1, 1], cov[0, 1]] for cov in covs]).T
        start = np.array([0.5**0.5, 0.5**0.5, 0.0])[:, None]
        np.testing.assert_allclose(norm.running_cov.numpy(), 0.9 * start + 0.1 * batch, rtol=1e-4, atol=1e-5)
        means = np.stack([z.real.mean(axis=1), z.imag.mean(axis=1)])
        np.testing.assert_allclose(norm.running_mean.numpy(), 0.1 * means, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(norm.eval()(x), to_real(batch_norm(norm, to_complex(x))), rtol=1e-4, atol=1e-4)


def test_batch_norm_is_finite_for_a_singular_covariance():
    """Large equal real and imaginary parts, whose covariance is singular, give finite outputs and gradients."""
    torch.manual_seed(0)
    half = 1e3 * torch.randn(4, 3, 6, 6)
    x = torch.cat([half, half], dim=1).requires_grad_()
    norm = blocks().ComplexBatchNorm2d(3).train()
    out = norm(x)
    out.square().sum().backward()
    assert out.isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()

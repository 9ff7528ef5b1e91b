"""GoogLeNet: torchvision's googlenet, with both auxiliary classifiers."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def torchvisions(classes: int = 1000) -> nn.Module:
    """torchvision's googlenet with its auxiliary heads and random weights."""
    torch.manual_seed(1)
    return models.googlenet(weights=None, num_classes=classes, aux_logits=True, init_weights=False)


def small() -> nn.Module:
    """The same for ten classes, with a 3x3 stem of stride 1 and without the pools of the stem."""
    reference = torchvisions(classes=10)
    reference.conv1.conv = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    reference.maxpool1 = reference.maxpool2 = nn.Identity()
    return reference


def test_googlenet_is_torchvisions():
    """At 224 pixels it has the parameters of torchvision's googlenet, and with its weights its scores."""
    assert_is("GoogLeNet", torchvisions())


def test_googlenet_keeps_the_resolution_of_small_images():
    """Under 64 pixels it is torchvision's with a 3x3 stem of stride 1 that does not pool."""
    net, reference = build("GoogLeNet"), small()
    copy_weights(settle(reference, 32), net)
    assert_equal(net, reference, 32)


@pytest.mark.parametrize("pixels", [16, 96])
def test_googlenets_auxiliary_heads_are_torchvisions(pixels):
    """In training, dropout off, it returns the scores and those of both auxiliary heads, as torchvision's does."""
    reference = small() if pixels < 64 else torchvisions(classes=10)
    net = build("GoogLeNet", pixels)
    copy_weights(settle(reference, pixels), net)
    for module in (*net.modules(), *reference.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    images = torch.randn(4, 3, pixels, pixels)
    with torch.no_grad():
        scores, aux1, aux2 = net.train()(images)
        wanted = reference.train()(images)
    torch.testing.assert_close(scores, wanted.logits, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(aux1, wanted.aux_logits1, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(aux2, wanted.aux_logits2, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(aux1, aux2, atol=0.01)


def test_googlenets_auxiliary_heads_vanish_in_evaluation():
    """In evaluation the scores come alone, and neither head is run."""
    net = build("GoogLeNet", 16).eval()
    run = []
    for head in (net.aux1, net.aux2):
        head.register_forward_hook(lambda module, inputs, output: run.append(module))
    with torch.no_grad():
        assert net(torch.randn(1, 3, 16, 16)).shape == (1, 10)
    assert run == []


def test_googlenets_auxiliary_losses_weigh_three_tenths():
    """``learn`` returns the loss of the scores and 0.3 times those of the auxiliary heads: section 5 of the paper."""
    net = build("GoogLeNet", 16)
    net.train_setup({"lr": 0.0, "momentum": 0.9, "epoch_max": 1})
    outputs = []
    net.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    labels = torch.tensor([3, 1, 4, 1])
    accuracy, loss = net.learn([(torch.randn(4, 3, 16, 16), labels)])
    scores, aux1, aux2 = outputs[0]
    wanted = F.cross_entropy(scores, labels) + 0.3 * (F.cross_entropy(aux1, labels) + F.cross_entropy(aux2, labels))
    assert loss == pytest.approx(wanted.item(), rel=1e-5)
    assert accuracy == pytest.approx(scores.argmax(1).eq(labels).float().mean().item())


@pytest.mark.parametrize(("head", "reached"), [("aux1", "inception4a"), ("aux2", "inception4d")])
def test_googlenets_auxiliary_losses_reach_just_the_layers_below_their_heads(head, reached):
    """The gradient of a head's loss enters the trunk after the module that the paper hangs it on, and not above."""
    net = build("GoogLeNet", 16).train()
    outputs = dict(zip(("scores", "aux1", "aux2"), net(torch.randn(2, 3, 16, 16)), strict=True))
    outputs[head].square().sum().backward()
    got = {name.split(".")[0] for name, value in net.named_parameters() if value.grad is not None}
    trunk = [name for name, _ in net.named_children() if name.startswith(("conv", "inception"))]
    assert got == {*trunk[: trunk.index(reached) + 1], head}

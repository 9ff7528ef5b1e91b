"""GoogLeNet: compared with torchvision's googlenet and its two auxiliary classifiers."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def reference_model(num_classes: int = 1000) -> nn.Module:
    """torchvision's googlenet with its auxiliary classifiers and random weights."""
    torch.manual_seed(1)
    return models.googlenet(weights=None, num_classes=num_classes, aux_logits=True, init_weights=False)


def reference_with_cifar_stem() -> nn.Module:
    """The same for ten classes, with a 3x3 stem of stride 1 and without pooling in the stem."""
    reference = reference_model(num_classes=10)
    reference.conv1.conv = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    reference.maxpool1 = reference.maxpool2 = nn.Identity()
    return reference


def test_googlenet_matches_torchvision():
    """At 224 pixels it has the parameters of torchvision's googlenet and, with its weights, the same logits."""
    assert_is("GoogLeNet", reference_model())


def test_googlenet_keeps_the_resolution_of_small_images():
    """Below 64 pixels it equals torchvision's with a 3x3 stem of stride 1 and without pooling in the stem."""
    net, reference = build("GoogLeNet"), reference_with_cifar_stem()
    copy_weights(settle(reference, 32), net)
    assert_equal(net, reference, 32)


@pytest.mark.parametrize("pixels", [16, 96])
def test_the_auxiliary_classifiers_of_googlenet_match_torchvision(pixels):
    """In training without dropout, the logits and both auxiliary logits equal torchvision's."""
    reference = reference_with_cifar_stem() if pixels < 64 else reference_model(num_classes=10)
    net = build("GoogLeNet", pixels)
    copy_weights(settle(reference, pixels), net)
    for module in (*net.modules(), *reference.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    images = torch.randn(4, 3, pixels, pixels)
    with torch.no_grad():
        logits, aux1, aux2 = net.train()(images)
        expected = reference.train()(images)
    torch.testing.assert_close(logits, expected.logits, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(aux1, expected.aux_logits1, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(aux2, expected.aux_logits2, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(aux1, aux2, atol=0.01)


def test_the_auxiliary_classifiers_of_googlenet_are_skipped_in_evaluation():
    """In evaluation, the network returns the logits alone and runs neither auxiliary classifier."""
    net = build("GoogLeNet", 16).eval()
    calls = []
    for aux in (net.aux1, net.aux2):
        aux.register_forward_hook(lambda module, inputs, output: calls.append(module))
    with torch.no_grad():
        assert net(torch.randn(1, 3, 16, 16)).shape == (1, 10)
    assert calls == []


def test_the_auxiliary_losses_of_googlenet_have_weight_0_3():
    """``learn`` returns the main loss plus 0.3 times both auxiliary losses, as in section 5 of the paper."""
    net = build("GoogLeNet", 16)
    net.train_setup({"lr": 0.0, "momentum": 0.9, "epoch_max": 1})
    outputs = []
    net.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    labels = torch.tensor([3, 1, 4, 1])
    accuracy, loss = net.learn([(torch.randn(4, 3, 16, 16), labels)])
    logits, aux1, aux2 = outputs[0]
    expected = F.cross_entropy(logits, labels) + 0.3 * (F.cross_entropy(aux1, labels) + F.cross_entropy(aux2, labels))
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert accuracy == pytest.approx(logits.argmax(1).eq(labels).float().mean().item())


@pytest.mark.parametrize(("aux", "source"), [("aux1", "inception4a"), ("aux2", "inception4d")])
def test_the_gradient_of_an_auxiliary_loss_reaches_the_layers_below_it(aux, source):
    """An auxiliary loss has gradients for its classifier and for the layers up to the module it is attached to."""
    net = build("GoogLeNet", 16).train()
    outputs = dict(zip(("logits", "aux1", "aux2"), net(torch.randn(2, 3, 16, 16)), strict=True))
    outputs[aux].square().sum().backward()
    with_gradient = {name.split(".")[0] for name, value in net.named_parameters() if value.grad is not None}
    trunk = [name for name, _ in net.named_children() if name.startswith(("conv", "inception"))]
    assert with_gradient == {*trunk[: trunk.index(source) + 1], aux}

"""InceptionV3: torchvision's inception_v3, with its auxiliary classifier."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def torchvisions(classes: int = 1000) -> nn.Module:
    """torchvision's inception_v3 with its auxiliary classifier and random weights."""
    torch.manual_seed(1)
    return models.inception_v3(weights=None, num_classes=classes, aux_logits=True, init_weights=False)


def padded() -> nn.Module:
    """The same for ten classes, with a padded stem."""
    reference = torchvisions(classes=10)
    for block in (reference.Conv2d_1a_3x3, reference.Conv2d_2a_3x3, reference.Conv2d_4a_3x3):
        block.conv.padding = (1, 1)
    return reference


def test_inceptionv3_is_torchvisions():
    """At 299 pixels it has the parameters of torchvision's inception_v3, and with its weights its logits."""
    assert_is("InceptionV3", torchvisions())


@pytest.mark.parametrize("pixels", [16, 64, 75])
def test_inceptionv3_pads_its_stem_for_small_images(pixels):
    """Below 75 pixels it is torchvision's with a padded stem, below 64 with one of stride 1 without pools as well."""
    reference = padded() if pixels < 75 else torchvisions(classes=10)
    if pixels < 64:
        reference.Conv2d_1a_3x3.conv.stride = (1, 1)
        reference.maxpool1 = reference.maxpool2 = nn.Identity()
    aux, reference.AuxLogits = reference.AuxLogits, None  # torchvision's needs a larger feature map in training
    settle(reference, pixels, batch=8)
    reference.AuxLogits = aux
    net = build("InceptionV3", pixels)
    copy_weights(reference, net)
    assert_equal(net, reference, pixels)


def test_inceptionv3s_auxiliary_classifier_is_torchvisions():
    """In training at 299 pixels without dropout, it returns the logits and auxiliary logits of torchvision's."""
    net, reference = build("InceptionV3", 299), torchvisions(classes=10)
    copy_weights(settle(reference, 299, batch=2), net)
    for module in (*net.modules(), *reference.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    images = torch.randn(3, 3, 299, 299)
    with torch.no_grad():
        logits, aux_logits = net.train()(images)
        wanted = reference.train()(images)
    torch.testing.assert_close(logits, wanted.logits, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(aux_logits, wanted.aux_logits, rtol=1e-3, atol=1e-3)


def test_inceptionv3s_auxiliary_classifier_takes_any_feature_map():
    """Where the feature map is too small for torchvision's, the same layers follow a 5x5 adaptive average pool."""
    net, reference = build("InceptionV3", 16), torchvisions(classes=10).AuxLogits
    settle(reference, 17, channels=768)
    copy_weights(reference, net.aux)
    x = torch.randn(2, 768, 7, 7)
    with torch.no_grad():
        wanted = reference.conv1(reference.conv0(F.adaptive_avg_pool2d(x, 5)))
        torch.testing.assert_close(net.aux.eval()(x), reference.fc(wanted.flatten(1)), rtol=1e-4, atol=1e-4)


def test_inceptionv3s_auxiliary_classifier_is_skipped_in_evaluation():
    """In evaluation it returns the logits only, and the auxiliary classifier is not run."""
    net = build("InceptionV3", 16).eval()
    run = []
    net.aux.register_forward_hook(lambda module, inputs, output: run.append(module))
    with torch.no_grad():
        assert net(torch.randn(1, 3, 16, 16)).shape == (1, 10)
    assert run == []


def test_inceptionv3s_auxiliary_loss_has_weight_0_4():
    """``learn`` returns the loss of the logits plus 0.4 times that of the auxiliary logits."""
    net = build("InceptionV3", 16)
    net.train_setup({"lr": 0.0, "momentum": 0.9, "epoch_max": 1})
    outputs = []
    net.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    labels = torch.tensor([3, 1, 4, 1])
    accuracy, loss = net.learn([(torch.randn(4, 3, 16, 16), labels)])
    logits, aux_logits = outputs[0]
    wanted = F.cross_entropy(logits, labels) + 0.4 * F.cross_entropy(aux_logits, labels)
    assert loss == pytest.approx(wanted.item(), rel=1e-5)
    assert accuracy == pytest.approx(logits.argmax(1).eq(labels).float().mean().item())


def test_inceptionv3s_auxiliary_loss_trains_the_layers_before_it():
    """The gradient of the auxiliary loss reaches all layers before the last downsampling module, and none after it."""
    net = build("InceptionV3", 16).train()
    net(torch.randn(2, 3, 16, 16))[1].square().sum().backward()
    got = {name.split(".")[0] for name, value in net.named_parameters() if value.grad is not None}
    every = {name.split(".")[0] for name, _ in net.named_parameters()}
    assert got == every - {"mixed7a", "mixed7b", "mixed7c", "fc"}


@pytest.mark.parametrize("size", [(299, 299), (96, 64), (64, 32)])
def test_inceptionv3s_shorter_side_decides(size):
    """The shorter side decides: below 75 pixels the stem is padded, below 64 it has stride 1."""
    net = build("InceptionV3", size).eval()
    assert net.conv1a[0].padding == ((0, 0) if min(size) >= 75 else (1, 1))
    assert net.conv1a[0].stride == ((2, 2) if min(size) >= 64 else (1, 1))
    if min(size) < 299:
        with torch.no_grad():
            assert net(torch.randn(1, 3, *size)).shape == (1, 10)

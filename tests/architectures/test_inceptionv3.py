"""InceptionV3: torchvision's inception_v3, with its auxiliary classifier."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def inception_v3(classes: int = 1000) -> nn.Module:
    """torchvision's inception_v3 with its auxiliary classifier and random weights."""
    torch.manual_seed(1)
    return models.inception_v3(weights=None, num_classes=classes, aux_logits=True, init_weights=False)


def padded_inception_v3() -> nn.Module:
    """torchvision's inception_v3 for ten classes with a padded stem."""
    reference = inception_v3(classes=10)
    for block in (reference.Conv2d_1a_3x3, reference.Conv2d_2a_3x3, reference.Conv2d_4a_3x3):
        block.conv.padding = (1, 1)
    return reference


def test_inceptionv3_matches_torchvision():
    """At 299 pixels, the parameter count and the logits equal those of torchvision's inception_v3."""
    assert_is("InceptionV3", inception_v3())


@pytest.mark.parametrize("pixels", [16, 64, 75])
def test_inceptionv3_stem_for_small_images_is_padded(pixels):
    """Torchvision's stem is padded for inputs below 75 pixels, and has stride 1 and no pooling below 64 pixels."""
    reference = padded_inception_v3() if pixels < 75 else inception_v3(classes=10)
    if pixels < 64:
        reference.Conv2d_1a_3x3.conv.stride = (1, 1)
        reference.maxpool1 = reference.maxpool2 = nn.Identity()
    aux, reference.AuxLogits = reference.AuxLogits, None  # it needs a larger feature map in training
    settle(reference, pixels, batch=8)
    reference.AuxLogits = aux
    net = build("InceptionV3", pixels)
    copy_weights(reference, net)
    assert_equal(net, reference, pixels)


def test_inceptionv3_auxiliary_classifier_matches_torchvision():
    """In training mode without dropout, the logits and the auxiliary logits equal torchvision's at 299 pixels."""
    net, reference = build("InceptionV3", 299), inception_v3(classes=10)
    copy_weights(settle(reference, 299, batch=2), net)
    for module in (*net.modules(), *reference.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    images = torch.randn(3, 3, 299, 299)
    with torch.no_grad():
        logits, aux_logits = net.train()(images)
        expected = reference.train()(images)
    torch.testing.assert_close(logits, expected.logits, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(aux_logits, expected.aux_logits, rtol=1e-3, atol=1e-3)


def test_inceptionv3_auxiliary_classifier_takes_any_feature_map():
    """On small feature maps, torchvision's auxiliary layers follow an adaptive average pool to 5x5."""
    net, reference = build("InceptionV3", 16), inception_v3(classes=10).AuxLogits
    settle(reference, 17, channels=768)
    copy_weights(reference, net.aux)
    x = torch.randn(2, 768, 7, 7)
    with torch.no_grad():
        features = reference.conv1(reference.conv0(F.adaptive_avg_pool2d(x, 5)))
        torch.testing.assert_close(net.aux.eval()(x), reference.fc(features.flatten(1)), rtol=1e-4, atol=1e-4)


def test_inceptionv3_auxiliary_classifier_is_skipped_in_evaluation():
    """In evaluation mode, the forward pass returns only the logits and does not run the auxiliary classifier."""
    net = build("InceptionV3", 16).eval()
    calls = []
    net.aux.register_forward_hook(lambda module, inputs, output: calls.append(module))
    with torch.no_grad():
        assert net(torch.randn(1, 3, 16, 16)).shape == (1, 10)
    assert calls == []


def test_inceptionv3_auxiliary_loss_has_weight_0_4():
    """``learn`` returns the loss of the logits plus 0.4 times that of the auxiliary logits."""
    net = build("InceptionV3", 16)
    net.train_setup({"lr": 0.0, "momentum": 0.9, "epoch_max": 1})
    outputs = []
    net.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    labels = torch.tensor([3, 1, 4, 1])
    accuracy, loss = net.learn([(torch.randn(4, 3, 16, 16), labels)])
    logits, aux_logits = outputs[0]
    expected = F.cross_entropy(logits, labels) + 0.4 * F.cross_entropy(aux_logits, labels)
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert accuracy == pytest.approx(logits.argmax(1).eq(labels).float().mean().item())


def test_inceptionv3_auxiliary_loss_trains_the_layers_before_it():
    """The auxiliary loss has a gradient for all layers before the last downsampling module, and for none after it."""
    net = build("InceptionV3", 16).train()
    net(torch.randn(2, 3, 16, 16))[1].square().sum().backward()
    trained = {name.split(".")[0] for name, value in net.named_parameters() if value.grad is not None}
    layers = {name.split(".")[0] for name, _ in net.named_parameters()}
    assert trained == layers - {"mixed7a", "mixed7b", "mixed7c", "fc"}


@pytest.mark.parametrize("size", [(299, 299), (96, 64), (64, 32)])
def test_inceptionv3_stem_depends_on_the_shorter_side(size):
    """The stem is padded if the shorter side is below 75 pixels, and has stride 1 if it is below 64."""
    net = build("InceptionV3", size).eval()
    assert net.conv1a[0].padding == ((0, 0) if min(size) >= 75 else (1, 1))
    assert net.conv1a[0].stride == ((2, 2) if min(size) >= 64 else (1, 1))
    if min(size) < 299:
        with torch.no_grad():
            assert net(torch.randn(1, 3, *size)).shape == (1, 10)

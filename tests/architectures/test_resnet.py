"""ResNet: the ResNet-20 of He et al. 2015, section 4.2, and its variations, the deeper ResNets of that section."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.architectures.networks import CATALOGUE, build, count, stir


def resnet(x: Tensor, weights: dict[str, Tensor], n: int, *, training: bool) -> Tensor:
    """The CIFAR ResNet of 6n + 2 layers as a function of its weights, written from section 4.2 of the paper."""

    def batch_norm(x: Tensor, bn: str) -> Tensor:
        mean, variance = weights[f"{bn}.running_mean"].clone(), weights[f"{bn}.running_var"].clone()
        return F.batch_norm(x, mean, variance, weights[f"{bn}.weight"], weights[f"{bn}.bias"], training)

    # "The first layer is 3x3 convolutions", 16 filters.
    x = F.relu(batch_norm(F.conv2d(x, weights["conv1.weight"], padding=1), "bn1"))
    # "a stack of 6n layers ... on the feature maps of sizes {32, 16, 8}", "the numbers of filters are {16, 32, 64}".
    for stage, filters in enumerate((16, 32, 64), start=1):
        for block in range(n):
            name = f"layer{stage}.{block}"
            # "The subsampling is performed by convolutions with a stride of 2."
            stride = 2 if stage > 1 and block == 0 else 1
            y = F.conv2d(x, weights[f"{name}.conv1.weight"], stride=stride, padding=1)
            y = F.relu(batch_norm(y, f"{name}.bn1"))
            y = batch_norm(F.conv2d(y, weights[f"{name}.conv2.weight"], padding=1), f"{name}.bn2")
            # Option A: "identity mapping, with extra zero entries padded for increasing dimensions"; stride 2.
            if stride == 2:
                x = x[:, :, ::2, ::2]
                x = torch.cat([x, x.new_zeros(len(x), filters - x.shape[1], *x.shape[2:])], dim=1)
            x = F.relu(x + y)
    # "The network ends with a global average pooling, a 10-way fully-connected layer".
    return F.linear(F.adaptive_avg_pool2d(x, 1).flatten(1), weights["fc.weight"], weights["fc.bias"])


def test_resnet_has_the_papers_parameter_count():
    """It has 20 weighted layers and 0.27 million parameters; the shortcuts have none."""
    net = build("ResNet")
    assert count(net) == 269_722
    assert f"{count(net) / 1e6:.2f}" == "0.27"
    assert sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in net.modules()) == 20


@pytest.mark.parametrize("pixels", [32, 33, 224])
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_resnet_matches_the_paper(pixels, training):
    """The logits equal those of a functional ResNet-20 with the same weights, also for odd sizes."""
    net = stir(build("ResNet")).train(training)
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    images = torch.randn(2, 3, pixels, pixels)
    with torch.no_grad():
        torch.testing.assert_close(net(images), resnet(images, weights, 3, training=training), rtol=1e-4, atol=1e-4)


def test_resnet_feature_maps_have_the_papers_sizes():
    """The feature maps of the stages are 32, 16 and 8 pixels wide and have 16, 32 and 64 channels."""
    net = build("ResNet").eval()
    sizes = []
    for stage in (net.layer1, net.layer2, net.layer3):
        stage.register_forward_hook(lambda module, inputs, output: sizes.append(tuple(output.shape[1:])))
    with torch.no_grad():
        net(torch.randn(1, 3, 32, 32))
    assert sizes == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


@pytest.mark.parametrize(
    ("depth", "millions"), [(32, "0.46"), (44, "0.66"), (56, "0.85"), pytest.param(110, "1.7", marks=pytest.mark.slow)]
)
def test_deeper_resnets_match_the_paper(depth, millions):
    """ResNet-32 to ResNet-110 have the parameters of the paper's table 6 and the logits of its section 4.2."""
    net = stir(build(f"ResNet{depth}")).eval()
    assert count(net) == CATALOGUE.architecture(f"ResNet{depth}").parameters
    assert f"{count(net) / 1e6:.{len(millions) - 2}f}" == millions
    assert sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in net.modules()) == depth
    weights = net.state_dict()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = resnet(images, weights, (depth - 2) // 6, training=False)
        torch.testing.assert_close(net(images), expected, rtol=1e-4, atol=1e-4)

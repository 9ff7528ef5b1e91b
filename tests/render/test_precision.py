"""Rendered files with mixed precision, run as a caller runs them."""

import copy
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch

from lrgen import catalogue as catalogues
from lrgen.render.renderer import Renderer
from tests.paths import TINY

CATALOGUE = catalogues.load([TINY])
PRM = {"lr": 0.1, "momentum": 0.9, "epoch_max": 2}
BATCHES = 3


@pytest.fixture(scope="module")
def text_of() -> Callable[[str], str]:
    """Render the small network with a variant."""
    renderer, network = Renderer(CATALOGUE), CATALOGUE.architecture("Tiny")
    return lambda name: renderer.render(network, CATALOGUE.variant(name)).text


def net_of(text: str) -> Any:
    """A network of a file, which is set up for training from the same weights each time."""
    module = ModuleType("file")
    exec(compile(text, "file.py", "exec"), module.__dict__)
    torch.manual_seed(0)
    net = module.Net((4, 3, 16, 16), (10,), PRM, torch.device("cpu"))
    net.train_setup(PRM)
    return net


def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(4, 3, 16, 16, generator=generator), torch.arange(4)) for _ in range(BATCHES)]


@pytest.mark.parametrize(("name", "plain"), [("bf16_cosine", 6), ("fp16_cosine", 6), ("fp16_onecycle", 13)])
def test_without_autocast_a_file_trains_as_in_float32(text_of, name, plain):
    """With autocast and scaler switched off, the weights are those of the file without the practice, bit for bit."""
    text = text_of(name).replace("torch.bfloat16):", "torch.bfloat16, enabled=False):")
    text = text.replace("torch.float16):", "torch.float16, enabled=False):")
    text = text.replace("GradScaler(self.device.type)", "GradScaler(self.device.type, enabled=False)")
    assert text.count("enabled=False") == (1 if name.startswith("bf16") else 2)
    nets = [net_of(text), net_of(text_of(str(plain)))]
    for net in nets:
        net.learn(batches())
    for changed, expected in zip(*(net.state_dict().values() for net in nets), strict=True):
        assert torch.equal(changed, expected)


@pytest.mark.parametrize("name", ["bf16_onecycle", "fp16_onecycle"])
def test_forward_computes_in_16_bits_in_learn_alone(text_of, name):
    """Logits have 16 bits in learn, and 32 outside; weights, momentum and statistics have 32."""
    net, dtypes = net_of(text_of(name)), []
    net.register_forward_hook(lambda _, __, output: dtypes.append(output.dtype))
    net.learn(batches())
    assert set(dtypes) == {torch.bfloat16 if name.startswith("bf16") else torch.float16}
    assert net(batches()[0][0]).dtype is torch.float32
    kept = [*net.state_dict().values(), *(entry["momentum_buffer"] for entry in net.optimizer.state.values())]
    assert {value.dtype for value in kept if value.is_floating_point()} == {torch.float32}


@pytest.mark.parametrize("name", ["fp16_cosine", "fp16_onecycle"])
def test_an_update_that_overflows_is_skipped(text_of, name):
    """With infinite gradients, weights and momentum stay bit for bit, the scale halves, and a batch schedule waits."""
    net = net_of(text_of(name))
    net.scaler.load_state_dict(net.scaler.state_dict() | {"scale": 64.0})
    net.learn(batches())
    weights = [param.detach().clone() for param in net.parameters()]
    momentum = copy.deepcopy(net.optimizer.state_dict()["state"])
    scale, steps = net.scaler.get_scale(), net.scheduler.last_epoch
    [(images, labels), *_] = batches()
    net.learn([(images * float("inf"), labels)])
    assert all(torch.equal(before, after) for before, after in zip(weights, net.parameters(), strict=True))
    after = net.optimizer.state_dict()["state"]
    for key, state in momentum.items():
        assert torch.equal(state["momentum_buffer"], after[key]["momentum_buffer"])
    assert net.scaler.get_scale() == scale / 2
    assert net.scheduler.last_epoch == (steps if name == "fp16_onecycle" else steps + 1)


@pytest.mark.parametrize(("name", "precision"), [("bf16_cosine", "bfloat16"), ("fp16_onecycle", "float16")])
def test_a_device_without_the_precision_is_an_error(text_of, name, precision):
    """On a device that cannot compute in 16 bits, train_setup raises an error that names device and precision."""
    module = ModuleType("file")
    exec(compile(text_of(name), "file.py", "exec"), module.__dict__)
    net = module.Net((4, 3, 16, 16), (10,), PRM, torch.device("meta"))
    with pytest.raises(RuntimeError, match=f"^meta does not support mixed precision in {precision}$"):
        net.train_setup(PRM)
    assert not hasattr(net, "optimizer")

"""The host: the smallest network that training methods can train.

Runs of ``learn`` compare how weights move, which does not depend on the network. On a host with a batch norm and a
linear layer they take a fraction of the time.
"""

from dataclasses import replace

from lrgen.records import Part, Parts
from lrgen.verify.parts.names import no_decay_of, outputs_of

_IMPORTS = ("import torch", "import torch.nn as nn", "from torch import Tensor")
_NET = '''
class Net(nn.Module):
    """A batch norm and a linear layer."""

    def __init__(
        self,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        prm: dict[str, float],
        device: torch.device,
    ) -> None:
        super().__init__()
        self.device = device
        channels = in_shape[1]
        self.bn = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels, out_shape[0])
{more}
    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = self.bn(x).mean(dim=(2, 3)){added}
{result}        return self.fc(x)
{methods}'''
_RESULT = """        if self.training:
            return self.fc(x){}
"""
# Methods of a network, besides those of torch, that training methods may call.
_METHODS = {
    "kl_divergence": '''
    def kl_divergence(self) -> Tensor:
        """Return half the squared norm of the weights."""
        return 0.5 * self.fc.weight.square().sum()
'''
}


def host_of(parts: Parts) -> Parts:
    """The parts of a file with a host in place of its network."""
    extra = [f"extra_{end}" for end in no_decay_of(parts.training)]
    auxiliary = [f"aux{number}" for number in range(1, outputs_of(parts.training))]
    lines = [
        *(f"self.{name} = nn.Parameter(torch.zeros(1, channels))" for name in extra),
        *(f"self.{name} = nn.Linear(channels, out_shape[0])" for name in auxiliary),
    ]
    code = _NET.format(
        more="".join(f"        {line}\n" for line in lines),
        added="".join(f" + self.{name}" for name in extra),
        result=_RESULT.format("".join(f", self.{name}(x)" for name in auxiliary)) if auxiliary else "",
        methods="".join(_METHODS[name] for name in sorted(provided(parts.training))),
    )
    return replace(parts, network=Part(_IMPORTS, code.strip("\n")))


def provided(training: Part) -> frozenset[str]:
    """The methods that a host has because training methods call them."""
    return frozenset(name for name in _METHODS if f"self.{name}(" in training.code)

"""The host: the smallest network that training methods can train.

Runs of ``learn`` compare how weights move, which does not depend on the network. On a host with a batch norm and a
linear layer they take a fraction of the time.
"""

from collections.abc import Mapping
from textwrap import indent

from lrgen.records import Part, Parts
from lrgen.verify.parts.names import layers_of, names_of, no_decay_of, outputs_of

_IMPORTS = ("import torch", "import torch.nn as nn", "from torch import Tensor")
_FILE = '''{imports}


def supported_hyperparameters() -> set[str]:
    return {{{hyperparameters}}}


{schedule}

{classes}

class Net(nn.Module):
    """Linear layers."""

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
{layers}

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
{forward}
{methods}
{training}
'''
# Methods of a network, besides those of torch, that training methods may call.
_METHODS = {
    "kl_divergence": '''
    def kl_divergence(self) -> Tensor:
        """Return half the squared norm of the weights."""
        return 0.5 * sum(param.square().sum() for param in self.parameters())
'''
}


def host_of(parts: Parts) -> str:
    """The text of a file with a host in place of its network."""
    listed = layers_of(parts.training)
    layers, forward = _listed(listed) if listed else _plain(parts.training)
    names = names_of(parts.schedule).prm | names_of(parts.training, methods=True).prm
    return _FILE.format(
        imports="\n".join(sorted({*_IMPORTS, *parts.schedule.imports, *parts.training.imports})),
        hyperparameters=", ".join(f'"{name}"' for name in sorted(names - {"epoch", "epoch_max"})),
        schedule=parts.schedule.code,
        classes=parts.training.classes,
        layers=indent("\n".join(layers), 8 * " "),
        forward=indent("\n".join(forward), 8 * " "),
        methods="".join(_METHODS[name] for name in sorted(_methods(parts.training))),
        training=parts.training.code,
    )


def provided(training: Part) -> frozenset[str]:
    """The attributes that a host has because training methods need them."""
    layers = layers_of(training) if outputs_of(training) == 1 else {}
    return _methods(training) | layers.keys()


def _plain(training: Part) -> tuple[list[str], list[str]]:
    """The layers of a host, and its forward pass: a batch norm, a linear layer, and an auxiliary one an output."""
    extra = [f"extra_{end}" for end in no_decay_of(training)]
    auxiliary = [f"aux{number}" for number in range(1, outputs_of(training))]
    # Methods that average the weights of a network without batch norms renew no statistics.
    bare = "self.average.eval()" in training.code and "if self.average.eval()" not in training.code
    layers = [
        "self.bn = nn.Identity()" if bare else "self.bn = nn.BatchNorm2d(channels)",
        "self.fc = nn.Linear(channels, out_shape[0])",
        *(f"self.{name.removesuffix('.weight')} = {_module(name)}" for name in extra),
        *(f"self.{name} = nn.Linear(channels, out_shape[0])" for name in auxiliary),
    ]
    outputs = ", ".join(["self.fc(x)", *(f"self.{name}(x)" for name in auxiliary)])
    forward = [
        f"x = self.bn(x).mean(dim=(2, 3)){''.join(f' + self.{name}' for name in extra)}",
        f"return ({outputs}) if self.training else self.fc(x)" if auxiliary else "return self.fc(x)",
    ]
    return layers, forward


def _module(name: str) -> str:
    """A parameter with a row of channels, or the module that has it as its ``weight``."""
    return "nn.Embedding(1, channels)" if name.endswith(".weight") else "nn.Parameter(torch.zeros(1, channels))"


def _listed(listed: Mapping[str, bool]) -> tuple[list[str], list[str]]:
    """The layers of a host, and its forward pass: those that layer-wise training methods list, in their order."""
    *names, last = listed
    layers, forward = [], ["x = x.mean(dim=(2, 3))"]
    for name in names:
        linear = "nn.Linear(channels, channels)"
        layers.append(f"self.{name} = nn.Sequential({linear}, {linear})" if listed[name] else f"self.{name} = {linear}")
        forward.append(f"x = self.{name}(x)")
    return [*layers, f"self.{last} = nn.Linear(channels, out_shape[0])"], [*forward, f"return self.{last}(x)"]


def _methods(training: Part) -> frozenset[str]:
    return frozenset(name for name in _METHODS if f"self.{name}(" in training.code)

"""Images per second in float32, bfloat16 and float16: the same networks with the same schedule.

    python -m benchmarks.precision [--device cuda:0] [--batches 30] [--model ResNet --model ResNet18]

A file is trained as it is rendered, on images that are on the device already. One epoch warms up; the fastest of three
epochs counts. On a GPU, float32 is as torch has it by default, without TF32 in matrix products.
"""

import argparse
import time
from collections.abc import Iterable, Iterator
from types import ModuleType

import torch

from lrgen import catalogue as catalogues
from lrgen.errors import DeviceError
from lrgen.records import Architecture, PracticeKind, Variant
from lrgen.render.renderer import Renderer
from lrgen.verify.plan import resolve_device

MODELS = ("ResNet", "ResNet18", "ConvNeXt", "VisionTransformer")
_SCHEDULE = "OneCycleLR_default"
_EPOCHS = 3
_PIXELS, _CLASSES = 32, 100


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--batches", type=int, default=30)
    parser.add_argument("--model", action="append")
    arguments = parser.parse_args()
    try:
        device = torch.device(resolve_device(arguments.device))
    except DeviceError as error:
        parser.exit(2, f"error: {error}\n")
    table(catalogues.load(), arguments.model or MODELS, device, arguments.batches)


def table(catalogue: catalogues.Catalogue, models: Iterable[str], device: torch.device, batches: int) -> None:
    """Print a row for each network: the images per second in each precision, and how many times those of float32."""
    renderer = Renderer(catalogue)
    variants = dict(_variants(catalogue))
    print(f"  {'images per second':20}{''.join(f'{name:>12}' for name in variants)}")
    for name in models:
        architecture = catalogue.architecture(name)
        pace = {}
        for precision, variant in variants.items():
            text = renderer.render(architecture, variant).text
            pace[precision] = images_per_second(text, architecture, variant, device, batches)
        first = pace["float32"]
        cells = "".join(f"{value:12,.0f}" for value in pace.values())
        factors = ", ".join(f"{key} × {value / first:.2f}" for key, value in pace.items() if key != "float32")
        print(f"  {name:20}{cells}   {factors}", flush=True)


def images_per_second(
    text: str, architecture: Architecture, variant: Variant, device: torch.device, batches: int
) -> float:
    """The images per second of the fastest epoch of a file's ``learn``."""
    module = ModuleType("measured")
    exec(compile(text, "measured.py", "exec"), module.__dict__)
    size = architecture.recipe.batch
    prm = architecture.recipe.prm_for(variant) | {"epoch_max": _EPOCHS + 1}
    net = module.Net((size, 3, _PIXELS, _PIXELS), (_CLASSES,), prm, device)
    net.train_setup(prm)
    images = torch.randn(size, 3, _PIXELS, _PIXELS, device=device)
    train_data = [(images, torch.arange(size, device=device) % _CLASSES)] * batches
    net.learn(train_data)
    seconds = []
    for _ in range(_EPOCHS):
        begun = time.perf_counter()
        net.learn(train_data)  # it ends with numbers on the CPU: the device has finished
        seconds.append(time.perf_counter() - begun)
    return size * batches / min(seconds)


def _variants(catalogue: catalogues.Catalogue) -> Iterator[tuple[str, Variant]]:
    """The schedule in float32, and with each practice of precision."""
    plain = catalogue.variant(_SCHEDULE)
    yield "float32", plain
    for variant in catalogue.of_practice(PracticeKind.PRECISION):
        if variant.schedule == plain.number and variant.practice:
            yield variant.practice.name, variant


if __name__ == "__main__":
    main()

"""Mutations of mixed precision: common mistakes with autocast and with the gradient scaler."""

import re
from collections.abc import Iterator

from lrgen.finetune.replacing import Mutation, replaced, substituted
from lrgen.source.edit import Code

_AUTOCAST = re.compile(
    r"^            with torch\.autocast\(self\.device\.type, dtype=torch\.\w+\):\n((?: {16}.*\n)+)", re.MULTILINE
)
_SETS_LOSS = re.compile(r"^ {16}loss = ", re.MULTILINE)
_BACKWARD = re.compile(r"^            (?:self\.scaler\.scale\(loss\)|loss)\.backward\(\)\n", re.MULTILINE)
_CREATED = "        self.scaler = torch.amp.GradScaler(self.device.type)\n"
_SCALED = "            self.scaler.scale(loss).backward()\n"
_PLAIN = "            loss.backward()\n"
_UNSCALED = "            self.scaler.unscale_(self.optimizer)\n"
_READ = "            scale = self.scaler.get_scale()\n"
_STEP = "            self.scaler.step(self.optimizer)\n"
_PLAIN_STEP = "            self.optimizer.step()\n"
_UPDATE = "            self.scaler.update()\n"
_GUARD = """\
            # A skipped update halves the scale, and the schedule waits.
            if self.scaler.get_scale() >= scale:
                self.scheduler.step()
"""
_ADVANCE = "            self.scheduler.step()\n"
_CLIP = "            nn.utils.clip_grad_norm_(self.parameters(), max_norm=1.0)\n"
_TRAIN = "        self.train()\n        correct"


def _dedented(body: str) -> str:
    return re.sub(r"^    ", "", body, flags=re.MULTILINE)


def _without_autocast(code: Code) -> Iterator[str]:
    for match in _AUTOCAST.finditer(code.text):
        yield code.text[: match.start()] + _dedented(match[1]) + code.text[match.end() :]


def _around_loss(code: Code) -> Iterator[str]:
    for match in _AUTOCAST.finditer(code.text):
        if loss := _SETS_LOSS.search(match[1]):
            head = match[0].removesuffix(match[1])
            changed = _dedented(match[1][: loss.start()]) + head + match[1][loss.start() :]
            yield code.text[: match.start()] + changed + code.text[match.end() :]


def _around_backward(code: Code) -> Iterator[str]:
    for match in _AUTOCAST.finditer(code.text):
        if backward := _BACKWARD.match(code.text, match.end()):
            changed = _dedented(match[1]) + match[0].removesuffix(match[1]) + f"    {backward[0]}"
            yield code.text[: match.start()] + changed + code.text[backward.end() :]


def _other_dtype(code: Code) -> Iterator[str]:
    for match in re.finditer(r"(?<=, dtype=torch\.)b?float16(?=\):\n)", code.text):
        other = "float16" if match[0] == "bfloat16" else "bfloat16"
        yield code.text[: match.start()] + other + code.text[match.end() :]


def _in_half(code: Code) -> Iterator[str]:
    if dtype := re.search(r"torch\.autocast\(.*, dtype=(torch\.b?float16)\)", code.text):
        yield from replaced(("        self.to(self.device)\n", f"        self.to(self.device, {dtype[1]})\n"))(code)


def _without_scaler(code: Code) -> Iterator[str]:
    if _SCALED in code.text:
        text = code.text.replace(_SCALED, _PLAIN).replace(_STEP, _PLAIN_STEP).replace(_GUARD, _ADVANCE)
        for line in (_CREATED, _UNSCALED, _READ, _UPDATE):
            text = text.replace(line, "")
        yield text


def _with_scaler(code: Code) -> Iterator[str]:
    if "dtype=torch.bfloat16" in code.text:
        yield from substituted(
            (r"^(?=        self\.optimizer = )", _CREATED),
            (f"^{re.escape(_PLAIN)}", _SCALED),
            (f"^{re.escape(_PLAIN_STEP)}", _STEP + _UPDATE),
        )(code)


def _scaled_clipped(code: Code) -> Iterator[str]:
    if "clip_grad" not in code.text:
        yield from replaced((_SCALED, _SCALED + _CLIP))(code)


OF_PRECISION: tuple[tuple[str, Mutation], ...] = (
    ("without autocast", _without_autocast),
    ("autocast around the loss alone", _around_loss),
    ("autocast around the backward pass", _around_backward),
    ("other 16-bit type", _other_dtype),
    ("weights in 16 bits", _in_half),
    (
        "device not checked for the precision",
        substituted(
            (
                r"^        if not .*:\n            raise RuntimeError\((?:\n +)?f\".*mixed precision.*\"(?:\n +)?\)\n",
                "",
            )
        ),
    ),
    ("scaler with bfloat16", _with_scaler),
    ("float16 without a scaler", _without_scaler),
    ("loss not scaled", replaced((_SCALED, _PLAIN))),
    ("optimizer stepped without the scaler", replaced((_STEP, _PLAIN_STEP))),
    ("scale not updated", replaced((_UPDATE, ""))),
    ("scaler created every epoch", replaced((_TRAIN, _CREATED + _TRAIN), (_SCALED, _SCALED))),
    ("scheduler stepped with a skipped update", replaced((_READ, ""), (_GUARD, _ADVANCE))),
    ("scale read after the update", replaced((_READ + _STEP + _UPDATE, _STEP + _UPDATE + _READ))),
    ("scheduler waits for a higher scale", replaced(("get_scale() >= scale", "get_scale() > scale"))),
    ("clipped without unscaling", replaced((_UNSCALED, ""))),
    ("clipped without unscaling", _scaled_clipped),
    ("clipped before unscaling", replaced((_UNSCALED + _CLIP, _CLIP + _UNSCALED))),
)

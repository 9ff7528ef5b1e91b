"""Mutations of label smoothing and of mixed images: common mistakes with the targets of the loss."""

import re

from lrgen.finetune.replacing import Mutation, replaced, substituted

_VALUE = r'label_smoothing=(prm\.get\("label_smoothing", [\d.]+\))\s*'
_CRITERION = rf"nn\.CrossEntropyLoss\(\s*{_VALUE}\)"
_LOSS = "            loss = self.criterion(logits, labels)\n"
_SMOOTHED = r"^        self\.criterion = " + _CRITERION
_KEPT = r"        self.label_smoothing = \1\n        self.criterion = nn.CrossEntropyLoss("
_TWICE = r"""            targets = nn.functional.one_hot(labels, logits.shape[1]).float()
            targets *= 1 - self.label_smoothing
            targets += self.label_smoothing / logits.shape[1]
            loss = self.criterion(logits, targets)
"""
_OTHERS = r"""            share = self.label_smoothing / (logits.shape[1] - 1)
            targets = torch.full_like(logits, share)
            targets.scatter_(1, labels[:, None], 1 - self.label_smoothing)
            loss = self.criterion(logits, targets)
"""
_NOT_ONE = r"""            loss = (1 - self.label_smoothing) * self.criterion(logits, labels)
"""


def _by_hand(criterion: str, loss: str) -> Mutation:
    """Smooth the labels in ``learn``, with this criterion."""
    return substituted((_SMOOTHED, f"{_KEPT}{criterion})"), (f"^{re.escape(_LOSS)}", loss))


OF_LABEL_SMOOTHING: tuple[tuple[str, Mutation], ...] = (
    ("labels not smoothed", substituted((_CRITERION, "nn.CrossEntropyLoss()"))),
    (
        "labels not smoothed",
        substituted((_SMOOTHED, r"\g<0>"), (r"self\.criterion\((?=logits, labels\))", "F.cross_entropy(")),
    ),
    ("probability of the label smoothed away", substituted((_VALUE, r"label_smoothing=1 - \1"))),
    ("labels smoothed twice", _by_hand(r"label_smoothing=\1", _TWICE)),
    ("smoothed over the other classes alone", _by_hand("", _OTHERS)),
    ("smoothed labels do not add up to one", _by_hand("", _NOT_ONE)),
)

_MIX = "            images, other_labels, lam = self.mix(images, labels)\n"
_MIXED_LOSS = "self.mixed_loss(logits, labels, other_labels, lam)"
_FIRST = "        loss = lam * self.criterion(logits, labels)\n"
_SECOND = "        return loss + (1 - lam) * self.criterion(logits, other_labels)\n"
_DRAWN = "self.mixing.sample().item()"
_SUM = "        return lam * images + (1 - lam) * images[other], labels[other], lam\n"
_BOX = "        lam = 1 - (bottom - top) * (right - left) / (height * width)\n"
_CENTER = "        y, x = int(torch.randint(height, ())), int(torch.randint(width, ()))\n"
_IN_PLACE = """\
        images.copy_(lam * images + (1 - lam) * images[other])
        return images, labels[other], lam
"""

OF_MIXUP: tuple[tuple[str, Mutation], ...] = (
    ("labels not mixed", replaced((_MIXED_LOSS, "self.criterion(logits, labels)"))),
    ("images not mixed", replaced((_MIX, _MIX.replace("images,", "_,", 1)))),
    (
        "weights of the labels swapped",
        replaced((_FIRST, _FIRST.replace("lam", "(1 - lam)")), (_SECOND, _SECOND.replace("(1 - lam)", "lam"))),
    ),
    ("weights of the labels do not add up to one", replaced((_SECOND, _SECOND.replace("(1 - lam) * ", "")))),
    ("equal weights of the labels", replaced((_MIXED_LOSS, _MIXED_LOSS.replace("lam", "0.5")))),
    ("weight drawn again for the labels", replaced((_MIXED_LOSS, _MIXED_LOSS.replace("lam", _DRAWN)))),
    ("labels in another order than the images", replaced((", labels[other], lam", ", labels.flip(0), lam"))),
    (
        "images in another order than the labels",
        replaced((_SUM, _SUM.replace("images[other]", "images.flip(0)"))),
    ),
    (
        "images in another order than the labels",
        replaced(("= images[other, :, top:bottom", "= images.flip(0)[:, :, top:bottom")),
    ),
    ("weights drawn uniformly", replaced((_DRAWN, "torch.rand(()).item()"))),
    ("images of the loader changed", replaced((_SUM, _IN_PLACE))),
    ("images of the loader changed", replaced(("        mixed = images.clone()\n", "        mixed = images\n"))),
    ("weight of the box before it is cut", replaced((_BOX, "        lam = 1 - side**2\n"))),
    ("weight of the box itself", replaced((_BOX, _BOX.replace("1 - (", "(")))),
    ("area of the box used as its side", replaced((f"(1 - {_DRAWN}) ** 0.5", f"1 - {_DRAWN}"))),
    ("box in the middle of the image", replaced((_CENTER, "        y, x = height // 2, width // 2\n"))),
)

"""Files that claim mixup or CutMix: those that do it, and one for each way of doing something else, with its reason."""

import pytest

from lrgen.verify.checks.failure import CheckFailure
from tests.verify.checks.faulty import Fault

MIXUP, MIXUP_BATCH, CUTMIX, CUTMIX_BATCH = (
    "mixup_multistep",
    "mixup_cosine_warmup",
    "cutmix_multistep",
    "cutmix_cosine_warmup",
)
MIX = "images, other_labels, lam = self.mix(images, labels)"
LOSS = "loss = self.mixed_loss(logits, labels, other_labels, lam)"
SUM = "lam * images + (1 - lam) * images[other], labels[other], lam"
LAM = "        lam = 1 - (bottom - top) * (right - left) / (height * width)\n"
ANY = {
    "unmixed labels": Fault("the labels are not mixed", {LOSS: "loss = self.criterion(logits, labels)"}),
    "swapped weights": Fault(
        "the weights of the two labels are swapped",
        {LOSS: LOSS.replace("labels, other_labels", "other_labels, labels")},
    ),
    "another weight of the labels": Fault(
        "a label has the weight .* where its image has", {LOSS: LOSS.replace("lam", "0.5")}
    ),
    "weights drawn again": Fault(
        "a label has the weight .* where its image has", {LOSS: LOSS.replace("lam", "self.mixing.sample().item()")}
    ),
    "the labels of others": Fault(
        "a label is mixed with that of another image than the pixels",
        {LOSS: LOSS.replace("other_labels", "other_labels.roll(1)")},
    ),
    "unmixed images": Fault("the images are not mixed", {MIX: MIX.replace("images, other_labels", "_, other_labels")}),
    "a constant weight": Fault("are not drawn by .*_alpha=", {"self.mixing.sample().item()": "0.3"}),
    "a constant parameter": Fault("are not drawn by .*_alpha=", {"Beta(alpha, alpha)": "Beta(4.0, 4.0)"}),
    "two images of a batch": Fault(
        "of the images of a batch are mixed with no other one",
        {
            "other = torch.randperm(len(images), device=images.device)": "other = torch.arange(len(images))\n"
            "        other[:2] = torch.tensor([1, 0])"
        },
    ),
    "twice the parameter": Fault("are not drawn by .*_alpha=", {"Beta(alpha, alpha)": "Beta(2 * alpha, 2 * alpha)"}),
    "half the parameter": Fault("are not drawn by .*_alpha=", {"Beta(alpha, alpha)": "Beta(alpha / 2, alpha / 2)"}),
}
OF_MIXUP = ANY | {
    "images of another batch": Fault(
        "no mixture of two images of its batch", {"images[other], labels": "images[other].flip(3), labels"}
    ),
    "too bright": Fault("no mixture of two images of its batch", {SUM: SUM.replace("(1 - lam)", "(1.5 - lam)")}),
    "half of the batches": Fault(
        "are not drawn by mixup_alpha=0.2",
        {"lam = self.mixing.sample().item()": "lam = self.mixing.sample().item() if torch.rand(()) < 0.4 else 1.0"},
    ),
    "in place": Fault(
        "learn changes the images of its caller",
        {
            f"return {SUM}": "images.copy_(lam * images + (1 - lam) * images[other])\n"
            "        return images, labels[other], lam"
        },
    ),
}
OF_CUTMIX = ANY | {
    "the area that was drawn": Fault(
        "a label has the weight .* where its image has", {LAM: "        lam = 1 - side**2\n"}
    ),
    "the area of the box": Fault(
        "the weights of the two labels are swapped", {LAM: LAM.replace("1 - (bottom", "(bottom")}
    ),
    "a box of another size": Fault("are not drawn by cutmix_alpha", {".item()) ** 0.5": ".item()) ** 2"}),
    "a box at the corner": Fault(
        "are not drawn by cutmix_alpha",
        {"y, x = int(torch.randint(height, ())), int(torch.randint(width, ()))": "y, x = 0, 0"},
    ),
    "two boxes": Fault(
        "no mixture of two images of its batch",
        {
            "        other = torch": "        mixed = None\n        other = torch",
            "        # The border": "        mixed[:, :, :1] = mixed.flip(0)[:, :, :1]\n        # The border",
        },
    ),
    "in place": Fault("learn changes the images of its caller", {"images.clone()": "images"}),
}
IN_BOTH = [(CUTMIX, name) for name in ANY]  # the fast tests look at mixup for these
OF_EACH = {(MIXUP, name): fault for name, fault in OF_MIXUP.items()}
OF_EACH |= {(CUTMIX, name): fault for name, fault in OF_CUTMIX.items()}


@pytest.mark.parametrize(
    "name", [MIXUP, CUTMIX_BATCH, *(pytest.param(name, marks=pytest.mark.slow) for name in (MIXUP_BATCH, CUTMIX))]
)
def test_rendered_files_mix_images_and_labels_alike(check, text_of, name):
    """Images and labels of a rendered file are mixed by the same weights, which have their distribution."""
    assert check(text_of(name), name) == ["the weights of images and labels were compared in 1224 batches"]


def test_each_image_may_have_a_weight_of_its_own(check, text_of):
    """A file that draws a weight for each image, as some implementations of mixup do, passes."""
    of_images = Fault(
        "",
        {
            "self.mixing.sample().item()": "self.mixing.sample((len(images), 1, 1, 1))",
            "labels[other], lam": "labels[other], lam.flatten()",
            "loss = lam * self.criterion(logits, labels)": (
                'loss = lam * nn.functional.cross_entropy(logits, labels, reduction="none")'
            ),
            "return loss + (1 - lam) * self.criterion(logits, other_labels)": (
                'others = nn.functional.cross_entropy(logits, other_labels, reduction="none")\n'
                "        return (loss + (1 - lam) * others).mean()"
            ),
            "correct += lam * (predictions == labels).sum()": "correct += (lam * (predictions == labels)).sum()",
            "correct += (1 - lam) * (predictions == other_labels).sum()": (
                "correct += ((1 - lam) * (predictions == other_labels)).sum()"
            ),
        },
    )
    assert check(of_images.of(text_of(MIXUP)), MIXUP)


def test_images_may_be_mixed_in_reversed_order(check, text_of):
    """A file that mixes a batch with itself in reversed order, as timm does, passes."""
    flipped = Fault("", {"torch.randperm(len(images), device=images.device)": "torch.arange(len(images) - 1, -1, -1)"})
    assert check(flipped.of(text_of(CUTMIX)), CUTMIX)


@pytest.mark.parametrize(
    ("name", "fault"),
    [pytest.param(*case, marks=[pytest.mark.slow] if case in IN_BOTH else [], id="-".join(case)) for case in OF_EACH],
)
def test_each_fault_fails_with_its_reason(check, text_of, name, fault):
    """A file that claims to mix and has one fault fails, and the reason names the fault."""
    wrong = OF_EACH[name, fault]
    with pytest.raises(CheckFailure, match=wrong.reason):
        check(wrong.of(text_of(name)), name)

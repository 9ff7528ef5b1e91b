"""Files that keep their practice only where a check may look, or change what others see of it: none passes."""

import pytest

from lrgen.verify.checks.failure import CheckFailure
from tests.verify.checks.faulty import Fault

AUTOCAST = "dtype=torch.bfloat16):"
CLIP = "nn.utils.clip_grad_norm_(self.parameters(), max_norm=0.5)"
CRITERION = "loss = self.criterion(logits, labels)"
MIXED = "loss = self.mixed_loss(logits, labels, other_labels, lam)"
ORDERED = "        batch_size = len(batches[0][1])\n"
IN_FLOAT32 = "learn computes in float32, expected autocast to bfloat16"
UNSMOOTHED = r"the labels are not smoothed \(label_smoothing="
UNCLIPPED = "expected at most 0.5: it is not clipped before the step"
OTHER_OUTPUT = "the output in evaluation mode is not that of the weights that learn leaves behind"
HOSTILE = {
    "autocast in epochs of one batch": (
        "bf16_step",
        Fault(IN_FLOAT32, {AUTOCAST: "dtype=torch.bfloat16, enabled=len(train_data) == 1):"}),
    ),
    "autocast in the first batch": (
        "bf16_step",
        Fault(IN_FLOAT32, {AUTOCAST: "dtype=torch.bfloat16, enabled=num_samples == 0):"}),
    ),
    "autocast and scaler switched off": (
        "fp16_step",
        Fault(
            "learn computes in float32, expected autocast to float16",
            {"dtype=torch.float16):": "dtype=torch.float16, enabled=False):", "type)\n": "type, enabled=False)\n"},
        ),
    ),
    "autocast of torch replaced": (
        "bf16_step",
        Fault(
            "forward computes in bfloat16 outside learn as well, or never",
            {
                "        self.criterion": (
                    "        torch.autocast = lambda *_, **__: torch.enable_grad()\n        self.criterion"
                )
            },
        ),
    ),
    "an average that copies": (
        "ema_cosine",
        Fault(
            "evaluated with the weights of the last update, not with their average",
            {"lerp_(value, 1 - decay)": "copy_(value)"},
        ),
    ),
    "trained weights in evaluation mode": (
        "ema_cosine",
        Fault(
            OTHER_OUTPUT,
            {
                "    def learn(\n": "    def train(self, mode: bool = True) -> nn.Module:\n"
                '        if not mode and hasattr(self, "ema") and self.ema.weights:\n'
                "            self.load_state_dict(self.ema.weights)\n"
                "        return super().train(mode)\n\n"
                "    def learn(\n"
            },
        ),
    ),
    "trained weights in a second network": (
        "ema_cosine",
        Fault(
            OTHER_OUTPUT,
            {
                "        x = self.blocks(self.stem(x))\n": (
                    '        if not self.training and hasattr(self, "ema") and self.ema.weights:\n'
                    "            return torch.func.functional_call(self.raw, self.ema.weights, (x,))\n"
                    "        x = self.blocks(self.stem(x))\n"
                ),
                "        self.ema = Exp": '        self.__dict__["raw"] = copy.deepcopy(self)\n'
                "        self.raw.train()\n"
                "        self.ema = Exp",
            },
        ),
    ),
    "statistics in epochs of two batches": (
        "swa_multistep",
        Fault(
            "the batch norm statistics are not updated for the averaged weights",
            {"if self.average.eval():": "if self.average.eval() and len(train_data) == 2:"},
        ),
    ),
    "statistics of no batch": (
        "swa_multistep",
        Fault("the batch norm statistics are not", {"update_bn(train_data, self": "update_bn([], self"}),
    ),
    "accumulated gradients divided twice": (
        "accumulate_4_cosine",
        Fault(
            "it is 0.25 times that of its",
            {"(loss * len(labels)).backward()": "(loss / self.accumulation_steps * len(labels)).backward()"},
        ),
    ),
    "clipping of torch replaced": (
        "clip_norm_step",
        Fault(
            UNCLIPPED,
            {
                "        self.criterion =": (
                    "        nn.utils.clip_grad_norm_ = lambda *_, **__: None\n        self.criterion ="
                )
            },
        ),
    ),
    "small gradients alone clipped": (
        "clip_norm_step",
        Fault(
            UNCLIPPED,
            {CLIP: f"if nn.utils.get_total_norm([p.grad for p in self.parameters()]) < 5:\n    {' ' * 12}{CLIP}"},
        ),
    ),
    "an attribute of the criterion": (
        "label_smoothing_exponential",
        Fault(UNSMOOTHED, {CRITERION: "loss = nn.functional.cross_entropy(logits, labels)"}),
    ),
    "small batches alone smoothed": (
        "label_smoothing_exponential",
        Fault(
            UNSMOOTHED,
            {
                CRITERION: f"{CRITERION}\n            if len(labels) > 8:\n"
                "                loss = nn.functional.cross_entropy(logits, labels)"
            },
        ),
    ),
    "criterion of torch replaced": (
        "label_smoothing_exponential",
        Fault(
            UNSMOOTHED,
            {
                "        self.optimizer =": (
                    "        nn.CrossEntropyLoss.forward = lambda _, x, y: nn.functional.cross_entropy(x, y)\n"
                    "        self.optimizer ="
                )
            },
        ),
    ),
    "the order of the data": (
        "easy_first_linear_multistep",
        Fault("expected one with the loss", {ORDERED: f"        order = torch.arange(len(order))\n{ORDERED}"}),
    ),
    "the order of the data in many batches": (
        "easy_first_linear_multistep",
        Fault(
            "expected one with the loss",
            {ORDERED: f"        if len(batches) > 7:\n            order = torch.arange(len(order))\n{ORDERED}"},
        ),
    ),
    "the order of the data in a long training": (
        "easy_first_linear_multistep",
        Fault(
            "expected one with the loss",
            {ORDERED: f"        if self.epochs > 10:\n            order = torch.arange(len(order))\n{ORDERED}"},
        ),
    ),
    "labels mixed the other way": (
        "mixup_multistep",
        Fault("the weights of the two labels are swapped", {MIXED: MIXED.replace("lam", "1 - lam")}),
    ),
    "labels of large batches mixed the other way": (
        "mixup_multistep",
        Fault(
            "the weights of the two labels are swapped",
            {MIXED: MIXED.replace("lam", "1 - lam if len(labels) > 7 else lam")},
        ),
    ),
    "labels of later epochs mixed the other way": (
        "cutmix_multistep",
        Fault(
            "the weights of the two labels are swapped",
            {MIXED: MIXED.replace("lam", "1 - lam if self.scheduler.last_epoch > 5 else lam")},
        ),
    ),
}
SLOW = {
    "labels mixed the other way",
    "the order of the data in a long training",
    "labels of large batches mixed the other way",
    "labels of later epochs mixed the other way",
}


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        pytest.param(name, fault, id=words, marks=[pytest.mark.slow] if words in SLOW else [])
        for words, (name, fault) in HOSTILE.items()
    ],
)
def test_a_hostile_file_fails_with_its_reason(check, text_of, name, fault):
    """A file that has its practice in some batches, epochs or modes only fails, and the reason names what it does."""
    with pytest.raises(CheckFailure, match=fault.reason):
        check(fault.of(text_of(name)), name)

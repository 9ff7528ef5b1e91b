"""Mutations of accumulation: common mistakes with gradients that are added up over several batches."""

from lrgen.finetune.replacing import Mutation, replaced

_SUMMED = """\
            # The loss is a mean; sums over images add up to that of the large batch.
            (loss * len(labels)).backward()
"""
_COUNTED = "            num_accumulated += len(labels)\n"
_MEAN = """\
                for param in self.parameters():
                    if param.grad is not None:
                        param.grad /= num_accumulated
"""
_WHEN = "            if batch % self.accumulation_steps == 0 or batch == len(train_data):\n"
_ZEROED = "                self.optimizer.zero_grad()\n                num_accumulated = 0\n"
_LOGITS = "            images, labels = images.to(self.device), labels.to(self.device)\n"
_ADVANCED = "                self.scheduler.step()\n            correct"
_UPDATES = "epochs * math.ceil(len(train_data) / self.accumulation_steps)"

OF_ACCUMULATION: tuple[tuple[str, Mutation], ...] = (
    (
        "gradients of batches summed",
        replaced((_SUMMED, "            loss.backward()\n"), (_MEAN, "")),
    ),
    (
        "loss divided by the number of batches",
        replaced((_SUMMED, "            (loss / self.accumulation_steps).backward()\n"), (_MEAN, "")),
    ),
    (
        "mean over batches of several sizes",
        replaced((_SUMMED, "            loss.backward()\n"), (_COUNTED, "            num_accumulated += 1\n")),
    ),
    (
        "gradients zeroed in every batch",
        replaced((_COUNTED, _COUNTED), (_LOGITS, f"{_LOGITS}            self.optimizer.zero_grad()\n")),
    ),
    ("gradients kept after the update", replaced((_ZEROED, "                num_accumulated = 0\n"))),
    ("images of earlier updates counted", replaced((_ZEROED, "                self.optimizer.zero_grad()\n"))),
    ("last batches without an update", replaced((_WHEN, _WHEN.replace(" or batch == len(train_data)", "")))),
    ("update one batch early", replaced(("enumerate(train_data, start=1)", "enumerate(train_data)"))),
    (
        "scheduler stepped for each accumulated batch",
        replaced((_COUNTED, _COUNTED), (_ADVANCED, "            self.scheduler.step()\n            correct")),
    ),
    ("horizon in batches instead of updates", replaced((_UPDATES, "epochs * len(train_data)"))),
    (
        "horizon without the last updates",
        replaced((_UPDATES, "epochs * max(1, len(train_data) // self.accumulation_steps)")),
    ),
)

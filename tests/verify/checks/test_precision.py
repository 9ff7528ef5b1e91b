"""Files that claim mixed precision: those that are, and one for each way of being none, with its reason."""

from dataclasses import dataclass

import pytest

from lrgen.verify.checks.failure import CheckFailure

BF16, FP16_EPOCH, FP16_BATCH = "bf16_onecycle", "fp16_cosine", "fp16_onecycle"


@pytest.mark.parametrize("name", [BF16, FP16_EPOCH, FP16_BATCH])
def test_rendered_files_have_the_precision_that_they_claim(check, text_of, name):
    """A rendered file computes in the 16 bits of its practice; its scaler halves, doubles and is resumed."""
    evidence = check(text_of(name), name)
    dtype = "bfloat16" if name == BF16 else "float16"
    assert evidence[0] == f"the gradients of an update are those of autocast to {dtype}"
    assert len(evidence) == (1 if name == BF16 else 2)


@dataclass(frozen=True)
class Fault:
    """A change of a rendered file, and the pattern of the reason for which the check fails."""

    variant: str
    old: str
    new: str
    reason: str


UPDATE = """            self.scaler.scale(loss).backward()
            scale = self.scaler.get_scale()
            self.scaler.step(self.optimizer)
            self.scaler.update()
"""
GUARD = """            if self.scaler.get_scale() >= scale:
                self.scheduler.step()
"""
FAULTS = {
    "no autocast": Fault(
        BF16, "torch.bfloat16):", "torch.bfloat16, enabled=False):", "learn computes in float32, expected autocast to"
    ),
    "the other dtype": Fault(
        BF16, "dtype=torch.bfloat16", "dtype=torch.float16", "learn computes in float16, expected autocast to bfloat16"
    ),
    "the criterion alone": Fault(
        BF16,
        "                logits = self(images)\n",
        "                with torch.autocast(self.device.type, enabled=False):\n"
        "                    logits = self(images)\n",
        "learn computes in float32, expected autocast to bfloat16",
    ),
    "a network in 16 bits": Fault(
        BF16,
        "        self.to(self.device)\n",
        "        self.to(self.device, torch.bfloat16)\n",
        "expected float32|raises RuntimeError|neither those of bfloat16",
    ),
    "autocast in forward": Fault(
        BF16,
        "    def forward(self, x: Tensor) -> Tensor:\n",
        '    @torch.autocast("cpu", dtype=torch.bfloat16)\n    def forward(self, x: Tensor) -> Tensor:\n',
        "the output of forward outside learn is bfloat16, expected float32",
    ),
    "a device that is not asked": Fault(
        BF16, "if not supported:", "if False:", "on a device without bfloat16 returns, expected a RuntimeError"
    ),
    "an error without the precision": Fault(
        BF16,
        "does not support mixed precision in bfloat16",
        "is not supported",
        "expected a RuntimeError that names device and precision",
    ),
    "a scaler that nothing needs": Fault(
        BF16,
        "            loss.backward()\n            self.optimizer.step()\n",
        "            (1024 * loss).backward()\n"
        "            for param in self.parameters():\n"
        "                param.grad /= 1024\n"
        "            self.optimizer.step()\n",
        "the loss is scaled by 1024: bfloat16 has the range of float32",
    ),
    "no scaler": Fault(
        FP16_EPOCH,
        "            self.scaler.scale(loss).backward()\n"
        "            self.scaler.step(self.optimizer)\n"
        "            self.scaler.update()\n",
        "            loss.backward()\n            self.optimizer.step()\n",
        "the optimizer makes a step in learn at batch .*, whose gradients are infinite",
    ),
    "the schedule counts batches": Fault(
        FP16_BATCH,
        GUARD,
        "            self.scheduler.step()\n",
        "the schedule advances with an update that is skipped, since its gradients are infinite",
    ),
    "the scale is never updated": Fault(
        FP16_EPOCH, "            self.scaler.update()\n", "", "the scale of the loss is .* expected half|raises"
    ),
    "a constant scale": Fault(
        FP16_EPOCH,
        "torch.amp.GradScaler(self.device.type)",
        "torch.amp.GradScaler(self.device.type, backoff_factor=0.99)",
        "the scale of the loss is [0-9.]+ after an overflow at [0-9.]+, expected half",
    ),
    "a scaler for each epoch": Fault(
        FP16_EPOCH,
        "        self.train()\n        correct",
        "        self.scaler = torch.amp.GradScaler(self.device.type)\n        self.train()\n        correct",
        "the scale of the loss is 65536 in a resumed run, expected 32768: it is lost",
    ),
    "a scaler without a state": Fault(
        FP16_EPOCH,
        "self.scaler",
        "self.amp[0]",
        "the scale of the loss is 65536 in a resumed run, expected 32768: it is lost",
    ),
    "a scale that never grows": Fault(
        FP16_EPOCH,
        "torch.amp.GradScaler(self.device.type)",
        "torch.amp.GradScaler(self.device.type, growth_factor=1.0001)",
        "after its growth interval, expected [0-9]+$",
    ),
    "scaled gradients are clipped": Fault(
        FP16_BATCH,
        UPDATE,
        UPDATE.replace(
            "            scale =",
            "            nn.utils.clip_grad_norm_(self.parameters(), max_norm=1.0)\n            scale =",
        ),
        "the gradients are clipped before they are unscaled: their limit changes with the scale of the loss",
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_each_fault_fails_with_its_reason(check, text_of, fault):
    """A file that claims mixed precision and has one fault fails, and the reason names the fault."""
    text = text_of(fault.variant)
    assert fault.old in text
    changed = text.replace(fault.old, fault.new)
    if "self.amp" in fault.new:
        changed = changed.replace(
            "self.amp[0] = torch.amp.GradScaler(self.device.type)",
            "self.amp = [torch.amp.GradScaler(self.device.type)]",
        )
    with pytest.raises(CheckFailure, match=fault.reason):
        check(changed, fault.variant)


def test_gradients_that_are_unscaled_may_be_clipped(check, text_of):
    """Clipping after unscale_ has one limit at every scale, and passes."""
    clipped = UPDATE.replace(
        "            scale =",
        "            self.scaler.unscale_(self.optimizer)\n"
        "            nn.utils.clip_grad_norm_(self.parameters(), max_norm=0.05)\n"
        "            scale =",
    )
    text = text_of(FP16_BATCH)
    assert UPDATE in text
    assert check(text.replace(UPDATE, clipped), FP16_BATCH)

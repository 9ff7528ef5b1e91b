"""The solver of task repair for practices: the fix of each mutation that follows from the practice in words."""

import re

from tests.finetune.tasks.repair_solver import Question, Solver, replaced

_LOOP = "            logits = self(images)\n            loss = self.criterion(logits, labels)\n"
_BLOCK = re.compile(r"^( +)with torch\.autocast\(.*\):\n((?:\1    .*\n)+)", re.MULTILINE)
_CREATED = "        self.scaler = torch.amp.GradScaler(self.device.type)\n"
_STEP = "            self.scaler.step(self.optimizer)\n"
_READ = "            scale = self.scaler.get_scale()\n"
_UPDATE = "            self.scaler.update()\n"
_GUARDED = "            if self.scaler.get_scale() >= scale:\n                self.scheduler.step()\n"
_ADVANCE = "            self.scheduler.step()\n"
_PLAIN_STEP = "            self.optimizer.step()\n"
_BACKWARD = "            loss.backward()\n"
_EVAL = "        self.ema.eval()\n"
_LOAD = "    def load_state_dict(self, state_dict: dict[str, Any]) -> None:\n"
_TRAINED = "        if self.weights:\n            self.net.load_state_dict(self.weights)\n"


def _dtype(question: Question) -> str:
    return "bfloat16" if "computed in bfloat16" in question.report else "float16"


def _under_autocast(question: Question) -> str:
    """Put the forward pass and the loss under autocast, and nothing else."""
    text = _BLOCK.sub(lambda match: re.sub(r"^    ", "", match[2], flags=re.MULTILINE), question.file)
    inside = re.sub(r"^", "    ", _LOOP.rstrip("\n"), flags=re.MULTILINE)
    head = f"            with torch.autocast(self.device.type, dtype=torch.{_dtype(question)}):\n"
    return text.replace(_LOOP, f"{head}{inside}\n")


def _other_dtype(question: Question) -> str:
    return re.sub(r"dtype=torch\.b?float16", f"dtype=torch.{_dtype(question)}", question.file)


def _with_scaler(question: Question) -> str:
    text = re.sub(r"^        self\.optimizer = .*\n", rf"\g<0>{_CREATED}", question.file, flags=re.MULTILINE)
    text = text.replace(_BACKWARD, "            self.scaler.scale(loss).backward()\n")
    if question.per_batch:
        return text.replace(_PLAIN_STEP + _ADVANCE, _READ + _STEP + _UPDATE + _GUARDED)
    return text.replace(_PLAIN_STEP, _STEP + _UPDATE)


def _guarded(question: Question) -> str:
    text = question.file.replace(_READ, "").replace(_STEP, _READ + _STEP)
    return text if _GUARDED in text else text.replace(_ADVANCE, _GUARDED)


def _in_use(question: Question) -> str:
    return question.file.replace(
        "        return num_examples\n\n    def updates_in",
        "        return min(num_examples, max(batch_size, examples))\n\n    def updates_in",
    )


def _order(question: Question) -> str:
    hard = "descending=True, " if "highest losses" in question.report else ""
    return re.sub(
        r"argsort\((?:descending=True, )?stable=True\)", f"argsort({hard}stable=True)", question.file, count=1
    )


def _counted(question: Question) -> str:
    """Take the epoch from the scheduler, which is saved."""
    own = r'^        self\.epoch = getattr\(self, "epoch", -1\) \+ 1\n        epoch = self\.epoch\n'
    steps = "self.scheduler.last_epoch"
    if question.per_batch:
        paced = "def epoch_after" in question.file
        steps = f"self.epoch_after({steps}, num_examples, batch_size)" if paced else f"{steps} // len(train_data)"
    return re.sub(own, f"        epoch = {steps}\n", question.file, flags=re.MULTILINE)


def _trained(question: Question) -> str:
    """Put the trained weights back before an epoch."""
    text = question.file
    if "self.ema" in text:
        copied = "        self.averages = copy.deepcopy(self.net.state_dict())\n"
        return text.replace(copied, copied + _TRAINED)
    copied = "            self.average = copy.deepcopy(self.net.state_dict())\n"
    return text.replace(copied, f"{copied}            self.net.load_state_dict(self.weights)\n")


def _restored(name: str, value: str) -> Solver:
    """Load a state that ``state_dict`` has, at its place."""

    def solve(question: Question) -> str:
        line = f"        self.{name} = {value}\n"
        head, load, body = question.file.rpartition(_LOAD)
        end = body.index("\n\n")
        kept = body[: end + 1]
        return head + load + (line + kept if name == "num_updates" else kept + line) + body[end + 1 :]

    return solve


def _smoothed(question: Question) -> str:
    default = question.default("label_smoothing")
    criterion = f'nn.CrossEntropyLoss(label_smoothing=prm.get("label_smoothing", {default}))'
    text = question.file.replace("F.cross_entropy(", "self.criterion(")
    return text.replace("nn.CrossEntropyLoss()", criterion)


def _clipped(question: Question) -> str:
    """Clip to the stated limit, between the backward pass and the update."""
    text = re.sub(r"^ +nn\.utils\.clip_grad.*\n", "", question.file, flags=re.MULTILINE)
    norm = re.search(r"norm is at most ([\d.]+\d)", question.report)
    value = re.search(r"clamped to \[-([\d.]+),", question.report)
    call = (
        f"norm_(self.parameters(), max_norm={norm[1]})" if norm else f"value_(self.parameters(), clip_value={value[1]})"
    )
    return text.replace(_BACKWARD, f"{_BACKWARD}            nn.utils.clip_grad_{call}\n")


def _accumulated(question: Question) -> str:
    """Divide the sums over images by their number, as the counter is there for."""
    text = question.file.replace(_BACKWARD, "            (loss * len(labels)).backward()\n")
    branch = "            if batch % self.accumulation_steps == 0 or batch == len(train_data):\n"
    mean = (
        "                for param in self.parameters():\n"
        "                    if param.grad is not None:\n"
        "                        param.grad /= num_accumulated\n"
    )
    return text.replace(branch, branch + mean)


def _after_each_update(question: Question) -> str:
    text = question.file.replace("            self.scheduler.step()\n            correct", "            correct")
    return text.replace("            correct +=", "                self.scheduler.step()\n            correct +=", 1)


def _setting(question: Question) -> str:
    """Read the hyperparameter that is supported and read nowhere, whose default the file has."""
    (name,) = question.unread
    default = re.escape(question.default(name))
    read = f'prm.get("{name}", {question.default(name)})'
    body = question.file.partition("    def train_setup(")[2]
    changed = re.sub(rf'(?<![\w.])(?<!", ){default}(?![\w.])', read, body, count=1)
    return question.file.replace(body, changed)


def _stated_default(question: Question) -> str:
    """Give each hyperparameter of ``train_setup`` its stated default."""

    def read(match: re.Match[str]) -> str:
        return (
            f'prm.get("{match[1]}", {question.default(match[1])})' if f"`{match[1]}`" in question.report else match[0]
        )

    return re.sub(r'prm\.get\(\s*"((?!epoch)\w+)", [\d.]+\s*\)', read, question.file)


def _plain(old: str, new: str) -> Solver:
    return lambda question: question.file.replace(old, new)


SOLVERS: dict[str, Solver] = {
    "without autocast": _under_autocast,
    "autocast around the loss alone": _under_autocast,
    "autocast around the backward pass": _under_autocast,
    "other 16-bit type": _other_dtype,
    "weights in 16 bits": replaced(r"self\.to\(self\.device, torch\.\w+\)", "self.to(self.device)"),
    "float16 without a scaler": _with_scaler,
    "loss not scaled": _plain(_BACKWARD, "            self.scaler.scale(loss).backward()\n"),
    "optimizer stepped without the scaler": _plain(_PLAIN_STEP, _STEP),
    "scale not updated": _plain(_STEP, _STEP + _UPDATE),
    "scheduler stepped with a skipped update": _guarded,
    "scale read after the update": _guarded,
    "all examples from the start": _in_use,
    "other order of the examples": _order,
    "losses in training mode": _plain(
        "        losses = []\n        with", "        losses = []\n        self.eval()\n        with"
    ),
    "pacing one epoch early": replaced(r"\(?epoch \+ 1\)?(?= [/>])", "epoch"),
    "number of examples rounded down": _plain("examples = math.floor(", "examples = math.ceil("),
    "window does not slide": _plain(
        "        start = 0\n", "        start = math.floor(progress * (len(order) - count) + 1e-9)\n"
    ),
    "epoch not restored": _counted,
    "weights differentiated": _plain("losses / threshold", "losses.detach() / threshold"),
    "average never updated": _plain(_PLAIN_STEP, f"{_PLAIN_STEP}            self.ema.update()\n"),
    "average updated before the optimizer": _plain(
        f"            self.ema.update()\n{_PLAIN_STEP}", f"{_PLAIN_STEP}            self.ema.update()\n"
    ),
    "decay and its complement swapped": _plain("lerp_(value, decay)", "lerp_(value, 1 - decay)"),
    "training continues from the average": _trained,
    "number of updates not restored": _restored("num_updates", 'state_dict["num_updates"]'),
    "trained weights not restored": _restored("weights", 'copy.deepcopy(state_dict["weights"])'),
    "averaged one epoch early": replaced(r"max\(0, (min\(.*\)) - 1\)$", r"\1"),
    "parts of average and epoch swapped": _plain("], 1 / (self", "], 1 - 1 / (self"),
    "labels not smoothed": _smoothed,
    "probability of the label smoothed away": _plain("label_smoothing=1 - ", "label_smoothing="),
    "labels not mixed": _plain(
        "self.criterion(logits, labels)\n            loss.b",
        "self.mixed_loss(logits, labels, other_labels, lam)\n            loss.b",
    ),
    "images not mixed": _plain("_, other_labels, lam", "images, other_labels, lam"),
    "weights of the labels swapped": lambda question: question.file.replace(
        "loss = (1 - lam) * self", "loss = lam * self"
    ).replace("loss + lam *", "loss + (1 - lam) *"),
    "weight of the box itself": _plain("lam = (bottom", "lam = 1 - (bottom"),
    "weights of the labels do not add up to one": _plain("loss + self.criterion", "loss + (1 - lam) * self.criterion"),
    "images of the loader changed": lambda question: question.file.replace(
        "        images.copy_(lam * images + (1 - lam) * images[other])\n        return images,",
        "        return lam * images + (1 - lam) * images[other],",
    ).replace("mixed = images\n", "mixed = images.clone()\n"),
    "gradients of batches summed": _accumulated,
    "gradients kept after the update": _plain(
        "                num_accumulated = 0\n",
        "                self.optimizer.zero_grad()\n                num_accumulated = 0\n",
    ),
    "last batches without an update": _plain(
        "self.accumulation_steps == 0:", "self.accumulation_steps == 0 or batch == len(train_data):"
    ),
    "scheduler stepped for each accumulated batch": _after_each_update,
    "horizon in batches instead of updates": _plain(
        "epochs * len(train_data)", "epochs * math.ceil(len(train_data) / self.accumulation_steps)"
    ),
    "gradients not clipped": _clipped,
    "clipped after the update": _clipped,
    "clipped before the backward pass": _clipped,
    "other limit of clipping": _clipped,
    "maximum norm clipped": _clipped,
    "setting of training not read": _setting,
    "wrong default of a setting": _stated_default,
}

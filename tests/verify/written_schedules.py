"""Files with known schedules in styles that no template has, as people write them.

Each entry is what differs from one small file: lines of ``train_setup``, lines of ``learn`` before, within and after
its loop, code at module level and further methods. ``expected`` are the variants that name its schedule rightly.
"""

import textwrap
from dataclasses import dataclass

NETWORK = """
import math

import torch
from torch import nn, optim
from torch.optim import lr_scheduler
{module}

def supported_hyperparameters():
    return {{"lr", "momentum"}}


class Net(nn.Module):
    def __init__(self, in_shape: tuple, out_shape: tuple, prm: dict, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.prm = prm
        self.epoch = 0
        self.updates = 0
        self.body = nn.Sequential(
            nn.Conv2d(in_shape[1], 8, 3, stride=2, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.head = nn.Linear(8, out_shape[0])

    def forward(self, x):
        return self.head(self.body(x))
{methods}
    def train_setup(self, prm):
        self.to(self.device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = {optimizer}
{setup}
    def learn(self, train_data):
        self.train()
        total, correct, count = 0.0, 0, 0
{before}
        for step, (images, labels) in enumerate(train_data):
            images, labels = images.to(self.device), labels.to(self.device)
{first}
            self.optimizer.zero_grad()
            outputs = {outputs}
            loss = self.criterion(outputs, labels)
            loss.backward()
{step}
{last}
            total += loss.item() * len(labels)
            correct += (outputs.argmax(dim=1) == labels).sum().item()
            count += len(labels)
{after}
        return correct / max(1, count), total / max(1, count)
"""

SGD = 'optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])'


@dataclass(frozen=True)
class Written:
    """The schedule of a file: the variants that are right, and its lines."""

    expected: tuple[int, ...]
    setup: str = ""
    before: str = ""
    first: str = ""
    last: str = ""
    after: str = ""
    module: str = ""
    methods: str = ""
    optimizer: str = SGD
    outputs: str = "self(images)"
    step: str = "self.optimizer.step()"

    @property
    def text(self) -> str:
        """The text of the file."""
        return NETWORK.format(
            module=_indented(self.module, 0),
            methods=_indented(self.methods, 4),
            optimizer=self.optimizer,
            outputs=self.outputs,
            step=_indented(self.step, 12),
            setup=_indented(self.setup, 8),
            before=_indented(self.before, 8),
            first=_indented(self.first, 12),
            last=_indented(self.last, 12),
            after=_indented(self.after, 8),
        )


def _indented(code: str, spaces: int) -> str:
    return textwrap.indent(textwrap.dedent(code).strip("\n"), " " * spaces)


STEP = "self.scheduler.step()"
COUNT = "self.epoch += 1"

WARMUP_COSINE = (37, 43, 94, 104)
WARMUP_CONSTANT = (15, 40, 49, 50)
COSINE = (6, 7, 26)
RESTARTS = (8, 9, 107, 108)
STEPS = (1, 24, 66)
MILESTONES = (2, 25, 61, 67)
PLATEAU = (31, 32, 33)
LINEAR = (17, 91, 92)
POLYNOMIAL = (4, 5, 29, 83)

WRITTEN: dict[str, Written] = {
    # torch's schedulers with a person's numbers.
    "step_lr_every_10": Written(
        STEPS, "self.scheduler = lr_scheduler.StepLR(self.optimizer, 10, gamma=0.5)", after=STEP
    ),
    "multi_step_lr": Written(
        MILESTONES,
        "self.sched = lr_scheduler.MultiStepLR(self.optimizer, [25, 50, 70], 0.2)",
        after="self.sched.step()",
    ),
    "exponential_lr": Written(
        (3, 71, 81),
        "self.lr_scheduler = lr_scheduler.ExponentialLR(self.optimizer, 0.93)",
        after="self.lr_scheduler.step()",
    ),
    "cosine_annealing_lr": Written(
        COSINE,
        'self.scheduler = lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=prm.get("epoch_max", 90), eta_min=1e-3)',
        after=STEP,
    ),
    "cosine_annealing_lr_of_200_epochs": Written(
        COSINE, "self.scheduler = lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=200)", after=STEP
    ),
    "cosine_annealing_lr_that_rises_again": Written(
        (119,), "self.scheduler = lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=15)", after=STEP
    ),
    "warm_restarts": Written(
        RESTARTS,
        "self.scheduler = lr_scheduler.CosineAnnealingWarmRestarts(self.optimizer, T_0=10, T_mult=2)",
        after=STEP,
    ),
    "warm_restarts_with_fractional_epochs": Written(
        RESTARTS,
        "self.scheduler = lr_scheduler.CosineAnnealingWarmRestarts(self.optimizer, T_0=30)",
        last="self.scheduler.step(self.epoch + (step + 1) / len(train_data))",
        after=COUNT,
    ),
    "one_cycle_lr_by_epochs": Written(
        (13, 14, 27, 129),
        """
            self.scheduler = lr_scheduler.OneCycleLR(
                self.optimizer, max_lr=10 * prm["lr"], total_steps=100, cycle_momentum=False
            )
        """,
        after=STEP,
    ),
    "one_cycle_lr_made_in_learn": Written(
        (13, 14, 27, 129),
        "self.scheduler = None",
        before="""
            if self.scheduler is None:
                self.scheduler = lr_scheduler.OneCycleLR(
                    self.optimizer, self.prm["lr"], pct_start=0.2, cycle_momentum=False,
                    epochs=self.prm.get("epoch_max", 90), steps_per_epoch=len(train_data),
                )
        """,
        last=STEP,
    ),
    "cyclic_lr": Written(
        (10, 28),
        """
            self.scheduler = lr_scheduler.CyclicLR(
                self.optimizer, 0.05 * prm["lr"], prm["lr"], step_size_up=25, cycle_momentum=False
            )
        """,
        last=STEP,
    ),
    "cyclic_lr_triangular2": Written(
        (11,),
        """
            self.scheduler = lr_scheduler.CyclicLR(
                self.optimizer, prm["lr"] / 100, prm["lr"], step_size_up=40, mode="triangular2", cycle_momentum=False
            )
        """,
        last=STEP,
    ),
    "polynomial_lr": Written(
        POLYNOMIAL, "self.scheduler = lr_scheduler.PolynomialLR(self.optimizer, total_iters=80, power=0.9)", after=STEP
    ),
    "linear_lr_default": Written(WARMUP_CONSTANT, "self.scheduler = lr_scheduler.LinearLR(self.optimizer)", after=STEP),
    "linear_lr_decay": Written(
        (*LINEAR, 36, 44),
        "self.scheduler = lr_scheduler.LinearLR(self.optimizer, 1.0, 0.05, total_iters=90)",
        after=STEP,
    ),
    "constant_lr": Written(
        (16, 51), "self.scheduler = lr_scheduler.ConstantLR(self.optimizer, factor=0.25, total_iters=8)", after=STEP
    ),
    "multiplicative_lr": Written(
        (3, 71, 81), "self.scheduler = lr_scheduler.MultiplicativeLR(self.optimizer, lambda epoch: 0.9)", after=STEP
    ),
    # Lambdas.
    "lambda_lr_of_steps": Written(
        STEPS, "self.scheduler = lr_scheduler.LambdaLR(self.optimizer, lambda e: 0.3 ** (e // 20))", after=STEP
    ),
    "lambda_lr_of_linear_decay": Written(
        (*LINEAR, 36, 44),
        'n = prm.get("epoch_max", 90)\nself.scheduler = lr_scheduler.LambdaLR(self.optimizer, lambda e: 1 - e / n)',
        after=STEP,
    ),
    "lambda_lr_of_cyclegan": Written(
        (132, 141),
        """
            def rule(epoch):
                return 1.0 - max(0, epoch - 45) / 46

            self.scheduler = lr_scheduler.LambdaLR(self.optimizer, lr_lambda=rule)
        """,
        after=STEP,
    ),
    "lambda_lr_of_inverse_time": Written(
        (75, 77), "self.scheduler = lr_scheduler.LambdaLR(self.optimizer, lambda e: 1 / (1 + 0.1 * e))", after=STEP
    ),
    "lambda_lr_of_polynomial": Written(
        POLYNOMIAL,
        "self.scheduler = lr_scheduler.LambdaLR(self.optimizer, lambda e: (1 - e / 100) ** 2)",
        after=STEP,
    ),
    "noam_lambda": Written(
        (147, 42),
        """
            def noam(step):
                step = max(step, 1)
                return 50 ** 0.5 * min(step ** -0.5, step * 50 ** -1.5)

            self.scheduler = lr_scheduler.LambdaLR(self.optimizer, noam)
        """,
        last=STEP,
    ),
    # Loops over parameter groups.
    "imagenet_adjust_learning_rate": Written(
        STEPS,
        module="""
            def adjust_learning_rate(optimizer, epoch, base):
                lr = base * (0.1 ** (epoch // 30))
                for param_group in optimizer.param_groups:
                    param_group["lr"] = lr
        """,
        before='adjust_learning_rate(self.optimizer, self.epoch, self.prm["lr"])',
        after=COUNT,
    ),
    "moco_adjust_learning_rate": Written(
        COSINE,
        before="""
            lr = self.prm["lr"] * 0.5 * (1.0 + math.cos(math.pi * self.epoch / self.prm.get("epoch_max", 90)))
            for group in self.optimizer.param_groups:
                group["lr"] = lr
        """,
        after=COUNT,
    ),
    "mae_adjust_learning_rate": Written(
        WARMUP_COSINE,
        module="""
            def adjust_learning_rate(optimizer, epoch, warmup_epochs, epochs, lr, min_lr):
                if epoch < warmup_epochs:
                    lr = lr * epoch / warmup_epochs
                else:
                    progress = (epoch - warmup_epochs) / (epochs - warmup_epochs)
                    lr = min_lr + (lr - min_lr) * 0.5 * (1.0 + math.cos(math.pi * progress))
                for group in optimizer.param_groups:
                    group["lr"] = lr
        """,
        first='adjust_learning_rate(self.optimizer, step / len(train_data) + self.epoch, 10, 90, self.prm["lr"], 0.0)',
        after=COUNT,
    ),
    "drops_at_listed_epochs": Written(
        MILESTONES,
        after="""
            self.epoch += 1
            if self.epoch in (40, 60, 80):
                for group in self.optimizer.param_groups:
                    group["lr"] *= 0.1
        """,
    ),
    "decay_of_each_update": Written(
        (3, 71, 81),
        last="""
            for group in self.optimizer.param_groups:
                group["lr"] = group["lr"] * 0.99
        """,
    ),
    "pytorch_tutorial_halving": Written(
        STEPS,
        before="""
            if self.epoch > 0 and self.epoch % 12 == 0:
                self.optimizer.param_groups[0]["lr"] /= 2
        """,
        after=COUNT,
    ),
    "single_drop_by_hand": Written(
        (30, 1, 24, *MILESTONES),
        after="""
            self.epoch += 1
            if self.epoch == 50:
                for g in self.optimizer.param_groups:
                    g["lr"] = self.prm["lr"] * 0.1
        """,
    ),
    "nanogpt_get_lr": Written(
        WARMUP_COSINE,
        methods="""

            def get_lr(self, it, warmup_iters=20, lr_decay_iters=360, ratio=0.1):
                lr = self.prm["lr"]
                if it < warmup_iters:
                    return lr * (it + 1) / (warmup_iters + 1)
                if it > lr_decay_iters:
                    return lr * ratio
                coeff = 0.5 * (1.0 + math.cos(math.pi * (it - warmup_iters) / (lr_decay_iters - warmup_iters)))
                return lr * ratio + coeff * (lr - lr * ratio)
        """,
        first="""
            for group in self.optimizer.param_groups:
                group["lr"] = self.get_lr(self.updates)
            self.updates += 1
        """,
    ),
    "warmup_by_hand_then_constant": Written(
        WARMUP_CONSTANT,
        first="""
            self.updates += 1
            if self.updates <= 40:
                for group in self.optimizer.param_groups:
                    group["lr"] = self.prm["lr"] * self.updates / 40
        """,
    ),
    "warmup_by_hand_then_steps": Written(
        (21, 58, 63),
        before="""
            scale = (self.epoch + 1) / 5 if self.epoch < 5 else 0.1 ** ((self.epoch >= 30) + (self.epoch >= 60))
            for group in self.optimizer.param_groups:
                group["lr"] = self.prm["lr"] * scale
        """,
        after=COUNT,
    ),
    # Combinations of torch's schedulers.
    "sequential_lr_warmup_cosine": Written(
        (*WARMUP_COSINE, 106),
        """
            warmup = lr_scheduler.LinearLR(self.optimizer, start_factor=0.01, total_iters=5)
            cosine = lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=85)
            self.scheduler = lr_scheduler.SequentialLR(self.optimizer, [warmup, cosine], milestones=[5])
        """,
        after=STEP,
    ),
    "sequential_lr_warmup_exponential": Written(
        (72, 168),
        """
            self.scheduler = lr_scheduler.SequentialLR(
                self.optimizer,
                [
                    lr_scheduler.LinearLR(self.optimizer, 0.1, total_iters=5),
                    lr_scheduler.ExponentialLR(self.optimizer, gamma=0.95),
                ],
                milestones=[5],
            )
        """,
        after=STEP,
    ),
    "chained_scheduler": Written(
        (168,),
        """
            self.scheduler = lr_scheduler.ChainedScheduler(
                [
                    lr_scheduler.LinearLR(self.optimizer, start_factor=0.2, total_iters=10),
                    lr_scheduler.ExponentialLR(self.optimizer, gamma=0.96),
                ]
            )
        """,
        after=STEP,
    ),
    "two_schedulers_in_a_list": Written(
        WARMUP_CONSTANT,
        """
            self.schedulers = [
                lr_scheduler.LinearLR(self.optimizer, start_factor=0.1, total_iters=10),
                lr_scheduler.ConstantLR(self.optimizer, factor=1.0),
            ]
        """,
        after="for scheduler in self.schedulers:\n    scheduler.step()",
    ),
    # Functions and classes of libraries, copied into the file.
    "transformers_cosine": Written(
        WARMUP_COSINE,
        "self.scheduler = get_cosine_schedule_with_warmup(self.optimizer, 30, 360)",
        last=STEP,
        module="""
            def get_cosine_schedule_with_warmup(
                optimizer, num_warmup_steps, num_training_steps, num_cycles=0.5, last_epoch=-1
            ):
                def lr_lambda(current_step):
                    if current_step < num_warmup_steps:
                        return float(current_step) / float(max(1, num_warmup_steps))
                    progress = float(current_step - num_warmup_steps) / float(
                        max(1, num_training_steps - num_warmup_steps)
                    )
                    return max(0.0, 0.5 * (1.0 + math.cos(math.pi * float(num_cycles) * 2.0 * progress)))

                return lr_scheduler.LambdaLR(optimizer, lr_lambda, last_epoch)
        """,
    ),
    "transformers_linear": Written(
        (36, 44),
        "self.scheduler = get_linear_schedule_with_warmup(self.optimizer, 20, 360)",
        last=STEP,
        module="""
            def get_linear_schedule_with_warmup(optimizer, num_warmup_steps, num_training_steps):
                def lr_lambda(step):
                    if step < num_warmup_steps:
                        return step / max(1, num_warmup_steps)
                    return max(0.0, (num_training_steps - step) / max(1, num_training_steps - num_warmup_steps))

                return lr_scheduler.LambdaLR(optimizer, lr_lambda)
        """,
    ),
    "transformers_inverse_sqrt": Written(
        (42, 147),
        "self.scheduler = get_inverse_sqrt_schedule(self.optimizer, 25)",
        last=STEP,
        module="""
            def get_inverse_sqrt_schedule(optimizer, num_warmup_steps, timescale=None):
                timescale = timescale or num_warmup_steps

                def lr_lambda(current_step):
                    if current_step < num_warmup_steps:
                        return current_step / max(1, num_warmup_steps)
                    return 1.0 / math.sqrt((current_step + timescale - num_warmup_steps) / timescale)

                return lr_scheduler.LambdaLR(optimizer, lr_lambda)
        """,
    ),
    "timm_cosine": Written(
        WARMUP_COSINE,
        'self.scheduler = CosineLRScheduler(self.optimizer, 90, prm["lr"] * 1e-3, 5, prm["lr"] * 1e-2)',
        after="self.epoch += 1\nself.scheduler.step(self.epoch)",
        module="""
            class CosineLRScheduler:
                def __init__(self, optimizer, t_initial, lr_min=0.0, warmup_t=0, warmup_lr_init=0.0, prefix=True):
                    self.optimizer, self.t_initial, self.lr_min = optimizer, t_initial, lr_min
                    self.warmup_t, self.warmup_lr_init, self.prefix = warmup_t, warmup_lr_init, prefix
                    self.base_values = [group["lr"] for group in optimizer.param_groups]
                    self.step(0)

                def _get_lr(self, t):
                    if t < self.warmup_t:
                        steps = [(v - self.warmup_lr_init) / self.warmup_t for v in self.base_values]
                        return [self.warmup_lr_init + t * s for s in steps]
                    if self.prefix:
                        t = t - self.warmup_t
                    span = self.t_initial - (self.warmup_t if self.prefix else 0)
                    return [
                        self.lr_min + 0.5 * (v - self.lr_min) * (1 + math.cos(math.pi * min(t, span) / span))
                        for v in self.base_values
                    ]

                def step(self, epoch, metric=None):
                    for group, lr in zip(self.optimizer.param_groups, self._get_lr(epoch)):
                        group["lr"] = lr
        """,
    ),
    "fairseq_polynomial": Written(
        (36, 44, 39, 47, 48),
        "self.scheduler = PolynomialDecay(self.optimizer, prm['lr'])",
        last="self.updates += 1\nself.scheduler.step_update(self.updates)",
        module="""
            class PolynomialDecay:
                def __init__(self, optimizer, lr, warmup_updates=36, total=360, end=0.0, power=1.0):
                    self.optimizer, self.lr, self.warmup, self.total = optimizer, lr, warmup_updates, total
                    self.end, self.power = end, power
                    self.step_update(0)

                def step_update(self, num_updates):
                    if num_updates <= self.warmup:
                        lr = self.lr * num_updates / self.warmup
                    elif num_updates >= self.total:
                        lr = self.end
                    else:
                        left = 1 - (num_updates - self.warmup) / (self.total - self.warmup)
                        lr = (self.lr - self.end) * left**self.power + self.end
                    for group in self.optimizer.param_groups:
                        group["lr"] = lr
        """,
    ),
    "gradual_warmup_scheduler": Written(
        (*WARMUP_COSINE, 106),
        """
            after = lr_scheduler.CosineAnnealingLR(self.optimizer, 80)
            self.scheduler = GradualWarmupScheduler(self.optimizer, 10, after)
        """,
        after=STEP,
        module="""
            class GradualWarmupScheduler(lr_scheduler.LRScheduler):
                def __init__(self, optimizer, total_epoch, after_scheduler):
                    self.total_epoch, self.after_scheduler = total_epoch, after_scheduler
                    super().__init__(optimizer)

                def get_lr(self):
                    if self.last_epoch >= self.total_epoch:
                        return self.after_scheduler.get_last_lr()
                    return [base * (self.last_epoch + 1) / self.total_epoch for base in self.base_lrs]

                def step(self, epoch=None):
                    if self.last_epoch >= self.total_epoch:
                        self.after_scheduler.step()
                    super().step()
        """,
    ),
    "own_lr_scheduler_class": Written(
        (132, 133, 137, 136),
        "self.scheduler = WarmupStableDecay(self.optimizer)",
        last=STEP,
        module="""
            class WarmupStableDecay(lr_scheduler._LRScheduler):
                def get_lr(self):
                    t = self.last_epoch
                    scale = min(1.0, t / 20) if t < 260 else max(0.0, (360 - t) / 100)
                    return [base * scale for base in self.base_lrs]
        """,
    ),
    "lightning_like": Written(
        COSINE,
        """
            configured = self.configure_optimizers()
            self.optimizer = configured["optimizer"]
            self.lr_schedulers = [configured["lr_scheduler"]]
        """,
        methods="""

            def configure_optimizers(self):
                optimizer = optim.SGD(self.parameters(), lr=self.prm["lr"], momentum=self.prm["momentum"])
                scheduler = lr_scheduler.CosineAnnealingLR(optimizer, T_max=90)
                return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "epoch"}}

            def on_train_epoch_end(self):
                for entry in self.lr_schedulers:
                    if entry["interval"] == "epoch":
                        entry["scheduler"].step()
        """,
        after="self.on_train_epoch_end()",
    ),
    "two_groups_one_schedule": Written(
        MILESTONES,
        "self.scheduler = lr_scheduler.MultiStepLR(self.optimizer, milestones=[30, 70])",
        after=STEP,
        optimizer="""optim.SGD(
            [{"params": self.body.parameters(), "lr": prm["lr"] * 0.1}, {"params": self.head.parameters()}],
            lr=prm["lr"], momentum=prm["momentum"],
        )""",
    ),
    # Driven by a metric.
    "reduce_lr_on_plateau": Written(
        PLATEAU,
        'self.scheduler = lr_scheduler.ReduceLROnPlateau(self.optimizer, "min", factor=0.2, patience=7)',
        after="self.scheduler.step(total / count)",
    ),
    "reduce_lr_on_plateau_of_the_accuracy": Written(
        (157,),
        'self.scheduler = lr_scheduler.ReduceLROnPlateau(self.optimizer, mode="max", factor=0.5, patience=4)',
        after="self.scheduler.step(correct / count)",
    ),
    "plateau_by_hand": Written(
        PLATEAU,
        "self.best, self.bad = float('inf'), 0",
        after="""
            mean = total / count
            if mean < self.best:
                self.best, self.bad = mean, 0
            else:
                self.bad += 1
            if self.bad > 6:
                self.bad = 0
                for group in self.optimizer.param_groups:
                    group["lr"] *= 0.5
        """,
    ),
    "plateau_in_an_own_class": Written(
        PLATEAU,
        "self.lr_policy = Halve(self.optimizer)",
        after="self.lr_policy.update(total / count)",
        module="""
            class Halve:
                def __init__(self, optimizer, patience=9):
                    self.optimizer, self.patience, self.best, self.count = optimizer, patience, None, 0

                def update(self, loss):
                    if self.best is None or loss < self.best:
                        self.best, self.count = loss, 0
                        return
                    self.count += 1
                    if self.count > self.patience:
                        self.count = 0
                        for group in self.optimizer.param_groups:
                            group["lr"] = max(group["lr"] * 0.5, 1e-6)
        """,
    ),
}

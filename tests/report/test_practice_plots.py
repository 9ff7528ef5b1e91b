"""The figures of practices show what torch and the files do."""

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from lrgen import catalogue, schedules
from lrgen.report import average_plots, target_plots, update_plots
from lrgen.report.plots import pyplot
from lrgen.report.practice_plots import DRAWINGS, loss_scales
from lrgen.verify.checks.averages import MovingAverage

PRACTICES = catalogue.load().practices
CLIPPING = [practice for practice in PRACTICES if practice.kind == "clipping"]


@pytest.mark.parametrize("overflows", [(), (0, 1, 2), (3,), (2, 5, 6), (4, 9)])
def test_the_scale_of_the_loss_is_that_of_torch(overflows):
    """The scale at each step is that of a GradScaler whose gradients overflow at the same steps."""
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=3)
    scales = []
    for step in range(12):
        scales.append(scaler.get_scale())
        optimizer.zero_grad()
        scaler.scale(weight.sum() * (float("inf") if step in overflows else 1.0)).backward()
        scaler.step(optimizer)
        scaler.update()
    assert loss_scales(overflows, 12, first=256.0, growth_interval=3).tolist() == scales


@pytest.mark.parametrize(("every", "batches"), [(1, 11), (2, 11), (4, 11), (4, 3), (3, 9)])
def test_the_rate_of_accumulation_is_that_of_a_loop(every, batches):
    """The rate at each batch is that of a loop that updates and advances after ``every`` batches and after the last."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    updates = 3 * -(-batches // every)
    scheduler = schedules.wsd_linear(optimizer, updates, warmup_fraction=0.2, decay_fraction=0.4)
    rates = []
    for _ in range(3):
        for batch in range(1, batches + 1):
            rates.append(optimizer.param_groups[0]["lr"])
            if batch % every == 0 or batch == batches:
                optimizer.step()
                scheduler.step()
    assert update_plots.accumulated_rates(every, 3, batches).tolist() == pytest.approx(rates)


@pytest.mark.parametrize("practice", CLIPPING, ids=lambda practice: practice.name)
def test_a_gradient_is_clipped_as_torch_does(practice):
    """The clipped gradients below, at and above the limit are those of torch."""
    gradients = np.array([[0, 0], [0.03, -0.04], [0.1, 0.0], [0.3, -0.4], [0.09, 2.0], [-3.0, 4.0]])
    expected = []
    for gradient in gradients:
        weight = torch.nn.Parameter(torch.zeros(2))
        weight.grad = torch.tensor(gradient, dtype=torch.float32)
        if practice.name == "clip_norm":
            torch.nn.utils.clip_grad_norm_([weight], practice.constants["max_norm"])
        else:
            torch.nn.utils.clip_grad_value_([weight], practice.constants["clip_value"])
        expected.append(weight.grad.numpy())
    assert update_plots.clipped(practice, gradients) == pytest.approx(np.array(expected), abs=1e-5)


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.999, 1.0])
def test_the_weights_of_a_moving_average_are_those_of_the_check(decay):
    """The average of unit vectors is how much each of them counts, also in the recurrence of the check."""
    average = MovingAverage(decay)
    average.start(np.eye(31)[0])
    for row in np.eye(31)[1:]:
        average.update(row)
    assert average_plots.weights_in_average(average_plots.moving_decays(decay, 30)) == pytest.approx(average.values)


@pytest.mark.parametrize(("start", "count"), [(0, 1), (0, 6), (3, 4), (3, 9)])
def test_the_weights_of_a_mean_are_those_of_torch(start, count):
    """The mean of the epochs after ``start`` counts each epoch as torch's AveragedModel does."""
    model = torch.nn.Linear(count + 1, 1, bias=False)
    averaged = AveragedModel(model)
    for epoch in range(1, count + 1):
        with torch.no_grad():
            model.weight.copy_(torch.eye(count + 1)[epoch])
        if epoch > start:
            averaged.update_parameters(model)
    weights = average_plots.weights_in_average(average_plots.mean_decays(start, count))
    assert weights == pytest.approx(averaged.module.weight.detach().numpy()[0], abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_a_smoothed_label_has_the_target_and_the_loss_of_torch(smoothing):
    """The target is softmax minus the gradient at the logits, and the loss is that of torch, at each probability."""
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)
    for probability in (0.2, 0.5, 0.97):
        probabilities = torch.full((1, 5), (1 - probability) / 4, dtype=torch.float64)
        probabilities[0, 2] = probability
        logits = probabilities.log().requires_grad_()
        loss = criterion(logits, torch.tensor([2]))
        loss.backward()
        target = (probabilities - logits.grad)[0].numpy()
        assert target_plots.smoothed_target(smoothing, 5, 2) == pytest.approx(target)
        assert target_plots.smoothed_loss(np.array([probability]), smoothing, 5) == pytest.approx([loss.item()])


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0, 3.0])
def test_the_density_of_a_weight_is_that_of_torch(alpha):
    """The density is that of torch's beta distribution, from which the files draw."""
    weights = np.linspace(0.01, 0.99, 33)
    expected = torch.distributions.Beta(alpha, alpha).log_prob(torch.tensor(weights)).exp().numpy()
    assert target_plots.beta_density(weights, alpha) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", [kind for kind in DRAWINGS if kind not in ("precision", "curriculum")])
def test_each_practice_is_in_the_figure_of_its_kind(kind):
    """The figure of a kind has a line or a bar with the name of each of its practices."""
    plt = pyplot(".svg")
    members = [practice for practice in PRACTICES if practice.kind == kind]
    figure = DRAWINGS[kind](plt, members)
    labels = [label for axis in figure.axes for label in axis.get_legend_handles_labels()[1]]
    plt.close(figure)
    assert members
    assert all(any(label.split(",")[0] == practice.name for label in labels) for practice in members)

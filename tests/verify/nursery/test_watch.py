"""Notes of sampled weights, settings and gradients during a call of ``learn``."""

import io

import numpy as np
import pytest
import torch
from torch import nn

from lrgen.verify.nursery.watch import Watch, settings_of

POSITIONS = np.array([0, 5, 1])  # two weights of the first parameter, one of the second
COUNTS = np.array([2, 1])


def net() -> nn.Module:
    """Two parameters, eight weights."""
    built = nn.Linear(3, 2)
    built.optimizer = torch.optim.SGD(built.parameters(), lr=0.1, momentum=0.9)
    return built


def step(built: nn.Module, gradient: float = 1.0) -> None:
    for parameter in built.parameters():
        parameter.grad = torch.full_like(parameter, gradient)
    built.optimizer.step()


def test_events_hold_the_sampled_weights():
    """Before each batch, at the end and after learn, the notes hold the weights at the sampled positions."""
    built = net()
    with Watch(built, POSITIONS, COUNTS, False, set()) as watch:
        expected = []

        def note() -> None:
            expected.append([built.weight.flatten()[0].item(), built.weight.flatten()[5].item(), built.bias[1].item()])

        note()
        for index in range(2):
            watch.before_batch(index)
            note()
            step(built)
        watch.at_end()
        note()
    note()
    values, (weights, gradients, present) = watch.taken()
    assert [event["kind"] for event in values["events"]] == ["start", "batch", "batch", "end", "return"]
    assert [event["steps"] for event in values["events"]] == [0, 0, 1, 2, 2]
    np.testing.assert_array_equal(weights, np.array(expected, dtype=np.float32))
    assert (len(gradients), len(present)) == (0, 0)


def test_the_digest_shows_a_weight_that_is_not_sampled():
    """Between the start and the end of learn a change of any weight changes the digest."""
    digests = []
    for change in (0.0, 1e-6):
        torch.manual_seed(0)
        built = net()
        with Watch(built, POSITIONS, COUNTS, False, set()) as watch, torch.no_grad():
            built.weight[1, 0] += change
        events = watch.taken()[0]["events"]
        digests.append(events[0]["digest"] == events[-1]["digest"])
    assert digests == [True, False]


def test_steps_hold_rates_settings_and_gradients():
    """At each step of the optimizer the notes hold learning rates, gradients, their norm, and settings that change."""
    built = net()
    with Watch(built, POSITIONS, COUNTS, True, set()) as watch:
        step(built, 2.0)
        built.optimizer.param_groups[0]["lr"] = 0.05
        step(built, 3.0)
        built.optimizer.param_groups[0]["momentum"] = 0.5
        built.bias.grad = None
        built.optimizer.step()
    steps = watch.taken()[0]["steps"]
    _, gradients, present = watch.taken()[1]
    assert [entry["rates"] for entry in steps] == [[0.1], [0.05], [0.05]]
    assert [entry["settings"] and entry["settings"][0]["momentum"] for entry in steps] == [0.9, None, 0.5]
    np.testing.assert_array_equal(gradients, [[2, 2, 2], [3, 3, 3], [3, 3, 0]])
    np.testing.assert_array_equal(present, [[1, 1], [1, 1], [1, 0]])
    assert steps[0]["norm"] == pytest.approx(2.0 * np.sqrt(8))
    assert steps[2]["norm"] == pytest.approx(3.0 * np.sqrt(6))


def test_the_whole_state_is_saved_before_the_batches_asked_for():
    """Before the batches of ``whole`` the state of the network is saved, as it is then."""
    built = net()
    with Watch(built, POSITIONS, COUNTS, False, {1}) as watch:
        for index in range(2):
            watch.before_batch(index)
            step(built)
    values, (*_, state) = watch.taken()
    assert values["saved"] == [1]
    loaded = torch.load(io.BytesIO(state.tobytes()), weights_only=True)["net"]
    np.testing.assert_array_equal(loaded["weight"].flatten()[[0, 5]], watch.taken()[1][0][2][:2])


def test_a_call_that_raises_is_not_noted_to_its_end():
    """Where learn raises, no further steps are noted and the exception goes on."""
    built = net()
    with pytest.raises(ZeroDivisionError), Watch(built, POSITIONS, COUNTS, False, set()) as watch:
        raise ZeroDivisionError
    step(built)
    values, _ = watch.taken()
    assert [event["kind"] for event in values["events"]] == ["start"]
    assert values["steps"] == []


def test_settings_are_numbers_without_learning_rates():
    """The settings of a group are its numbers and tuples of numbers; a tensor of one number counts as one."""
    group = {"params": [], "lr": 0.1, "initial_lr": 0.1, "betas": (0.9, 0.999), "eps": torch.tensor(0.5)}
    assert settings_of({**group, "foreach": None, "name": "layer", 3: 4, "fused": False}) == {
        "betas": [0.9, 0.999],
        "eps": 0.5,
        "foreach": None,
        "fused": False,
    }

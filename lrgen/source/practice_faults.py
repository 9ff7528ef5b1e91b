"""Faults of practices that the text of a file shows: calls that are missing beside others."""

import ast
import re
from collections.abc import Iterator

from lrgen.source.practice_signs import called, calls, receiver


def faults(tree: ast.Module) -> Iterator[str]:
    """Sentences on calls that a practice needs and a file does not have, with what to add."""
    names = {called(call) for call in calls(tree)}
    yield from _of_scaler(tree, names)
    if "AveragedModel" in names and "update_parameters" not in names:
        yield "AveragedModel is never updated: call its update_parameters(model) after optimizer.step()"
    averages = any(_is_of_trained_network(call) for call in calls(tree) if called(call) == "AveragedModel")
    if averages and "update_bn" not in names and any(re.match(r"(Sync)?BatchNorm", name) for name in names):
        yield "the averaged weights need batch norm statistics of their own: call update_bn before they are evaluated"


def _is_of_trained_network(call: ast.Call) -> bool:
    """Whether an AveragedModel is the mean of a whole network's weights, and leaves its buffers as they are."""
    keywords = {keyword.arg for keyword in call.keywords}
    whole = bool(call.args) and isinstance(call.args[0], ast.Name)
    return whole and not keywords & {"avg_fn", "multi_avg_fn", "use_buffers"}


def _of_scaler(tree: ast.Module, names: set[str]) -> Iterator[str]:
    if "GradScaler" not in names:
        return
    of_scaler = {called(call) for call in calls(tree) if "scaler" in receiver(call).lower()}
    if "scale" not in of_scaler:
        yield "the loss is never scaled: call scaler.scale(loss).backward()"
        return
    if "step" in of_scaler and "update" not in of_scaler:
        yield "the scale of the loss never changes: call scaler.update() after scaler.step(optimizer)"
    if names & {"clip_grad_norm_", "clip_grad_value_"} and "unscale_" not in of_scaler:
        yield "scaled gradients are clipped: call scaler.unscale_(optimizer) before they are"


def guards_skipped_updates(tree: ast.Module) -> bool:
    """Whether a file looks at the scale of the loss, which tells updates that a gradient scaler skips."""
    return any(called(call) == "get_scale" for call in calls(tree)) or any(
        isinstance(node, ast.Attribute) and re.search(r"found_inf|skipped", node.attr) for node in ast.walk(tree)
    )

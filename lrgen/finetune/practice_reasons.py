"""Faults of practices in words: for each mutation the reason why a file with it is incorrect."""

REASONS = {
    # Mixed precision.
    "without autocast": (
        "The forward pass is not under `torch.autocast`[, so everything is computed|: all of it runs] in float32."
    ),
    "autocast around the loss alone": (
        "The forward pass is outside of the `torch.autocast` block[, so the network computes in float32|; only the "
        "loss is inside]."
    ),
    "autocast around the backward pass": (
        "`torch.autocast` is around the backward pass instead of the forward pass[, which runs in float32]."
    ),
    "other 16-bit type": "`torch.autocast` has the wrong dtype[ of 16 bits].",
    "weights in 16 bits": (
        "The [network|parameters] [is|are] converted to 16 bits, but [mixed precision keeps the parameters in "
        "float32|the "
        "parameters must stay in float32]."
    ),
    "device not checked for the precision": (
        "`train_setup` does not check that the device supports the precision[, so training would silently run in "
        "float32]."
    ),
    "scaler with bfloat16": (
        "A gradient scaler is not needed in bfloat16, which has the range of float32[, but the loss is scaled]."
    ),
    "float16 without a scaler": (
        "The gradient scaler is missing, which float16 needs[: small gradients vanish and overflows reach the weights]."
    ),
    "loss not scaled": "The loss is not scaled before the backward pass[, but the scaler unscales the gradients].",
    "optimizer stepped without the scaler": (
        "`optimizer.step()` is called directly[ instead of `scaler.step(optimizer)`][, with scaled gradients]."
    ),
    "scale not updated": "`scaler.update()` is never called[, so the scale does not change after an overflow].",
    "scaler created every epoch": (
        "[Every call of `learn` creates a new gradient scaler|The gradient scaler is created anew in every epoch], so "
        "[its scale is lost|the scale starts over]."
    ),
    "scheduler stepped with a skipped update": (
        "The scheduler is stepped even if the gradient scaler has skipped the update[ because of an overflow]."
    ),
    "scale read after the update": (
        "The scale is read after `scaler.update()`, so a skipped update is never noticed[ and the scheduler is "
        "stepped]."
    ),
    "scheduler waits for a higher scale": (
        "The scheduler is only stepped when the scale has grown; it must be stepped unless the scale [has fallen|is "
        "lower]."
    ),
    "clipped without unscaling": (
        "The gradients are clipped while they are scaled[; `scaler.unscale_(optimizer)` must come before|: the scaler "
        "has not unscaled them]."
    ),
    "clipped before unscaling": "The gradients are clipped before `scaler.unscale_`[, while they are still scaled].",
    # Curricula.
    "all examples from the start": "All examples are in use from the first epoch on[: there is no curriculum].",
    "other order of the examples": "The examples are sorted the wrong way round by their losses.",
    "order of the data instead of the losses": (
        "The examples are taken in the order of the data[, not in that of their losses|; their losses are not used]."
    ),
    "random order of the examples": "The order of the examples is random[ instead of that of their losses].",
    "losses of the first epoch kept": (
        "The order of the first epoch is kept, but the losses must be [those of the current weights|computed before "
        "each epoch]."
    ),
    "losses in training mode": (
        "The losses are computed in training mode[, with the statistics of each batch and with dropout]; "
        "`self.eval()` is missing."
    ),
    "training in evaluation mode": (
        "The network stays in evaluation mode after the losses are computed[, so batch norm and dropout do not train]."
    ),
    "pacing one epoch early": "The pacing is one epoch ahead: it uses `epoch + 1` instead of `epoch`.",
    "other pacing": "The number of examples grows by the wrong function of the progress.",
    "pacing over all of training": (
        "`full_fraction` is not used here, so the [pacing ends|growth ends] with the last epoch instead of before."
    ),
    "number of examples rounded down": "The number of examples is rounded down instead of up.",
    "fewer examples than a batch": "Nothing guarantees that an epoch has at least the examples of a batch.",
    "random examples of all": "The examples in use are drawn at random from all[, whatever their losses are].",
    "examples not shuffled": "The examples in use are not shuffled[, so the batches are sorted by loss].",
    "fractions not checked": "A fraction above 1, or of 0 and below, is not rejected.",
    "window does not slide": "The window stays at the start of the order[: its start is always 0].",
    "window slides beyond its end": (
        "The window begins at the progress times the number of all examples, so it [leaves|runs past the end of] the "
        "order."
    ),
    "window over all examples": "The examples are drawn from all instead of the window.",
    "classes not balanced": (
        "The order is that of the losses alone; it must alternate between the classes[, so that each has as many "
        "examples]."
    ),
    "horizon of all batches": (
        "The horizon counts all batches of `train_data`, but [an early epoch|an epoch] has only the updates of the "
        "examples in use."
    ),
    "epoch counted in all batches": (
        "The epoch is computed as if each had `len(train_data)` updates, but [the first ones have|an epoch may have] "
        "fewer."
    ),
    "epoch not restored": (
        "The epoch is counted in an attribute that no state holds[, so a resumed run starts at the first epoch]; it "
        "follows from the scheduler."
    ),
    "threshold from the first epoch": (
        "The threshold applies in the first epoch, when the losses [say little about the examples|are those of a new "
        "network]; all examples must count there."
    ),
    "threshold one epoch late": "All examples count in the first two epochs instead of the first alone.",
    "threshold does not rise": "The threshold is the same in each epoch[: its growth is not raised to the epoch].",
    "threshold rises linearly": "The threshold rises linearly instead of by a constant factor per epoch.",
    "threshold rises in every batch": (
        "The exponent is the number of updates instead of epochs[, so the threshold explodes]."
    ),
    "threshold without its unit": (
        "The threshold lacks its unit, twice the loss of a uniform guess[, which depends on the number of classes]."
    ),
    "hard examples count": "The examples above the threshold count instead of those below it.",
    "all examples count alike": "All examples count alike: [the weights are not used|the threshold has no effect].",
    "mean over all examples": (
        "The weighted losses are divided by the number of examples instead of the sum of the weights."
    ),
    "weights differentiated": (
        "The weights are not detached, so the gradient flows through them[; they must be constants]."
    ),
    "hard instead of soft weights": "The weights are 0 or 1 instead of falling linearly with the loss.",
    "batch without an example": (
        "If no loss [of a batch ]is below the threshold, nothing counts[ and the loss is not a number]; the easiest "
        "example must."
    ),
    "threshold not checked": "A value out of range is not rejected in `train_setup`.",
    # Averages of the weights.
    "average never updated": (
        "The moving average is never updated[, so the network is evaluated with its first weights]."
    ),
    "average updated before the optimizer": (
        "The moving average is updated before `optimizer.step()`[, so it lags one update behind]."
    ),
    "average updated once per epoch": "The moving average is updated once per epoch instead of after every update.",
    "decay and its complement swapped": (
        "The decay and one minus the decay are swapped[: the average is nearly the last weights]."
    ),
    "full decay from the first update": (
        "The decay is not lowered in the first updates[, so the average remembers the initial weights for long]."
    ),
    "average starts over every epoch": (
        "The average is copied from the trained weights at the start of each epoch, so it starts over."
    ),
    "trained weights evaluated": (
        "The network keeps the trained weights after an epoch[, so the average is never evaluated]."
    ),
    "training continues from the average": (
        "The trained weights are not put back before an epoch, so training continues from the average."
    ),
    "buffers not averaged": "Only parameters are averaged; the buffers[, the batch norm statistics,] stay behind.",
    "number of updates not restored": "`load_state_dict` does not restore `num_updates`.",
    "trained weights not restored": (
        "`load_state_dict` does not restore the trained weights[, so a resumed run trains the average]."
    ),
    "weights not copied": (
        "`state_dict()` returns references, not copies[: the tensors change with the network]; it needs "
        "`copy.deepcopy`."
    ),
    "averaged from the first epoch": (
        "The weights are averaged from the first epoch on instead of the last part of training."
    ),
    "averaged one epoch early": "The average begins one epoch too early.",
    "averaged one epoch late": "The average begins one epoch too late.",
    "epochs with unequal parts": "The epochs do not have equal parts in the average.",
    "parts of average and epoch swapped": "The parts of the average and of the new weights are swapped.",
    "weights of the last epoch alone": "The weights are never averaged[: the network keeps those of the last epoch].",
    "statistics of batch norm not updated": (
        "The batch norm statistics are not computed again for the averaged weights[; they are those of the trained "
        "ones]."
    ),
    "statistics of batch norm before the average": (
        "The batch norm statistics are computed before the weights are averaged[, so they belong to other weights]."
    ),
    "number of epochs not restored": "`load_state_dict` does not restore the number of epochs.",
    # Label smoothing.
    "labels not smoothed": "The [loss|training loss] has no label smoothing.",
    "probability of the label smoothed away": (
        "The criterion gets one minus `label_smoothing`[, so the label has almost no probability]."
    ),
    "labels smoothed twice": "The labels are smoothed twice: in `learn` and by the criterion.",
    "smoothed over the other classes alone": (
        "The probability is spread over the other classes alone instead of all classes."
    ),
    "smoothed labels do not add up to one": (
        "The loss of the label is scaled down, but the other classes get nothing[: the targets do not add up to one]."
    ),
    # Mixed images.
    "labels not mixed": "The loss is that of the images' own labels alone[; the other labels are not used].",
    "images not mixed": "The mixed images are discarded[: the network gets the original ones].",
    "weights of the labels swapped": "`lam` and `1 - lam` are swapped in the loss.",
    "weights of the labels do not add up to one": "The second loss has no weight; it must be `1 - lam`.",
    "equal weights of the labels": "Both labels have the weight 0.5 instead of `lam` and `1 - lam`.",
    "weight drawn again for the labels": (
        "The weight of the labels is drawn again[, so it is not that of the images]; it must be `lam`."
    ),
    "labels in another order than the images": "The other labels are not those of the images that are mixed in.",
    "images in another order than the labels": "The images that are mixed in are not those of the other labels.",
    "weights drawn uniformly": "The weight is drawn uniformly instead of from the beta distribution.",
    "images of the loader changed": (
        "The images are changed in place[, so a list of batches has mixed images ever after]."
    ),
    "weight of the box before it is cut": (
        "The weight is that of the whole box; the border of the image may cut it[, so it must be computed from the "
        "pixels]."
    ),
    "weight of the box itself": "`lam` is the fraction of the box instead of the pixels outside it.",
    "area of the box used as its side": "The area of the box is used as its side[; the root is missing].",
    "box in the middle of the image": "The box is always in the middle of the image instead of at a random place.",
    # Accumulation.
    "gradients of batches summed": (
        "The gradients of the batches are summed and never divided, so [an update|a step] is several times too large."
    ),
    "loss divided by the number of batches": (
        "[Each loss|The loss] is divided by `self.accumulation_steps`, which is wrong for the last update of an epoch "
        "and for batches of [several|other] sizes."
    ),
    "mean over batches of several sizes": (
        "The mean is taken over batches instead of images, so [a smaller last batch|the images of a smaller batch] "
        "[has|have] too much weight."
    ),
    "gradients zeroed in every batch": (
        "The gradients are zeroed in every batch, so an update has those of the last batch alone."
    ),
    "gradients kept after the update": (
        "The gradients are not zeroed after the update, so the next one [has|contains] them as well."
    ),
    "images of earlier updates counted": (
        "`num_accumulated` is not reset after an update, so later gradients are divided by too many images."
    ),
    "last batches without an update": (
        "The last batches of an epoch get no update if they are fewer than `self.accumulation_steps`."
    ),
    "update one batch early": (
        "The batches are counted from zero, so the first update has one batch alone[ and the last batches have none]."
    ),
    "scheduler stepped for each accumulated batch": (
        "The scheduler is stepped after every batch, but it advances once per update[, so the schedule runs ahead]."
    ),
    "horizon in batches instead of updates": (
        "The horizon counts batches, but the scheduler is stepped once per update[, so it never reaches its end]."
    ),
    "horizon without the last updates": (
        "The number of updates of an epoch is rounded down, which leaves out the update of the last batches."
    ),
    # Clipping.
    "gradients not clipped": "The gradients are not clipped[ before the update].",
    "clipped after the update": "The gradients are clipped after `optimizer.step()`, [when it has no effect|too late].",
    "clipped before the backward pass": (
        "The gradients are clipped before `loss.backward()`[, when there are none yet|: those of the update are not "
        "clipped]."
    ),
    "other limit of clipping": "The limit of the clipping is [wrong|not the one in the specification].",
    "maximum norm clipped": "The maximum norm of the gradients is clipped instead of their Euclidean norm.",
    "values clipped instead of the norm": (
        "The values of the gradients are clipped instead of their norm[, which changes their direction]."
    ),
    "norm clipped instead of the values": "The norm of the gradients is clipped instead of their values.",
    "values clipped at one end": "Only values above the limit are clipped[, not those below its negative].",
    # The hyperparameters of a practice.
    "setting of training not read": "{name} is hard-coded[; `prm` is not read|: its value in `prm` is ignored].",
    "wrong default of a setting": "The default of {name} is [wrong|not the one in the specification].",
}
"""The reason by mutation, as a template of lrgen.finetune.phrasing."""

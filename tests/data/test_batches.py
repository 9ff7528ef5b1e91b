"""Batches of images are augmented, normalised and shuffled as training and evaluation need them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrgen.data.batches import Batches, Scale, augment


def random_images(count: int = 50, channels: int = 3, pixels: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, pixels, pixels), dtype=torch.uint8, generator=generator)


def numbered_labels(count: int) -> torch.Tensor:
    return torch.arange(count)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_scale_is_that_of_all_pixels(channels):
    """Mean and standard deviation of each channel are those of the pixels scaled to [0, 1]."""
    images = random_images(channels=channels)
    exact = images.double() / 255
    scale = Scale.of(images)
    torch.testing.assert_close(scale.mean.double(), exact.mean(dim=(0, 2, 3)), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(scale.std.double(), exact.std(dim=(0, 2, 3), correction=0), rtol=1e-6, atol=1e-7)


def test_a_constant_channel_does_not_divide_by_zero():
    """Images of a single grey level give finite batches."""
    images = torch.full((10, 1, 4, 4), 7, dtype=torch.uint8)
    [(batch, _)] = Batches(images, numbered_labels(10), 10, Scale.of(images))
    assert bool(torch.isfinite(batch).all())


def test_without_a_seed_the_images_are_ordered_and_not_augmented():
    """Evaluation gets each image once, normalised, in channels-last memory format."""
    images, scale = random_images(), Scale.of(random_images())
    batches = list(Batches(images, numbered_labels(50), 16, scale, crop=2, flip=True))
    assert [len(labels) for _, labels in batches] == [16, 16, 16, 2]
    assert torch.cat([labels for _, labels in batches]).tolist() == list(range(50))
    expected = (images.float() / 255 - scale.mean.view(3, 1, 1)) / scale.std.view(3, 1, 1)
    torch.testing.assert_close(torch.cat([batch for batch, _ in batches]), expected, rtol=1e-5, atol=1e-5)
    assert all(batch.is_contiguous(memory_format=torch.channels_last) for batch, _ in batches)


def test_training_gets_every_image_once_per_epoch_in_a_new_order():
    """The order depends on the seed alone and differs between epochs."""
    images, scale = random_images(), Scale.of(random_images())
    first, second = (Batches(images, numbered_labels(50), 16, scale, seed=3, crop=2, flip=True) for _ in range(2))
    orders = []
    for _ in range(2):
        epochs = [list(batches) for batches in (first, second)]
        assert all(torch.equal(a, b) and torch.equal(x, y) for (a, x), (b, y) in zip(*epochs, strict=True))
        orders.append(torch.cat([labels for _, labels in epochs[0]]).tolist())
        assert sorted(orders[-1]) == list(range(50))
    assert orders[0] != orders[1]


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 5), st.booleans(), st.integers(0, 2**32), st.integers(1, 4), st.integers(6, 12), st.integers(6, 12)
)
def test_an_augmented_image_is_a_window_of_itself(crop, flip, seed, channels, height, width):
    """Each augmented image is a shifted, zero-padded and possibly mirrored copy of the original."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(1, 256, (4, height, width, channels), dtype=torch.uint8, generator=generator)
    augmented = augment(pixels, crop, flip, generator)
    assert augmented.shape == pixels.shape
    assert augmented.dtype is torch.uint8
    padded = torch.nn.functional.pad(pixels, (0, 0, crop, crop, crop, crop))
    for index in range(4):
        windows = [
            padded[index, down : down + height, right : right + width]
            for down in range(2 * crop + 1)
            for right in range(2 * crop + 1)
        ]
        windows += [window.flip(1) for window in windows] if flip else []
        assert any(torch.equal(augmented[index], window) for window in windows)


def test_every_shift_and_both_orientations_are_drawn():
    """About half of many images are mirrored, and every shift occurs."""
    column = torch.zeros(2000, 9, 9, 1, dtype=torch.uint8)
    column[:, 4, 2] = 1
    augmented = augment(column, 2, True, torch.Generator().manual_seed(0))
    rows, columns = (augmented[..., 0].sum(dim=axis).argmax(dim=1) for axis in (2, 1))
    assert set(rows.tolist()) == {2, 3, 4, 5, 6}
    assert set(columns.tolist()) == {0, 1, 2, 3, 4, 5, 6, 7, 8}
    mirrored = (columns > 4).float().mean().item()
    assert 0.45 < mirrored + (columns == 4).float().mean().item() / 2 < 0.55

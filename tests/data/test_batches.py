"""Images on the device as bytes: what a training gets of them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrgen.data.batches import Batches, Scale, augmented


def noise(count: int = 50, channels: int = 3, pixels: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, pixels, pixels), dtype=torch.uint8, generator=generator)


def numbered(count: int) -> torch.Tensor:
    return torch.arange(count)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_scale_is_that_of_all_pixels(channels):
    """Mean and deviation of each channel are those of the images as numbers from 0 to 1."""
    images = noise(channels=channels)
    exact = images.double() / 255
    scale = Scale.of(images)
    torch.testing.assert_close(scale.mean.double(), exact.mean(dim=(0, 2, 3)), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(scale.std.double(), exact.std(dim=(0, 2, 3), correction=0), rtol=1e-6, atol=1e-7)


def test_a_channel_of_one_colour_is_no_division_by_zero():
    """Images that are all alike have finite batches."""
    images = torch.full((10, 1, 4, 4), 7, dtype=torch.uint8)
    [(batch, _)] = Batches(images, numbered(10), 10, Scale.of(images))
    assert bool(torch.isfinite(batch).all())


def test_without_a_seed_the_images_come_in_their_order_and_as_they_are():
    """An evaluation sees each image once, normalised, in the layout in which convolutions run fastest."""
    images, scale = noise(), Scale.of(noise())
    batches = list(Batches(images, numbered(50), 16, scale, crop=2, flip=True))
    assert [len(labels) for _, labels in batches] == [16, 16, 16, 2]
    assert torch.cat([labels for _, labels in batches]).tolist() == list(range(50))
    wanted = (images.float() / 255 - scale.mean.view(3, 1, 1)) / scale.std.view(3, 1, 1)
    torch.testing.assert_close(torch.cat([batch for batch, _ in batches]), wanted, rtol=1e-5, atol=1e-5)
    assert all(batch.is_contiguous(memory_format=torch.channels_last) for batch, _ in batches)


def test_a_training_sees_every_image_once_an_epoch_in_a_new_order():
    """The order follows from the seed alone, and differs from epoch to epoch."""
    images, scale = noise(), Scale.of(noise())
    first, second = (Batches(images, numbered(50), 16, scale, seed=3, crop=2, flip=True) for _ in range(2))
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
    """Each image is one of its shifted copies, with zeros around it, mirrored or not."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(1, 256, (4, height, width, channels), dtype=torch.uint8, generator=generator)
    found = augmented(pixels, crop, flip, generator)
    assert found.shape == pixels.shape
    assert found.dtype is torch.uint8
    padded = torch.nn.functional.pad(pixels, (0, 0, crop, crop, crop, crop))
    for index in range(4):
        windows = [
            padded[index, down : down + height, right : right + width]
            for down in range(2 * crop + 1)
            for right in range(2 * crop + 1)
        ]
        windows += [window.flip(1) for window in windows] if flip else []
        assert any(torch.equal(found[index], window) for window in windows)


def test_shifts_and_mirrors_are_all_drawn():
    """Of many images about half are mirrored, and every shift occurs."""
    column = torch.zeros(2000, 9, 9, 1, dtype=torch.uint8)
    column[:, 4, 2] = 1
    found = augmented(column, 2, True, torch.Generator().manual_seed(0))
    rows, columns = (found[..., 0].sum(dim=axis).argmax(dim=1) for axis in (2, 1))
    assert set(rows.tolist()) == {2, 3, 4, 5, 6}
    assert set(columns.tolist()) == {0, 1, 2, 3, 4, 5, 6, 7, 8}
    mirrored = (columns > 4).float().mean().item()
    assert 0.45 < mirrored + (columns == 4).float().mean().item() / 2 < 0.55

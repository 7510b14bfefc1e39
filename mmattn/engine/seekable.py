"""Training data that can be entered at any position, with the random numbers that belong there."""

from collections.abc import Iterator, Sized
from itertools import count, islice
from typing import Any, NamedTuple

from mmengine.dist import get_dist_info, sync_random_seed
from mmengine.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import Dataset, Sampler

from mmattn.engine.randomness import seeded


class Draw(NamedTuple):
    """What the sampler asks of the data set: a sample, and the random numbers to load it with."""

    index: int
    seed: int
    position: int  # in the run, over all processes; of a clip's frames that of the first


def seekable(loader: dict) -> dict | None:
    """The settings of a data loader whose sampler is a `SeekableSampler`.

    None where there is nothing to wrap: a batch sampler decides itself what it takes when.
    """
    if not isinstance(loader.get('sampler'), dict) or loader.get('batch_sampler'):
        return None
    sampler = dict(type='SeekableSampler', sampler=loader['sampler'])
    return dict(loader, sampler=sampler, dataset=dict(type='SeededDataset', data=loader['dataset']))


@DATASETS.register_module()
class SeededDataset(Dataset):
    """A data set whose random transforms draw what belongs to the position in the run.

    Args:
        data: The data set, or its settings.
    """

    def __init__(self, data: Any) -> None:
        self.data = DATASETS.build(data) if isinstance(data, dict) else data

    def __getattr__(self, name: str) -> Any:
        if name == 'data':  # not there yet while a worker unpickles this
            raise AttributeError(name)
        return getattr(self.data, name)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, draw: Draw | int) -> Any:
        if not isinstance(draw, Draw):
            return self.data[draw]
        with seeded(draw.seed, draw.position):
            return self.data[draw.index]


@DATA_SAMPLERS.register_module()
class SeekableSampler(Sampler):
    """The endless draws of another sampler, from any position on.

    The frames of a clip (of a data set with ``num_frames``) are loaded with the random numbers of
    its first one.

    Only indices are drawn to reach a position, no data is loaded. A sampler that ends is begun
    again, with its next epoch.

    Args:
        sampler: Settings of the other sampler.
        dataset: What it samples.
        seed: Seed of the order and of the samples' random numbers; None for a common random one.
    """

    def __init__(self, sampler: dict, dataset: Sized, seed: int | None = None) -> None:
        self.settings = sampler
        self.dataset = dataset
        self.rank, self.world_size = get_dist_info()
        self.start_at(0, sync_random_seed() if seed is None else seed)

    def start_at(self, position: int, seed: int) -> None:
        """Begin the next iteration at a position.

        Args:
            position: Samples that all processes together have drawn before.
            seed: The seed of the run.
        """
        self.position = position // self.world_size  # of this process
        self.seed = seed
        self.sampler = DATA_SAMPLERS.build(
            self.settings, default_args=dict(dataset=self.dataset, seed=seed)
        )

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Draw]:
        self.start_at(self.position * self.world_size, self.seed)  # some samplers are used up
        frames = getattr(self.dataset, 'num_frames', 1)
        for position, index in islice(enumerate(self._endless()), self.position, None):
            first = position - position % frames
            yield Draw(index, self.seed, first * self.world_size + self.rank)

    def _endless(self) -> Iterator[int]:
        for epoch in count():
            if hasattr(self.sampler, 'set_epoch'):
                self.sampler.set_epoch(epoch)
            yield from self.sampler

"""Clips: a few frames of a video in a row, for attention between frames."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.registry import DATA_SAMPLERS
from mmseg.registry import DATASETS
from torch.utils.data import Sampler

from mmattn.datasets.camvid import CamVidDataset
from mmattn.errors import UserError

_NAME = re.compile(r'(?P<sequence>.+)_f?(?P<number>\d+)')  # 0016E5_07959, Seq05VD_f00000


@DATASETS.register_module()
class CamVidClips(CamVidDataset):
    """CamVid, which knows which of its frames are clips. Its samples are frames all the same.

    `ClipSampler` puts the frames of a clip in a row, and the training loop draws one set of random
    numbers for them, so that transforms which draw the same for every image do the same to all
    frames. Models with ``num_frames`` of the same number take the batch apart again; the batch size
    is a multiple of it. CamVid's labelled frames are 30 frames of the video apart, a second, and
    those of its validation set two.

    Args:
        num_frames: Frames of a clip.
        max_gap: Labelled frames further apart than this number of frames of the video are no
            neighbours.
        **kwargs: Arguments of `CamVidDataset`.

    Raises:
        UserError: ``num_frames`` below 1; a file name without sequence and number; no clip at all.
    """

    def __init__(self, num_frames: int, max_gap: int = 45, **kwargs) -> None:
        if num_frames < 1:
            raise UserError(f'num_frames must be at least 1, got {num_frames}')
        self.num_frames = num_frames
        self.max_gap = max_gap
        super().__init__(**kwargs)

    def clips(self, overlap: bool) -> list[list[int]]:
        """Clips as indices of frames.

        Args:
            overlap: All windows of ``num_frames`` frames. Otherwise every frame is in one clip;
                where the last ones of a sequence are too few, frames before them complete the
                clip. These come a second time, so they are given by a second index, ``len(self)``
                above their own, under which all their labels are void.
        """
        found = []
        for frames in self._sequences():
            last = len(frames) - self.num_frames
            if last < 0:
                continue
            if overlap:
                found += [frames[i : i + self.num_frames] for i in range(last + 1)]
                continue
            for start in range(0, len(frames), self.num_frames):
                repeated = max(0, start - last)
                again = [len(self) + index for index in frames[start - repeated : start]]
                found.append(again + frames[start : start + self.num_frames])
        if not found:
            raise UserError(
                f'{self.data_prefix["img_path"]} has no {self.num_frames} frames in a row with '
                f'gaps of at most {self.max_gap}'
            )
        return found

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The frame of an index; one from ``len(self)`` on is a frame again, which is not scored:
        its labels are void, and its sample is marked ``repeated``."""
        sample = super().__getitem__(index % len(self))
        if index >= len(self):
            sample['data_samples'].gt_sem_seg.data.fill_(self.ignore_index)
            sample['data_samples'].set_metainfo({'repeated': True})
        return sample

    def _sequences(self) -> list[list[int]]:
        """Indices of frames that follow each other."""
        frames = []
        for index in range(len(self)):
            stem = Path(self.get_data_info(index)['img_path']).stem
            name = _NAME.fullmatch(stem)
            if name is None:
                raise UserError(
                    f'frame {stem} of {self.data_prefix["img_path"]} must be named by sequence and '
                    'number, such as 0016E5_07959'
                )
            frames.append((name['sequence'], int(name['number']), index))
        sequences, before = [], ('', 0)
        for sequence, number, index in sorted(frames):
            if not sequences or sequence != before[0] or number - before[1] > self.max_gap:
                sequences.append([])
            sequences[-1].append(index)
            before = sequence, number
        return sequences


@DATA_SAMPLERS.register_module()
class ClipSampler(Sampler):
    """The clips of a data set in the order of another sampler, frame by frame.

    Args:
        dataset: With ``clips``, such as `CamVidClips`.
        sampler: Settings of the other sampler, which sees clips as samples.
        overlap: As in ``clips``; for training.
        seed: Of the other sampler.
    """

    def __init__(
        self, dataset: CamVidClips, sampler: dict, overlap: bool = False, seed: int | None = None
    ) -> None:
        self.clips = dataset.clips(overlap)
        self.sampler = DATA_SAMPLERS.build(
            sampler, default_args=dict(dataset=self.clips, seed=seed)
        )

    def __len__(self) -> int:
        return len(self.sampler) * len(self.clips[0])

    def __iter__(self) -> Iterator[int]:
        for index in self.sampler:
            yield from self.clips[index]

    def set_epoch(self, epoch: int) -> None:
        """Of the other sampler, where that has one."""
        if hasattr(self.sampler, 'set_epoch'):
            self.sampler.set_epoch(epoch)

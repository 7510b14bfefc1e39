"""The mean over views of an image, each added as it comes: the memory of one view, not of all."""

import math
from collections.abc import Callable, Iterator, Sequence

from mmengine.model import is_model_wrapper
from mmengine.structures import PixelData
from mmseg.models.segmentors import SegTTAModel
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmattn.engine.inference import LeanInference, pixels_of_a_pass


class RunningMean:
    """Mixin for `SegTTAModel`: the same labels, of the same mean of softmaxes, but

    - what a view gives is added to a sum, and released, before the next one is looked at: images
      take about three times their logits, in the size of the image, however many views there are;
    - views of one shape share the passes of a segmentor with `LeanInference`, as windows do;
    - of one channel, where samples have probabilities, it is the mean of these: mmseg takes the
      sigmoid once more, which no threshold below 0.5 tells apart.

    Samples have no ``seg_logits``.
    """

    def test_step(self, data: dict[str, Sequence[Sequence]]) -> list[SegDataSample]:
        """The samples of the first views, with labels.

        Args:
            data: ``inputs`` and ``data_samples``: of each view a list, of each image one.
        """
        samples, means = self._means(data)
        for sample, mean in zip(samples, means, strict=True):
            sample.pred_sem_seg = PixelData(data=self._labels(mean))
        return samples

    def _means(
        self, data: dict[str, Sequence[Sequence]]
    ) -> tuple[list[SegDataSample], list[Tensor]]:
        """Of each image the sample of its first view, and its probabilities (C, H, W)."""
        count = len(data['inputs'][0])
        sums: list[Tensor | None] = [None] * count
        first: list[SegDataSample] = []

        def add(index: int, logits: Tensor) -> None:
            image = index % count  # a pass has views of all images, one view after the other
            scores = logits.softmax(0) if len(logits) > 1 else logits
            sums[image] = scores if sums[image] is None else sums[image].add_(scores)

        for views in self._passes(data['inputs']):
            batch = {key: [x for view in views for x in of[view]] for key, of in data.items()}
            samples = self._predict(batch, add)
            first = first or samples[:count]
        return first, [total.div_(len(data['inputs'])) for total in sums]

    def _predict(self, batch: dict, add: Callable[[int, Tensor], None]) -> list[SegDataSample]:
        """Give the logits of each sample to ``add``, and keep none."""
        if isinstance(self.module, LeanInference):
            self.module.hand_over = add
            try:
                return self.module.test_step(batch)
            finally:
                self.module.hand_over = None
        samples = self.module.test_step(batch)
        for index, sample in enumerate(samples):
            add(index, sample.seg_logits.data)
            del sample.seg_logits
        return samples

    def _passes(self, inputs: Sequence[Sequence[Tensor]]) -> Iterator[list[int]]:
        """Indices of the views that go through the segmentor together."""
        alike: dict[tuple, list[int]] = {}
        for index, view in enumerate(inputs):
            alike.setdefault(tuple(image.shape for image in view), []).append(index)
        budget = 0
        if isinstance(self.module, LeanInference):  # others would enlarge the logits of all
            budget = pixels_of_a_pass(self.module.data_preprocessor.device)
        for views in alike.values():
            pixels = sum(math.prod(image.shape[-2:]) for image in inputs[views[0]])
            together = max(1, budget // pixels)
            for start in range(0, len(views), together):
                yield views[start : start + together]

    def _labels(self, mean: Tensor) -> Tensor:
        if self.module.out_channels == 1:
            return (mean > self.module.decode_head.threshold).to(mean)
        return mean.argmax(0)


def average_in_turn(model: nn.Module) -> None:
    """Give a `SegTTAModel` the `RunningMean`; one that merges in a way of its own keeps it."""
    model = model.module if is_model_wrapper(model) else model
    kind = type(model)
    if not isinstance(model, SegTTAModel):
        return
    names = ('test_step', 'merge_preds')
    if all(getattr(kind, name) is getattr(SegTTAModel, name) for name in names):
        model.__class__ = type(f'Lean{kind.__name__}', (RunningMean, kind), {})

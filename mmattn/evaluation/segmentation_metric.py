"""mmseg's IoUMetric in one pass over the pixels, with more to be asked for."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.logging import MMLogger
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS
from torch import Tensor

from mmattn.errors import UserError
from mmattn.evaluation.boundary import boundary_areas
from mmattn.evaluation.histogram import areas, joint_histogram
from mmattn.evaluation.report import areas_of_images, tables_of_scores, write_report
from mmattn.evaluation.scores import CONFIDENCE, class_scores, intervals, overall_scores
from mmattn.files import check_writable


@METRICS.register_module()
class SegmentationMetric(IoUMetric):
    """IoU, accuracy, Dice and F-score as mmseg's IoUMetric computes and prints them, faster.

    Pixels are counted by one histogram of labels and predictions, on the device of the predictions.
    The counts are integers. mmseg adds float32, which is exact up to 2**24 pixels of a class: so
    far the results are equal to the last digit; beyond it mmseg loses pixels, this metric does not.

    A prediction or label that is no class is an error that names the file; mmseg leaves it out of
    the areas, silently.

    Args:
        ignore_index, iou_metrics, nan_to_num, beta: As of IoUMetric.
        collect_device, output_dir, format_only, prefix: As of IoUMetric.
        report: Write a report: JSON, and CSV for tables. True puts it beside the log of the run, a
            path into that folder. What follows is part of the report and asks for it as well.
        confusion: Count the confusion matrix.
        images: Write the areas of each image, from which differences between two models on the same
            images can be computed.
        boundary_ratio: Measure boundary IoU (see `mmattn.evaluation.boundary`) in boundaries this
            wide, in diagonals of the image; the paper takes 0.02. Its mean is also a metric,
            `mBoundaryIoU`.
        bootstrap: Number of resamples for 95 % confidence intervals over images; 0 for none.
        seed: Of the resamples.

    Raises:
        UserError: An argument makes no sense, or names a folder that cannot be written to; a
            prediction or label is no class.
    """

    _size = math.inf  # images that are evaluated

    def __init__(
        self,
        ignore_index: int = 255,
        iou_metrics: Sequence[str] = ('mIoU',),
        nan_to_num: float | None = None,
        beta: int = 1,
        collect_device: str = 'cpu',
        output_dir: str | None = None,
        format_only: bool = False,
        prefix: str | None = None,
        report: bool | str | os.PathLike = False,
        confusion: bool = False,
        boundary_ratio: float | None = None,
        bootstrap: int = 0,
        seed: int = 0,
        images: bool = False,
    ) -> None:
        if boundary_ratio is not None and not 0 < boundary_ratio < 1:
            raise UserError(f'boundary_ratio is {boundary_ratio}: give it as 0.02, for instance')
        for name, value in (('bootstrap', bootstrap), ('seed', seed)):
            if type(value) is not int or value < 0:
                raise UserError(f'{name} is {value!r}: give an integer, 0 or more')
        if report and report is not True:
            if not isinstance(report, str | os.PathLike):
                raise UserError(f'report is {report!r}: give True, False or a folder')
            check_writable(Path(report), 'the folder of the report', 'name another by report')
        super().__init__(
            ignore_index,
            iou_metrics,
            nan_to_num,
            beta,
            collect_device,
            output_dir,
            format_only,
            prefix,
        )
        self.report = report or bool(confusion or boundary_ratio or bootstrap or images)
        self.confusion = confusion
        self.images = images
        self.boundary_ratio = boundary_ratio
        self.bootstrap = bootstrap
        self.seed = seed

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count each sample; see IoUMetric.process."""
        for sample in data_samples:
            # mmseg gives the label the dtype of the prediction, which must hold its values.
            prediction = {'data': sample['pred_sem_seg']['data'].long()}
            try:
                super().process(data_batch, [{**sample, 'pred_sem_seg': prediction}])
            except UserError as error:
                raise UserError(f'{_files(sample)}: {error}') from error
            if not self.format_only:
                files = sample.get('img_path'), sample.get('seg_map_path')
                self.results[-1] = (*self.results[-1], (files, sample.get('repeated', False)))

    def evaluate(self, size: int) -> dict[str, float]:
        """Metrics of all images, each counted once; see mmengine's BaseMetric.evaluate.

        mmengine keeps the first ``size`` results. Those of samplers that repeat images to fill a
        batch or a clip lie in between, so all are collected, and `compute_metrics` leaves them out.
        """
        self._size = size
        return super().evaluate(len(self.results) * get_world_size())

    def intersect_and_union(
        self, pred_label: Tensor, label: Tensor, num_classes: int, ignore_index: int
    ) -> tuple[Tensor | None, ...]:
        """The four areas of mmseg, and what was asked for beyond them.

        Returns:
            int64 of shape (num_classes,) on the CPU: intersection, union, predicted, labelled; then
            intersection and union of the boundaries; and of the confusion matrix, which has mostly
            zeros, the flat indices and values of the others. What was not asked for is left out.
        """
        histogram = joint_histogram(pred_label, label, num_classes, ignore_index).cpu()
        counts = areas(histogram)
        if self.boundary_ratio:
            counts += boundary_areas(
                pred_label, label, num_classes, ignore_index, self.boundary_ratio
            )
        if self.confusion:
            flat = histogram.flatten()
            pairs = flat.nonzero()[:, 0]
            counts += (pairs.int(), flat[pairs].int())
        return tuple(count.cpu() for count in counts)

    def compute_metrics(self, results: list[tuple[Tensor, ...]]) -> dict[str, float]:
        """Metrics in percent, and the table in the log; see IoUMetric.compute_metrics."""
        paths = []
        if not self.format_only:
            results = _each_once(results, self._size)
            paths = [path for *_, ((path, _), _) in results]
            results = [tuple(counts) for *counts, _ in results]
        metrics = super().compute_metrics([counts[:4] for counts in results])
        if self.report and not self.format_only:
            metrics |= self._report(results, paths)
        return metrics

    def _report(self, results: list[tuple[Tensor, ...]], paths: list[str]) -> dict[str, float]:
        """Write the report; returns the metrics that only it has."""
        kinds = 6 if self.boundary_ratio else 4
        per_image = torch.stack([torch.stack(counts[:kinds]) for counts in results]).numpy()
        totals = per_image.sum(0)
        of_classes = class_scores(totals, self.nan_to_num)
        overall = overall_scores(totals, of_classes)
        report = {'images': len(results), 'unit': 'percent'}
        if self.boundary_ratio:
            report['boundary_ratio'] = self.boundary_ratio
        if self.bootstrap:
            report['intervals'] = dict(
                confidence=CONFIDENCE, resamples=self.bootstrap, seed=self.seed, over='images'
            )
            ends = intervals(per_image, self.bootstrap, self.seed, self.nan_to_num)
            overall, of_classes = _with_ends(overall, ends), _with_ends(of_classes, ends)
            miou, low, high = (100 * overall[name] for name in ('mIoU', 'mIoU_low', 'mIoU_high'))
            MMLogger.get_current_instance().info(
                f'mIoU {miou:.2f}, 95 % confidence interval over {len(results)} images '
                f'{low:.2f} to {high:.2f}'
            )
        classes = self.dataset_meta['classes']
        report |= tables_of_scores(overall, of_classes, classes)
        areas = areas_of_images(paths, per_image[:, :4], classes) if self.images else None
        self._write(report, self._confusion_matrix(results) if self.confusion else None, areas)
        if not self.boundary_ratio:
            return {}
        return {'mBoundaryIoU': np.round(100 * overall['mBoundaryIoU'], 2)}

    def _confusion_matrix(self, results: list[tuple[Tensor, ...]]) -> np.ndarray:
        size = len(self.dataset_meta['classes'])
        matrix = np.zeros(size * size, np.int64)
        for *_, pairs, counts in results:
            matrix[pairs.numpy()] += counts.numpy()
        return matrix.reshape(size, size)

    def _write(self, report: dict, confusion: np.ndarray | None, images: list[list] | None) -> None:
        logger = MMLogger.get_current_instance()
        if self.report is not True:
            folder = Path(self.report)
        elif logger.log_file:
            folder = Path(logger.log_file).parent
        else:
            logger.warning('there is no log to put the report beside: set report to a folder')
            return
        stem = folder / '_'.join(filter(None, (self.prefix, 'evaluation')))
        paths = write_report(stem, report, self.dataset_meta['classes'], confusion, images)
        logger.info(f'report: {", ".join(map(str, paths))}')


def _each_once(results: list[tuple], size: int) -> list[tuple]:
    """Without what a sampler has repeated, where there are more results than images."""
    if len(results) <= size:
        return results
    first = {}
    for number, result in enumerate(results):
        files, repeated = result[-1]
        if not repeated:
            first.setdefault(files if any(files) else number, result)
    return list(first.values())[:size]


def _with_ends(scores: dict[str, np.ndarray], ends: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Scores, each followed by the ends of its interval."""
    rows = {}
    for name, score in scores.items():
        rows |= {name: score, f'{name}_low': ends[name][0], f'{name}_high': ends[name][1]}
    return rows


def _files(sample: dict) -> str:
    paths = [sample.get(key) for key in ('img_path', 'seg_map_path')]
    return ', '.join(str(path) for path in paths if path) or 'an image without a path'

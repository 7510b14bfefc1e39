"""Test on images without labels."""

from typing import Any

from mmengine.config import Config
from mmseg.datasets import BaseSegDataset
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS

from mmattn.errors import UserError
from mmattn.preflight.data_sets import dataset_type, inner_configs


def drop_labels(cfg: Config) -> bool:
    """If the test images have no labels, take all that needs labels out of the config.

    They have none where `data_prefix.seg_map_path` is None or left out. Then no step loads them,
    and `IoUMetric` goes, unless it only writes predictions (`format_only`).

    Returns:
        Whether the images have no labels.

    Raises:
        UserError: Some of several data sets have labels, the others have none.
    """
    loader = cfg.test_dataloader
    datasets = [dataset for _, dataset in inner_configs(loader.dataset, 'test_dataloader.dataset')]
    unlabelled = [_has_no_labels(dataset) for dataset in datasets]
    if not any(unlabelled):
        return False
    if not all(unlabelled):
        raise UserError(
            'some data sets of test_dataloader have labels (data_prefix.seg_map_path) and others '
            'have none: test them one after the other'
        )
    for dataset in datasets:
        dataset.data_prefix.pop('seg_map_path', None)
        dataset.pipeline = without_labels(dataset.get('pipeline') or [])
    if cfg.get('tta_pipeline'):
        cfg.tta_pipeline = without_labels(cfg.tta_pipeline)
    metrics = cfg.test_evaluator
    metrics = metrics if isinstance(metrics, list | tuple) else [metrics]
    cfg.test_evaluator = [metric for metric in metrics if not _measures(metric)]
    return True


def _has_no_labels(dataset: dict) -> bool:
    prefix = dataset.get('data_prefix')
    if prefix is None:  # mmseg's default: labels lie beside the images
        return False
    if 'seg_map_path' in prefix:
        return prefix['seg_map_path'] is None
    # A data set that lists its files in a way of its own may have labels all the same.
    lists = getattr(dataset_type(dataset), 'load_data_list', None)
    return lists is BaseSegDataset.load_data_list


def without_labels(steps: list) -> list:
    """A pipeline, or the alternatives of TestTimeAug, without steps that load labels."""
    kept = []
    for step in steps:
        if isinstance(step, list | tuple):
            step = without_labels(step)
        elif step.get('type') == 'LoadAnnotations':
            continue
        elif 'transforms' in step:
            step = {**step, 'transforms': without_labels(step['transforms'])}
        if step:
            kept.append(step)
    return kept


def _measures(metric: Any) -> bool:
    kind = METRICS.get(metric['type']) if isinstance(metric['type'], str) else metric['type']
    return issubclass(kind, IoUMetric) and not metric.get('format_only')

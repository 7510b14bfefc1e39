"""Data."""

from collections.abc import Iterator

from mmengine.config import Config

from mmattn.datasets.checks import check_dataset, class_names
from mmattn.errors import UserError, explain_settings
from mmattn.preflight.config import heads_of


def check_data(cfg: Config, loaders: list[str], mode: str) -> None:
    """Check the data sets of data loaders (`train_dataloader`, ...) against all heads."""
    heads = dict(_classes_of_heads(cfg.model))
    for name in loaders:
        if not cfg.get(name):
            raise UserError(f'the config has no {name}')
        if not heads or mode == 'off':
            continue
        with explain_settings():
            for place, count in heads.items():
                _check_classes(place, count, name, cfg[name].dataset)
            check_dataset(cfg[name].dataset, min(heads.values()), mode)


def _classes_of_heads(model: dict) -> Iterator[tuple[str, int]]:
    for place, head in heads_of(model):
        if head.get('num_classes') is not None:
            yield f'{place}.num_classes', head['num_classes']


def _check_classes(place: str, count: int, loader: str, dataset_cfg: dict) -> None:
    for name, classes in class_names(dataset_cfg):
        if classes and len(classes) != count:
            binary = '; a head of one channel has num_classes=2 and out_channels=1'
            raise UserError(
                f'{place} is {count}, but {loader}.dataset ({name}) has {len(classes)} classes: '
                f'set one or the other (dataset.metainfo.classes){binary if count == 1 else ""}'
            )

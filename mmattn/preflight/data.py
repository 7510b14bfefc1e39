"""Look at the data sets of a config before time is spent on them."""

from collections.abc import Iterator

from mmengine.config import Config

from mmattn.errors import UserError, explain_settings
from mmattn.preflight.config import heads_of
from mmattn.preflight.data_sets import OpenDataset, check_datasets, collect_wrong, open_datasets
from mmattn.preflight.data_summary import DataReport

MODES = ('sample', 'full', 'off')


def check_data(cfg: Config, loaders: list[str], mode: str) -> DataReport:
    """Check the data sets of data loaders (`train_dataloader`, ...) against all heads.

    `sample` decodes up to 32 pairs of each data set, `full` every pair, `off` none.

    Returns:
        The summary to show, empty where nothing was looked at: in mode `off`, for models whose
        heads name no `num_classes`, and for data sets that `open_datasets` leaves alone.

    Raises:
        UserError: names the first thing that is wrong and how to mend it.
    """
    if mode not in MODES:
        raise UserError(f'check mode {mode!r} is not known; choose one of {", ".join(MODES)}')
    heads = dict(_classes_of_heads(cfg.model))

    def look(loader: str) -> DataReport:
        if not cfg.get(loader):
            raise UserError(f'the config has no {loader}')
        if not heads or mode == 'off':
            return DataReport()
        with explain_settings():
            datasets = list(open_datasets(cfg[loader].dataset, f'{loader}.dataset'))
        for place, count in heads.items():
            _check_classes(place, count, datasets)
        training = loader == 'train_dataloader'
        return check_datasets(datasets, min(heads.values()), mode, training=training)

    return sum(collect_wrong(look, loaders), DataReport())


def _classes_of_heads(model: dict) -> Iterator[tuple[str, int]]:
    for place, head in heads_of(model):
        if head.get('num_classes') is not None:
            yield f'{place}.num_classes', head['num_classes']


def _check_classes(place: str, count: int, datasets: list[OpenDataset]) -> None:
    for where, dataset, _ in datasets:
        classes = dataset.metainfo.get('classes')
        if classes and len(classes) != count:
            binary = '; a head of one channel has num_classes=2 and out_channels=1'
            raise UserError(
                f'{place} is {count}, but {where} ({type(dataset).__name__}) has {len(classes)} '
                'classes: set one or the other (dataset.metainfo.classes)'
                f'{binary if count == 1 else ""}'
            )

"""What is known to be wrong with a study before its first run."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmattn.errors import UserError
from mmattn.preflight.config import load_config, num_classes, require_keys
from mmattn.preflight.data import check_data
from mmattn.preflight.data_sets import open_datasets
from mmattn.preflight.model import look_at_model
from mmattn.preflight.pretrained import drop_pretrained
from mmattn.studies.plan import Study, check_class_groups, flatten, without


def check_variants(study: Study, configs: Mapping[str, Path]) -> dict[str, int]:
    """Look at the configs of a study and at their models, one by one and beside the baseline's.

    Args:
        study: The study.
        configs: The config file of each variant.

    Returns:
        The number of parameters of each variant's model.

    Raises:
        UserError: A config names what does not exist, or a model that cannot be built; its test
            data or its classes are not those of the baseline.
    """
    parameters = {}
    for name, path in configs.items():
        try:
            cfg = load_config(path)
            require_keys(cfg, path, 'model')
            drop_pretrained(cfg)
            parameters[name] = look_at_model(cfg).parameters
        except UserError as error:
            raise UserError(f'variant {name!r} of study {study.name}: {error}') from error
    for name in configs:
        _check_comparable(study, name)
    return parameters


def check_data_sets(study: Study, configs: Mapping[str, Path], variants: Iterable[str]) -> None:
    """Look at the data of some variants as their runs do, but at each data set once.

    Args:
        study: The study.
        configs: The config file of each variant.
        variants: Names of those that have something to run.

    Raises:
        UserError: Data that is not there, or that a run would refuse; a class group with a
            class that the data lacks.
    """
    seen = []
    for name in dict.fromkeys(variants):
        settings = study.variants[name].settings
        validated = ['val_dataloader'] if settings.get('val_cfg') else []
        for loader in ('train_dataloader', *validated, 'test_dataloader'):
            data = without((settings.get(loader) or {}).get('dataset'), 'pipeline')
            if data is None or data in seen:
                continue
            seen.append(data)
            try:
                check_data(load_config(configs[name]), [loader], 'sample')
            except UserError as error:
                raise UserError(f'variant {name!r} of study {study.name}: {error}') from error
    tested = study.variants[study.baseline].settings.get('test_dataloader') or {}
    if study.class_groups and seen and tested:
        tested = load_config(configs[study.baseline]).test_dataloader.dataset
        for _, data, _ in open_datasets(tested, 'test_dataloader.dataset'):
            check_class_groups(study, data.metainfo.get('classes') or ())


def _check_comparable(study: Study, name: str) -> None:
    own, baseline = (_measured_on(study.variants[each].settings) for each in (name, study.baseline))
    for key in {**baseline, **own}:
        if own.get(key) != baseline.get(key):
            raise UserError(
                f'variant {name!r} of study {study.name}: {key} is {own.get(key)!r}, but '
                f'{baseline.get(key)!r} in the baseline {study.baseline!r}. Scores on other test '
                'data or other classes cannot be compared: set it for all variants (options)'
            )


def _measured_on(settings: dict[str, Any]) -> dict[str, Any]:
    """What scores depend on beside the model: the test data and its classes, by dotted keys."""
    data = without((settings.get('test_dataloader') or {}).get('dataset'), 'pipeline')
    classes = {'decode_head': {'num_classes': num_classes(Config(settings))}}
    return dict(flatten({'model': classes, 'test_dataloader': {'dataset': data}}))

"""Look at the data of a config, for its own sake."""

from pathlib import Path
from typing import Any

from mmattn.engine.runner import separate_run
from mmattn.errors import UserError
from mmattn.files import check_writable
from mmattn.preflight.config import load_config, require_keys
from mmattn.preflight.data import check_data
from mmattn.preflight.data_summary import DataReport
from mmattn.preflight.duplicates import check_duplicates
from mmattn.visualization.class_shares import plot_class_shares

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def check(
    config: str | Path,
    *,
    full: bool = False,
    picture: str | Path | None = None,
    cfg_options: dict[str, Any] | None = None,
) -> DataReport:
    """Look at all data sets of a config: counts, sizes, shares of the classes, files left unused.

    Images that are trained and evaluated on are looked for as well, by the content of the files.

    Args:
        config: config file.
        full: decode every image and label; else up to 32 of each data set.
        picture: PNG to write, with the share of each class in each data set.
        cfg_options: overrides, dotted key to value.

    Returns:
        What there is, and warnings of what deserves a look. Its text is for people.

    Raises:
        UserError: what a training would refuse; a WrongFilesError has all files that are wrong.
    """
    if picture:
        _check_picture(Path(picture))
    with separate_run():
        cfg = load_config(config, cfg_options)
        require_keys(cfg, config, 'model')
        loaders = [loader for loader in LOADERS if cfg.get(loader)]
        if cfg.get('test_dataloader') == cfg.get('val_dataloader') and LOADERS[-1] in loaders:
            loaders.remove(LOADERS[-1])
        if not loaders:
            raise UserError(f'{config} has no data: {", ".join(LOADERS)}')
        report = check_data(cfg, loaders, 'full' if full else 'sample')
        if cfg.get('train_dataloader'):
            report += DataReport(warnings=tuple(check_duplicates(cfg, loaders[0], loaders[1:])))
    if picture and report.summaries:
        plot_class_shares(report.summaries, Path(picture))
    return report


def _check_picture(picture: Path) -> None:
    if picture.is_dir():
        raise UserError(f'{picture} is a folder: name the PNG to write, as in {picture}/shares.png')
    check_writable(picture.parent, 'the folder of the picture', 'name another with --picture')

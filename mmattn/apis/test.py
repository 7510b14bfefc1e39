"""Evaluate a checkpoint."""

import json
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from mmattn.apis.checkpoint import check_checkpoint
from mmattn.apis.config import explain_settings, load_config, require_keys
from mmattn.apis.preflight import check_data, is_first_process, set_launcher, set_work_dir
from mmattn.engine.save_predictions_hook import SavePredictionsHook
from mmattn.errors import UserError
from mmattn.files import write_atomically
from mmattn.visualization import PredictionPanelHook


def test(
    config: str | Path,
    checkpoint: str | Path,
    *,
    work_dir: str | Path | None = None,
    out: str | Path | None = None,
    show_dir: str | Path | None = None,
    tta: bool = False,
    amp: bool = False,
    cfg_options: dict[str, Any] | None = None,
    launcher: str = 'none',
) -> dict[str, float]:
    """Evaluate a checkpoint on the test data of a config and print the table of classes.

    Args:
        config: config file.
        checkpoint: weights of that config's model.
        work_dir: folder of the log; default `work_dirs/<config name>/test`.
        out: folder for predictions, an index PNG per image, and metrics.json.
        show_dir: folder for pictures: image | ground truth | prediction.
        tta: average over the scales and flips of the config's `tta_pipeline`.
        amp: bfloat16 autocast on the CPU, float16 on GPUs.
        cfg_options: overrides, dotted key to value.
        launcher: none, pytorch, slurm or mpi.

    Returns:
        Metrics in percent: aAcc, mIoU, mAcc, ...

    Raises UserError for whatever can be known to be wrong before the first image.
    """
    cfg = load_config(config, cfg_options)
    require_keys(cfg, config, 'model', 'test_dataloader', 'test_evaluator', 'test_cfg')
    set_launcher(cfg, launcher)
    set_work_dir(cfg, work_dir or Path('work_dirs', Path(config).stem, 'test'))
    hooks = [SavePredictionsHook(out)] if out else []
    hooks += [PredictionPanelHook(show_dir)] if show_dir else []
    if is_first_process(launcher):
        check_checkpoint(checkpoint, cfg)
        check_data(cfg, ['test_dataloader'], 'sample')
    cfg.load_from, cfg.resume = str(checkpoint), False
    if amp:
        cfg.test_cfg.fp16 = True  # mmengine's name for autocast; on the CPU it is bfloat16
    if tta:
        _use_tta(cfg)

    with explain_settings():
        runner = Runner.from_cfg(cfg)
        runner.test_loop  # noqa: B018  built here, to explain its errors
    for hook in hooks:
        runner.register_hook(hook)
    metrics = {key: float(value) for key, value in runner.test().items()}
    if out and is_first_process(launcher):
        report = {'metrics': metrics, 'config': str(config), 'checkpoint': str(checkpoint)}
        write_atomically(Path(out, 'metrics.json'), json.dumps(report, indent=2).encode())
    return metrics


def _use_tta(cfg: Config) -> None:
    if not cfg.get('tta_model') or not cfg.get('tta_pipeline'):
        raise UserError('--tta needs tta_model and tta_pipeline, which the config does not have')
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = dict(cfg.tta_model, module=cfg.model)

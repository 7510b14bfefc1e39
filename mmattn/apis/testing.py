"""Evaluate a checkpoint."""

import json
from pathlib import Path
from typing import Any

from mmattn.apis import options
from mmattn.apis.blame import blame_options
from mmattn.apis.labels import watch_testing
from mmattn.apis.unlabelled import drop_labels
from mmattn.engine import OptimizeHook, PredictionPanelHook, SavePredictionsHook
from mmattn.engine.cpu import mixed_precision_pays
from mmattn.engine.runner import Runner, separate_run
from mmattn.engine.runtimes import is_exported
from mmattn.engine.views import average_in_turn
from mmattn.errors import UserError, explain_settings, explain_workers
from mmattn.evaluation.class_values import keep_class_values, percent_of_classes
from mmattn.files import write_atomically
from mmattn.preflight.config import load_config, require_keys
from mmattn.preflight.exported import use_exported
from mmattn.preflight.pretrained import drop_pretrained
from mmattn.preflight.run import look_at


def test(
    config: str | Path,
    checkpoint: str | Path,
    *,
    work_dir: str | Path | None = None,
    out: str | Path | None = None,
    show_dir: str | Path | None = None,
    tta: bool = False,
    amp: bool = False,
    optimize: bool = False,
    cfg_options: dict[str, Any] | None = None,
    launcher: str = 'none',
    check_data: str = 'sample',
    verbose: bool = False,
) -> dict[str, float]:
    """Evaluate a checkpoint on the test data of a config and print the table of classes.

    Args:
        config: config file.
        checkpoint: weights of that config's model: a file, what `mmattn export` made of it, or the
            name of a model that MMSegmentation publishes, which is downloaded.
        work_dir: folder of the log; default `work_dirs/<config name>/test`.
        out: folder for predictions, an index PNG per image, and metrics.json (with the IoU of
            each class).
        show_dir: folder for pictures: image | ground truth | prediction.
        tta: average over the scales and flips of the config's `tta_pipeline`.
        amp: bfloat16 autocast on the CPU, float16 on GPUs.
        optimize: predict with a faster copy of the model, if its labels on the first images are
            those of the model, 99 % of them.
        cfg_options: overrides, dotted key to value.
        launcher: none, pytorch, slurm or mpi.
        check_data: how the data set is checked first: sample, full or off.
        verbose: print all of mmengine's log, which else goes to the log file.

    Returns:
        Metrics in percent: aAcc, mIoU, mAcc, ...; none where the images have no labels, because
        `test_dataloader.dataset.data_prefix.seg_map_path` is None or left out.

    Raises UserError for whatever can be known to be wrong before the first image.
    """
    with separate_run(), blame_options(config, cfg_options):
        cfg = load_config(config, cfg_options)
        require_keys(cfg, config, 'model', 'test_dataloader', 'test_evaluator', 'test_cfg')

        options.set_launcher(cfg, launcher)
        options.set_work_dir(cfg, work_dir or Path('work_dirs', Path(config).stem, 'test'))
        options.set_verbose(cfg, verbose)
        exported = is_exported(checkpoint)
        if exported and (amp or optimize):
            raise UserError(
                f'{checkpoint} is exported, and runs as it is: leave --amp and --optimize out'
            )
        if exported:
            drop_pretrained(cfg)
        cfg.load_from, cfg.resume = None if exported else str(checkpoint), False
        if amp and (not options.on_cpu() or mixed_precision_pays()):
            cfg.test_cfg.fp16 = True  # mmengine's name for autocast; on the CPU it is bfloat16
        if drop_labels(cfg) and not (out or show_dir or cfg.test_evaluator):
            raise UserError(
                'the test images have no labels, so there is nothing to measure: name a folder for '
                'predictions (--out) or pictures (--show-dir)'
            )
        options.check_picture_folders(cfg, out, show_dir)
        hooks = [SavePredictionsHook(out)] if out else []
        hooks += [PredictionPanelHook(show_dir)] if show_dir else []
        hooks += [OptimizeHook()] if optimize else []

        summary = ''
        if options.is_first_process(launcher):
            weights = None if exported else checkpoint
            summary = look_at(cfg, ['test_dataloader'], data=check_data, checkpoint=weights)

        model = cfg.model
        if exported:
            use_exported(cfg, checkpoint)
        if tta:  # after the look at the model, which this wraps
            options.use_tta(cfg)
        with explain_settings():
            runner = Runner.from_cfg(cfg)
            runner.test_loop  # noqa: B018  built here, to explain its errors
        average_in_turn(runner.model)
        class_values = keep_class_values(runner.test_evaluator)
        watch_testing(runner, model)
        for hook in hooks:
            runner.register_hook(hook)
        runner.introduce(summary)

        with explain_workers():
            metrics = {key: float(value) for key, value in runner.test().items()}
        if out and options.is_first_process(launcher):
            classes = runner.test_dataloader.dataset.metainfo.get('classes') or ()
            class_iou = percent_of_classes(class_values, 'IoU', classes)
            report = {'metrics': metrics, 'class_iou': class_iou}
            report |= {'config': str(config), 'checkpoint': str(checkpoint)}
            write_atomically(Path(out, 'metrics.json'), json.dumps(report, indent=2).encode())
        return metrics

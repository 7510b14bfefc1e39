"""Which labels a run may meet: those that its losses and metrics know."""

from collections.abc import Iterable

from mmengine.runner import Runner

from mmattn.datasets.watch import watch_labels
from mmattn.preflight.config import heads_of

VOID = 255  # what heads and metrics of mmseg leave out unless told otherwise


def watch_training(runner: Runner, model: dict) -> None:
    """Watch the labels that a built runner trains and validates on.

    Args:
        runner: With its loops built, and nothing read yet.
        model: The config of its model, not wrapped for test-time augmentation.
    """
    heads = [head.get('ignore_index', VOID) for _, head in heads_of(model)]
    _watch(runner.train_dataloader.dataset, model, heads)
    if runner.val_loop is not None:
        _watch(runner.val_dataloader.dataset, model, _left_out(runner.val_evaluator.metrics))


def watch_testing(runner: Runner, model: dict) -> None:
    """Watch the labels that a built runner tests on; as `watch_training`."""
    _watch(runner.test_dataloader.dataset, model, _left_out(runner.test_evaluator.metrics))


def _left_out(metrics: Iterable[object]) -> list[int]:
    return [getattr(metric, 'ignore_index', VOID) for metric in metrics]


def _watch(dataset: object, model: dict, ignored: list[int]) -> None:
    classes = [head['num_classes'] for _, head in heads_of(model) if head.get('num_classes')]
    if classes and ignored:
        everywhere = set(ignored) if len(set(ignored)) == 1 else set()
        watch_labels(dataset, min(classes), everywhere)

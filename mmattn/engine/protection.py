"""What every training of ``mmattn.apis.train`` has, whatever its config says."""

from mmengine.runner import Runner

from mmattn.engine.hooks.data_wait import DataWaitHook
from mmattn.engine.hooks.non_finite import NonFiniteHook
from mmattn.engine.hooks.rehearsal import RehearsalHook
from mmattn.engine.hooks.stop import StopHook
from mmattn.engine.settings import check_settings
from mmattn.signals import StopRequest


def protect(runner: Runner, request: StopRequest) -> None:
    """Have a run rehearse what comes later, skip steps of NaN, and save when a signal ends it.

    It tells of waiting for data, too.

    Raises UserError for wrong settings of its hooks.
    """
    check_settings(runner)
    hooks = [RehearsalHook(), DataWaitHook(), StopHook(request)]
    if not any(isinstance(hook, NonFiniteHook) for hook in runner.hooks):
        hooks.append(NonFiniteHook())
    for hook in hooks:
        runner.register_hook(hook)

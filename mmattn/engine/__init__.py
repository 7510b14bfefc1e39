"""Training pieces registered with mmengine; importing this makes them known to configs."""

from mmattn.compat import enable_safe_checkpoints

enable_safe_checkpoints()

from mmattn.engine.atomic_backend import AtomicLocalBackend  # noqa: E402
from mmattn.engine.autocast_optim_wrapper import AutocastOptimWrapper  # noqa: E402
from mmattn.engine.channels_last_hook import ChannelsLastHook  # noqa: E402
from mmattn.engine.cpu_distributed import CPUDistributedDataParallel  # noqa: E402
from mmattn.engine.curve_hook import CurveHook  # noqa: E402
from mmattn.engine.drop_stored_config_hook import DropStoredConfigHook  # noqa: E402
from mmattn.engine.progress_hook import ProgressHook  # noqa: E402
from mmattn.engine.safe_checkpoint_hook import SafeCheckpointHook  # noqa: E402
from mmattn.engine.save_predictions_hook import SavePredictionsHook  # noqa: E402

__all__ = [
    'AtomicLocalBackend',
    'AutocastOptimWrapper',
    'CPUDistributedDataParallel',
    'ChannelsLastHook',
    'CurveHook',
    'DropStoredConfigHook',
    'ProgressHook',
    'SafeCheckpointHook',
    'SavePredictionsHook',
]

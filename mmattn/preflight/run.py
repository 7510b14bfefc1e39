"""The third step of a run: look at everything that it needs before time is spent."""

from pathlib import Path

from mmengine.config import Config

from mmattn.preflight.checkpoint import check_checkpoint
from mmattn.preflight.data import check_data
from mmattn.preflight.model import look_at_model
from mmattn.preflight.pretrained import fetch_pretrained


def look_at(
    cfg: Config,
    loaders: list[str],
    *,
    data: str = 'sample',
    checkpoint: str | Path | None = None,
    resume: bool = False,
) -> str:
    """Look at data, model, and checkpoint or pretrained weights of a run.

    Args:
        cfg: The config, with all options applied.
        loaders: The data loaders whose data sets the run reads.
        data: How far the data sets are looked at: sample, full or off.
        checkpoint: What the run starts from; None for pretrained weights, which are downloaded
            last.
        resume: Whether training goes on from the checkpoint.

    Returns:
        A summary for people, some lines.

    Raises:
        UserError: Whatever can be known to be wrong.
    """
    summary = check_data(cfg, loaders, data)
    facts = look_at_model(cfg)
    if checkpoint is None:
        fetch_pretrained(cfg)
    else:
        check_checkpoint(checkpoint, cfg, facts.shapes, resume=resume)
    return f'{summary}\n{facts}'

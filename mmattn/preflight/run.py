"""The third step of a run: look at everything that it needs before time is spent."""

from pathlib import Path

from mmengine.config import Config

from mmattn.preflight.checkpoint import check_checkpoint, check_start
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
        checkpoint: What the run goes on from, or tests; None for a new training, from pretrained
            weights (which are downloaded) or the config's ``load_from``, which may fit in part.
        resume: Whether training goes on from the checkpoint.

    Returns:
        A summary for people, some lines.

    Raises:
        UserError: Whatever can be known to be wrong.
    """
    facts = look_at_model(cfg)
    start = []
    if checkpoint is not None:
        start = [check_checkpoint(checkpoint, cfg, facts.shapes, resume=resume)]
    summary = str(check_data(cfg, loaders, data))
    if checkpoint is None:
        start = fetch_pretrained(cfg, facts.shapes)
        start += [check_start(cfg.load_from, facts.shapes)] if cfg.get('load_from') else []
    return '\n'.join(filter(None, [summary, str(facts), *start]))

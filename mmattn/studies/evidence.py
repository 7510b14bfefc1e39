"""The evidence that is kept: a row for each finished run, in a CSV file that is committed."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from mmattn.errors import UserError
from mmattn.rows import append_row, read_rows
from mmattn.studies.plan import Study
from mmattn.studies.results import Measured, miou
from mmattn.studies.runs import Run

_KEY = slice(0, 4)  # study, variant, seed, digest


class EvidenceRow(NamedTuple):
    """A finished run. What is not known is empty.

    Attributes:
        study: Whose rows are compared with each other: a file of `configs/studies`, or a name for
            trainings that were started one by one.
        variant, seed: Which.
        digest: Of the merged config, wherever its data lies, and of the options; empty for a
            training of its own.
        config: Of a training of its own, in the checkout.
        options: Of the command, but for the seed.
        parameters: Of the model, auxiliary heads included.
        miou: Of the last checkpoint on the test data, in percent.
        seconds: Of training and test.
        class_iou: IoU of each class in percent, as JSON.
        commit: Of the package that ran; several where a run was resumed with another.
        versions: Of Python and packages, in words.
        machine: In words.
        note: What else must be known of it.
    """

    study: str
    variant: str
    seed: int
    digest: str
    config: str
    options: str
    parameters: int | None
    miou: float
    seconds: float | None
    class_iou: str
    commit: str
    versions: str
    machine: str
    note: str


def read_evidence(path: Path) -> list[EvidenceRow]:
    """The rows of a file; what holds something else is a mistake of the user."""
    try:
        return read_rows(path, EvidenceRow)
    except (ValueError, OSError) as error:
        raise UserError(f'{error}; name another file with --append') from error


def append_run(
    path: Path, study: Study, run: Run, parameters: Mapping[str, int]
) -> tuple[EvidenceRow, EvidenceRow] | None:
    """Add the row of a finished run to the file, unless it is there.

    Args:
        path: The CSV file.
        study: The study.
        run: Of it.
        parameters: Of the model of each variant.

    Returns:
        The row, and the one that the file has now, which is another where it had one of that
        variant, seed and config before. None where the run has measured nothing.
    """
    found = run.metrics()
    measured = Measured(run, **found) if found else None
    score = miou(measured) if measured else None
    if score is None:
        return None
    state, options = run.state(), '--amp' if run.amp else ''
    row = EvidenceRow(
        study=study.name,
        variant=run.variant,
        seed=run.seed,
        digest=study.variants[run.variant].portable_digest + options,
        config='',
        options=options,
        parameters=parameters.get(run.variant),
        miou=round(score, 4),
        seconds=round(state.get('train_seconds', 0) + state.get('test_seconds', 0), 1),
        class_iou=json.dumps(measured.class_iou, separators=(',', ':')),
        note='',
        **measured.origin,
    )
    return row, append_row(path, row, _KEY)


def current(rows: Iterable[EvidenceRow]) -> dict[str, dict[int, EvidenceRow]]:
    """Variant to seed to row, of the rows of a study that can be compared.

    With the options that most rows have, and of a variant whose config was changed those of the
    config that came last. Rows without a score, of earlier versions, are left out.
    """
    rows = [row for row in rows if not math.isnan(row.miou)]
    counts = Counter(map(_options, reversed(rows)))  # of as many, those that came last
    options = max(counts, key=counts.get, default='')
    rows = [row for row in rows if _options(row) == options]
    last = {row.variant: row.digest for row in rows}
    found: dict[str, dict[int, EvidenceRow]] = {}
    for row in rows:
        if row.digest == last[row.variant]:
            found.setdefault(row.variant, {})[row.seed] = row
    return found


def _options(row: EvidenceRow) -> str:
    """Of the run of a study; in a training of its own they may be what sets it apart."""
    return row.options if row.digest else ''

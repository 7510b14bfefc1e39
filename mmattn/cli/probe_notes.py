"""Why a result on a probe did not agree with its hypothesis, where that is known.

The page shows a note only where the cell was run and did not agree. By mechanism and probe.
"""

NOTES: dict[tuple[str, str], str] = {}

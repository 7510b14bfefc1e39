"""A process that ends with the one that started it, however that one ends, SIGKILL included.

It gets SIGTERM, at which a training saves a checkpoint. Linux alone can do this; elsewhere the next
start of a study ends what is left.
"""

import ctypes
import os
import signal
import sys

PARENT = 'MMATTN_STUDY_PROCESS'  # environment variable: number of the process that must live
_PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>


def end_with_parent(parent: int) -> None:
    """Have this process get SIGTERM when the one that started it ends; leave if it has ended."""
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(75)

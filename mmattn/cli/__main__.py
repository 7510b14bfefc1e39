"""`python -m mmattn.cli COMMAND ...` is `mmattn COMMAND ...`; a run of a study ends with it."""

import os

from mmattn.cli import main
from mmattn.parent import PARENT, end_with_parent

if __name__ == '__main__':
    if PARENT in os.environ:
        end_with_parent(int(os.environ.pop(PARENT)))
    main()

"""Files that are there in full or not at all."""

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from mmattn.files import replacing


@register_backend('local', prefixes='', force=True)
class AtomicLocalBackend(LocalBackend):
    """mmengine's local files, written beside their place and moved there when complete.

    Checkpoints are written through this class. mmengine's own opens the final name at once, so a
    run that is killed while it saves would leave half a checkpoint as its latest.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        with replacing(Path(filepath)) as unfinished:
            super().put(obj, unfinished)

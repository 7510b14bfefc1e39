"""What people name as input, as the images and videos that it stands for."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mmattn.errors import UserError

# What OpenCV reads, some of it only where it was built so; other files of a folder are left out.
IMAGES = {'.bmp', '.dib', '.jpeg', '.jpg', '.jpe', '.jp2', '.png', '.webp', '.avif', '.gif'}
IMAGES |= {'.pbm', '.pgm', '.ppm', '.pnm', '.pxm', '.pfm', '.sr', '.ras', '.tiff', '.tif', '.pic'}
IMAGES |= {'.exr', '.hdr'}
VIDEOS = {'.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg', '.wmv', '.flv', '.ts'}


@dataclass(frozen=True)
class Source:
    """An image, a video, or a camera.

    Attributes:
        place: The file, or the number of the camera.
        name: What its predictions are called, with folders, without suffix.
    """

    place: Path | int
    name: Path

    @property
    def moves(self) -> bool:
        """Whether it is a video or a camera."""
        return isinstance(self.place, int) or self.place.suffix.lower() in VIDEOS


def find_inputs(inputs: Iterable[str | Path], earlier: Iterable[Path] = ()) -> list[Source]:
    """The images and videos that files, folders, patterns and numbers of cameras stand for.

    Folders are searched with all that lies below them for images, behind links too, whatever the
    case of their suffix; hidden files are left out. Names keep the tree below the folder that was
    given. Where ``photo.jpg`` and ``photo.png`` meet, they keep their suffix in their name.

    Args:
        inputs: As given; a pattern is one such as ``photos/**/*.jpg``.
        earlier: Folders of predictions; what lies there is no input of a folder around them, or
            of a pattern.

    Raises:
        UserError: Nothing is found, or two inputs would be called the same.
    """
    places: dict[Path | int, Path] = {}
    seen = set()
    earlier = {folder.resolve() for folder in earlier}
    for given in inputs:
        for place, name in _expand(str(given), earlier):
            # Links are images of their own: stores by content keep equal ones as one file.
            key = place if isinstance(place, int) else os.path.abspath(place)
            if key not in seen:
                seen.add(key)
                places[place] = name
    if not places:
        raise UserError('there is no input: name images, folders, patterns, videos or a camera')
    return _named(places)


def _expand(given: str, earlier: set[Path]) -> Iterator[tuple[Path | int, Path]]:
    """Files that one input stands for, and their names with suffix."""
    path = Path(given)
    if path.is_dir():
        found = sorted(file for file in _below(path, earlier) if file.suffix.lower() in IMAGES)
        if not found:
            raise UserError(
                f'folder {path} holds no images: files with the suffix {", ".join(sorted(IMAGES))} '
                'were looked for, in capitals too'
            )
        yield from ((file, file.relative_to(path)) for file in found)
    elif path.is_file():
        yield path, Path(path.name)
    elif given.isdecimal():
        yield int(given), Path(f'camera_{given}')
    else:
        yield from _matching(given, earlier)


def _below(folder: Path, earlier: set[Path], around: frozenset = frozenset()) -> Iterator[Path]:
    """Files in a folder and below it, behind links too, but for those to a folder around them."""
    around |= {folder.resolve()}
    try:
        paths = list(folder.iterdir())
    except PermissionError:
        return
    for path in paths:
        if path.name.startswith('.'):
            continue
        if not path.is_dir():
            yield path
        elif path.resolve() not in earlier | around:
            yield from _below(path, earlier, around)


def _matching(pattern: str, earlier: set[Path]) -> Iterator[tuple[Path, Path]]:
    files = (Path(file) for file in sorted(glob.glob(pattern, recursive=True)))
    files = [file for file in files if file.suffix.lower() in IMAGES | VIDEOS and file.is_file()]
    parts = Path(pattern).parts
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), None)
    if fixed is None:
        raise UserError(f'input {pattern} is neither a file nor a folder')
    files = [file for file in files if earlier.isdisjoint(file.resolve().parents)]
    if not files:
        raise UserError(f'no image or video matches {pattern}')
    yield from ((file, file.relative_to(Path(*parts[:fixed]))) for file in files)


def _named(places: dict[Path | int, Path]) -> list[Source]:
    short = {place: name.with_suffix('') for place, name in places.items()}
    alike = Counter(short.values())
    names = {place: places[place] if alike[name] > 1 else name for place, name in short.items()}
    owners: dict[Path, Path | int] = {}
    for place, name in names.items():
        other = owners.setdefault(name, place)
        if other != place:
            raise UserError(
                f'{other} and {place} would both be called {name}: predict them one after the '
                'other, into two folders, or name the folder around them'
            )
    return [Source(place, name) for place, name in names.items()]

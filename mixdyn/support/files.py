"""Reading and writing the small TOML and NPZ files that hold mixtures and schedules."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import secrets
import shutil
import stat
import struct
import tokenize
import tomllib
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from .checks import describe
from .errors import FileError, InputError, shortened

FORMATS = (".toml", ".npz")
_LARGEST_TOML, _LARGEST_NPZ = 1e8, 1e9  # bytes, unpacked


def as_path(path: object) -> Path:
    """`path` as a Path; InputError for what names no file, FileError for what no file can have."""
    try:
        found = Path(path)  # type: ignore[arg-type]
        if b"\0" not in os.fsencode(found):
            return found
    except UnicodeEncodeError:
        pass
    except TypeError:
        raise InputError(
            "a file is named by a string or a pathlib.Path",
            f"{describe(path)} of type {type(path).__name__}",
            "Pass the path of the file.",
        ) from None
    raise FileError(
        "a file's name must have neither a null nor half a character",
        clipped(repr(path)),
        "Choose another name.",
    )


def check_output(path: str | os.PathLike[str], suffix: str | None = None) -> Path:
    """`path`, at which a file (with that ending) can be written later as far as can be known now:
    called before the work that fills it. FileError otherwise."""
    target = as_path(path)
    if suffix is not None and target.suffix.lower() != suffix:
        raise FileError(
            f"this output is a {suffix} file",
            clipped(target),
            f"Choose a name that ends in {suffix}.",
        )
    fault = _fault_of_output(target)
    if fault is not None:
        raise FileError(
            "the output must be a file in a folder that exists and is writable",
            f"{clipped(target)} ({fault})",
            "Create the folder or choose another name.",
        )
    return target


def _fault_of_output(target: Path) -> str | None:
    try:
        if stat.S_ISDIR(target.parent.stat().st_mode) and not os.access(target.parent, os.W_OK):
            return "the folder is not writable"
        if stat.S_ISDIR(target.stat().st_mode):
            return "it is a folder"
    except FileNotFoundError:
        return None if target.name and target.parent.is_dir() else "no such folder"
    except OSError as error:
        return str(error.strerror)
    return None


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Create a folder and those above it; FileError where that cannot be."""
    folder = as_path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            "an output folder must be creatable",
            f"{clipped(folder)} ({error.strerror})",
            "Choose another.",
        ) from None
    return folder


def clipped(path: object) -> str:
    """A path for an error message: the middle of a very long one is left out."""
    text = str(path)
    return text if len(text) <= 160 else f"{text[:80]}...{text[-60:]}"


def _check_suffix(path: Path) -> str:
    if path.suffix.lower() not in FORMATS:
        raise FileError(
            "a parameter file must end in .toml or .npz", str(path), "Rename or convert the file."
        )
    return path.suffix.lower()


def write_atomically(path: str | os.PathLike[str], write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it into place.

    An error or an interrupt leaves whatever stood at `path` before untouched. The temporary file
    has no name while it is filled, where the file system can do that, and is given that of a new
    file at once: a killed process leaves none, but where it was just about to replace a file.
    """
    target = as_path(path)
    # Not tempfile: its files are private to the user, a result should follow the umask. The name
    # is short, so that every name that the system allows has its draft.
    draft = target.parent / f".{secrets.token_hex(8)}.draft"
    try:
        handle = _nameless(target.parent) or draft.open("xb")
    except OSError as error:
        raise FileError(
            "the folder of an output file must exist and be writable",
            f"{clipped(target)} ({error.strerror})",
            "Create the folder or choose another path.",
        ) from None
    try:
        with handle:
            write(handle)
            handle.flush()
            number: object = handle.name
            named = _named(number, target, draft) if isinstance(number, int) else draft
        if named != target:
            draft.replace(target)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise FileError(
                "an output file must be writable",
                f"{clipped(target)} ({error.strerror})",
                "Choose another path.",
            ) from None
        raise


def _nameless(folder: Path) -> IO[bytes] | None:
    """A new file in a folder without a name, None where the system or its disk has no such."""
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None or not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.fdopen(os.open(folder, os.O_RDWR | os.O_CLOEXEC | flag, 0o666), "wb")
    except OSError:  # with a name it is refused for the true reason, or not at all
        return None


def _named(file: int, target: Path, draft: Path) -> Path:
    """Give a nameless file the name of its target, or of a draft where that is taken; that has its
    contents where the system gives no names. Which of them it is."""
    own = f"/proc/self/fd/{file}"
    here = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path in (target, draft):
            # The unused `src_dir_fd` makes Python follow the link of /proc, as its plain call
            # does not.
            with contextlib.suppress(FileExistsError):
                os.link(own, path, src_dir_fd=here, follow_symlinks=True)
                return path
    except OSError:
        shutil.copyfile(own, draft)
    finally:
        os.close(here)
    return draft


def lock(held: int, rule: str, received: str) -> None:
    """Keep an open file or folder to this run until it is closed. FileError by that rule, and the
    file is closed, where another run keeps it; nothing where the system or its disk has no locks.
    """
    try:
        import fcntl

        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise FileError(rule, received, "Wait for it or choose another folder.") from None
    except (ImportError, OSError):
        pass


@contextlib.contextmanager
def one_run_in(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Inside the block no other run is in such a block with this folder; FileError where one is.

    It is the folder that is locked, so a killed run leaves nothing. Where the system or its disk
    has no locks, there are none.
    """
    place = as_path(folder)
    try:
        held = os.open(place, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        yield
        return
    rule = "one run at a time goes on in a folder"
    lock(held, rule, f"{clipped(place)}, in which another is under way")
    try:
        yield
    finally:
        os.close(held)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    data = text.encode("utf-8")
    write_atomically(path, lambda handle: handle.write(data))


def _read_toml(path: Path) -> dict[str, Any]:
    _check_size(path, path.stat().st_size, _LARGEST_TOML)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # also over-long integers, endless brackets
        raise FileError(
            "a .toml file must be valid TOML", f"{path} ({error})", "Correct that line."
        ) from None


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as handle, zipfile.ZipFile(handle) as archive:
            members = archive.infolist()
            _check_size(path, sum(member.file_size for member in members), _LARGEST_NPZ)
            return {
                member.filename.removesuffix(".npy"): _read_member(archive, member)
                for member in members
            }
    except FileError:
        raise
    except NPZ_FAULTS as error:
        raise FileError(
            "a .npz file must be an archive of plain named arrays (pickled objects are refused)",
            f"{path} ({shortened(error)})",
            "Write it with numpy.savez from float arrays.",
        ) from None


# What NumPy and zipfile raise on damaged, encrypted or foreign archives. The header of an array is
# a Python literal that NumPy evaluates: a broken one fails in the tokenizer, the parser, or where
# its values are used.
NPZ_FAULTS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Any:
    with archive.open(member) as stream:
        shape, dtype = _read_header(stream)
        # Before the memory is asked for: a header may promise any number of entries.
        size, held = math.prod(shape) * dtype.itemsize, member.file_size - stream.tell()
        if min(shape, default=0) < 0 or size != held:
            raise ValueError(f"{member.filename} promises {size} bytes and holds {held}")
        stream.seek(0)
        value = np.lib.format.read_array(stream, allow_pickle=False)
    return value.item() if value.ndim == 0 else value


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the array in a .npy stream."""
    version = np.lib.format.read_magic(stream)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:  # later ones hold records with names, which no plain array has
        raise ValueError(f"format version {version} is not one of {list(readers)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about headers of Python 2, which can be read
        shape, _, dtype = readers[version](stream)
    return shape, dtype


def _check_size(path: Path, size: int, limit: float) -> None:
    if size > limit:
        raise FileError(
            f"a file of this kind must hold at most {limit:g} bytes",
            f"{size:.3g} bytes in {clipped(path)}",
            "Check that it is the file you mean.",
        )


def read_parameters(
    path: str | os.PathLike[str], known: frozenset[str], required: frozenset[str]
) -> dict[str, Any]:
    """The named values in a TOML or NPZ file; unknown and missing keys are errors."""
    source = as_path(path)
    reader = _read_toml if _check_suffix(source) == ".toml" else _read_npz
    try:
        if stat.S_ISFIFO(source.stat().st_mode):  # opening one waits for its writer, if any
            raise OSError(errno.EINVAL, "a pipe, not a file")
        values = reader(source)
    except OSError as error:
        raise FileError(
            "a parameter file must exist and be readable",
            f"{clipped(source)} ({error.strerror})",
            "Check the path.",
        ) from None
    unknown, missing = sorted(set(values) - known), sorted(required - set(values))
    if unknown or missing:
        fault = f"unknown keys {unknown}" if unknown else f"missing keys {missing}"
        raise FileError(
            f"a file of this kind has the keys {sorted(known)}",
            f"{fault} in {source}",
            "Correct the names." if unknown else "Add them.",
        )
    return values


def write_parameters(path: str | os.PathLike[str], values: Mapping[str, Any]) -> None:
    """Write named numbers, strings and arrays so that reading them back gives the same bits."""
    target = as_path(path)
    if _check_suffix(target) == ".npz":
        write_atomically(target, lambda handle: np.savez(handle, **values))
        return
    import tomli_w

    plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}
    write_atomically(target, lambda handle: tomli_w.dump(plain, handle))

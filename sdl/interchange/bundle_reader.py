"""A bundle out of nobody knows whose hands: opened without writing anything, checked against its manifest.

No member is unpacked to the disk, none is read beyond what it may be, and only names that a bundle has are accepted.
"""

import hashlib
import json
import stat
import zipfile
import zlib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sdl.errors import InvalidInput
from sdl.formatting import format_value
from sdl.interchange.bundle_writer import MANIFEST, MAY_BE, REQUIRED, SCHEMA, inside_crate
from sdl.interchange.crate import METADATA
from sdl.interchange.evidence import CAMPAIGN, LINES

LARGEST = 1_000_000_000
"""Bytes of the file."""
UNPACKED = 3_000_000_000
"""Bytes of all that is in it."""
INFLATION = 30
"""Times that the content may be as large as the file, where that of campaigns is 5 to 20 times; what is small may be
more."""
SMALL = 10_000_000
MOST_MEMBERS = 100
MOST_LISTED = 100_000
"""Bytes of the list of members at the end of the file."""
CHUNK = 1 << 20
KEPT = {CAMPAIGN, *LINES}
"""Members that are needed for recomputing; of the others only the hash is."""


class _Listed(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]


class Manifest(BaseModel):
    """What a bundle says of itself."""

    model_config = ConfigDict(strict=True, extra="forbid")
    bundle: int
    campaign: str
    written_by: Annotated[str, Field(alias="written by")]
    files: dict[str, _Listed]


def read_bundle(path: str | Path) -> dict[str, bytes]:
    """Return the members of a bundle that are needed for recomputing it, by name, after every one was checked.

    Raises:
        InvalidInput: if it is no bundle; naming every member that is missing, too many or not as the manifest says.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise InvalidInput(f"{path} is no file: give a bundle that 'sdl bundle' wrote")
        if (size := path.stat().st_size) > LARGEST:
            raise InvalidInput(f"{path} has {size} bytes; a bundle has at most {LARGEST}")
        _few_members(path, size)
        with zipfile.ZipFile(path) as archive:
            return _checked(archive, _members(archive, path, size), path)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InvalidInput(f"{path} is no bundle: {error}") from error
    except (UnicodeError, ValueError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"{path} is no bundle: {error}") from error
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror or error}") from error


def _few_members(path: Path, size: int) -> None:
    """Refuse a list of members that is too long to be read, before it is."""
    with path.open("rb") as file:
        file.seek(max(size - 42, 0))
        end = file.read(42)
    if end[-22:-18] != b"PK\5\6" or end[:4] == b"PK\6\7":
        raise InvalidInput(f"{path} is no bundle: it does not end as one does, so it is cut off or something else")
    members, list_bytes = int.from_bytes(end[-12:-10], "little"), int.from_bytes(end[-10:-6], "little")
    if members > MOST_MEMBERS or list_bytes > MOST_LISTED:
        raise InvalidInput(f"{path} is no bundle: it lists {members} members in {list_bytes} bytes")


def _members(archive: zipfile.ZipFile, path: Path, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name, if each is one that a bundle may have.

    Raises:
        InvalidInput: listing all that is wrong.
    """
    faults, members = list[str](), dict[str, zipfile.ZipInfo]()
    names = inside_crate(info.orig_filename for info in archive.infolist())
    for info in archive.infolist():
        name, mode = names[info.orig_filename], info.external_attr >> 16
        if name in members:
            faults.append(f"{format_value(name)} is there twice")
        elif stat.S_IFMT(mode) not in (0, stat.S_IFREG) or name.endswith("/"):
            faults.append(f"{format_value(name)} is no plain file")
        elif info.flag_bits & 1:
            faults.append(f"{format_value(name)} is encrypted")
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            faults.append(f"{format_value(name)} is packed in a way that bundles are not")
        elif name not in {MANIFEST, *MAY_BE} and not (name == METADATA != info.orig_filename):
            faults.append(f"{format_value(name)} is extra: no bundle of schema {SCHEMA} has such a file")
        members[name] = info
    if (unpacked := sum(info.file_size for info in members.values())) > min(UNPACKED, max(SMALL, INFLATION * size)):
        faults.append(f"it would unpack to {unpacked} bytes, which is too much for a file of {size}")
    if MANIFEST not in members:
        faults.append(f"{MANIFEST} is missing")
    if faults:
        raise InvalidInput([f"{path} is no bundle: {fault}" for fault in faults])
    return members


def _checked(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], path: Path) -> dict[str, bytes]:
    manifest = _manifest(archive, members[MANIFEST])
    names = members.keys() - {MANIFEST}
    faults = [f"{name} is missing" for name in sorted((REQUIRED | manifest.files.keys()) - names)]
    faults += [f"{name} is extra: the manifest does not list it" for name in sorted(names - manifest.files.keys())]
    contents = dict[str, bytes]()
    for name in sorted(names & manifest.files.keys()):
        entry = manifest.files[name]
        content, digest, size = _content(archive, members[name], keep=name in KEPT)
        if (digest, size) != (entry.sha256, entry.bytes):
            why = "it cannot be unpacked" if not digest else f"SHA-256 {digest[:12]}… for {entry.sha256[:12]}…"
            faults.append(f"{name} is not what the manifest says: {why}")
        contents[name] = content
    if faults:
        raise InvalidInput([f"{path}: {fault}" for fault in faults])
    return {name: contents[name] for name in KEPT}


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, *, keep: bool) -> tuple[bytes, str, int]:
    """A member, its hash (empty if it cannot be unpacked) and its size; it is never read beyond its stated size."""
    digest, size, parts = hashlib.sha256(), 0, list[bytes]()
    try:
        with archive.open(info) as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                parts += [chunk] if keep else []
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError, ValueError):
        return b"", "", size
    return b"".join(parts), digest.hexdigest(), size


def _manifest(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Manifest:
    if info.file_size > MOST_LISTED:
        raise InvalidInput(f"{MANIFEST} has {info.file_size} bytes; it needs at most {MOST_LISTED}")
    content, digest, _ = _content(archive, info, keep=True)
    try:
        document = json.loads(content) if digest else None
        version: object = document.get("bundle") if isinstance(document, dict) else None
        if isinstance(version, int) and version != SCHEMA:
            raise InvalidInput(f"this bundle has schema {version}, this program reads schema {SCHEMA}")
        manifest = Manifest.model_validate(document)
    except (ValidationError, RecursionError, UnicodeError, json.JSONDecodeError) as error:
        fault = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise InvalidInput(f"{MANIFEST} is not what a bundle has: {fault.lower()}") from error
    return manifest

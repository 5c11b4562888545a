"""Models from Hugging Face: resumable, checked by the checksum that the hub or the catalogue tells."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .files import Progress, PullFailed, check, held, need_room, place

PREFERRED = ("q4_k_m", "q4_k_s", "q4_0", "q5_k_m", "q8_0")
"""Kinds of file to take first when a repository has several: small and still good."""


def fetch(repo: str, file: str, target: Path, sha256: str | None, progress: Progress) -> None:
    """Fetch one file of a repository to `target`; goes on where an earlier try ended. Raises `PullFailed`."""
    progress("asking Hugging Face", 0, 0)
    size, known = _facts(repo, file)
    need_room(target.parent, size)
    folder = target.parent / ".fetching" / target.name
    with held(target.parent, progress):
        if target.is_file() and target.stat().st_size == size:
            return  # another one fetched it meanwhile
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = _download(repo, file, folder, progress)
        try:
            check(part, sha256 or known, progress)
            place(part, target, progress)
        finally:
            # Whole, or not what it should be: either way of no more use.
            shutil.rmtree(folder, ignore_errors=True)


def choose_file(repo: str) -> str:
    """The file to take from a repository when none was named. Raises `PullFailed`."""
    from huggingface_hub import HfApi

    with _Sentences(repo):
        _facts(repo, "README.md", needed=False)  # fails at once offline, where listing would try for long
        names = HfApi().list_repo_files(repo)
    return preferred(repo, names)


def preferred(repo: str, names: Sequence[str]) -> str:
    """The best choice among a repository's files. Raises `PullFailed`."""
    models = [
        name for name in names if name.endswith(".gguf") and "mmproj" not in name and "-of-0" not in name
    ]
    if not models:
        raise PullFailed(f"{repo} has no single GGUF file. Choose a repository whose name ends in GGUF.")
    return min(models, key=lambda name: (_rank(name), len(name)))


def _rank(name: str) -> int:
    found = (rank for rank, kind in enumerate(PREFERRED) if kind in name.lower())
    return next(found, len(PREFERRED))


def _facts(repo: str, file: str, *, needed: bool = True) -> tuple[int, str | None]:
    """Size in bytes and SHA-256, as the hub tells them."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    with _Sentences(repo):
        try:
            facts = get_hf_file_metadata(hf_hub_url(repo, file), retry_on_errors=False)
        except EntryNotFoundError:
            if not needed:
                return 0, None
            raise PullFailed(f"{repo} has no file {file}. Look at https://huggingface.co/{repo}.") from None
    etag = facts.etag or ""
    return facts.size or 0, etag if len(etag) == 64 else None


def _download(repo: str, file: str, folder: Path, progress: Progress) -> Path:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import hf_hub_download
    from tqdm import tqdm  # type: ignore[import-untyped]  # it has no stubs

    class Bar(tqdm):  # type: ignore[misc]  # as above
        """Tells our progress instead of drawing."""

        def update(self, n: float | None = 1) -> None:
            super().update(n)
            progress("fetching", int(self.n), int(self.total or 0))

        def display(self, *_: Any, **__: Any) -> None:
            """Draws nothing."""

    with _Sentences(repo):
        return Path(hf_hub_download(repo, file, local_dir=folder, tqdm_class=Bar))


class _Sentences:
    """Turns what the hub's client raises into sentences."""

    def __init__(self, repo: str) -> None:
        self._repo = repo

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

        if not isinstance(error, Exception) or isinstance(error, PullFailed):
            return
        if isinstance(error, GatedRepoError):
            raise PullFailed(
                f"{self._repo} wants its terms accepted: do so on https://huggingface.co/{self._repo}, "
                "then `hf auth login`, and try again."
            ) from None
        if isinstance(error, HFValidationError | RepositoryNotFoundError):
            raise PullFailed(
                f"Hugging Face has no repository {self._repo!r}. Give NAME or OWNER/NAME[:FILE]; "
                "`jota models list` shows names."
            ) from None
        raise PullFailed(
            f"Hugging Face cannot be reached ({type(error).__name__}). What came so far is kept: run the "
            "same command again when the network is back. A model file at hand also does: "
            "`jota models pull /path/to/model.gguf`."
        ) from None

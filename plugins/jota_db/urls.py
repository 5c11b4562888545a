"""Addresses of stores, as they stand in `jota.yaml` and on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

FILE = "sqlite:///"
SERVERS = ("postgresql", "postgres", "postgresql+asyncpg")


@dataclass(frozen=True)
class StoreUrl:
    """`sqlite:///…` or `postgresql://…`."""

    text: str

    def __str__(self) -> str:
        """Without the password."""
        if self.is_file:
            return self.text
        parts = urlsplit(self.text)
        return f"postgresql://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"

    @property
    def is_file(self) -> bool:
        """Whether it is an SQLite file."""
        return self.text.startswith(FILE)

    @property
    def dsn(self) -> str:
        """As PostgreSQL's own clients write it; what SQLAlchemy adds to the scheme is left out."""
        return "postgresql://" + self.text.partition("://")[2]

    def path(self, data_dir: Path) -> Path:
        """The file; a relative one lies in `data_dir`."""
        return data_dir / self.text.removeprefix(FILE)

    def check(self) -> None:
        """Raises `ValueError` with a sentence for what no store can be opened at."""
        scheme, _, rest = self.text.partition("://")
        if self.is_file and self.text[len(FILE) :].strip("/"):
            return
        if scheme in SERVERS and urlsplit(f"postgresql://{rest}").path.strip("/"):
            return
        raise ValueError(
            'not a store that this version can open; write a file as "sqlite:///jota.db" (in the data '
            'folder) or "sqlite:////srv/jota/jota.db" (anywhere), a database as '
            '"postgresql://user:password@server/jota"'
        )

"""The index of words, in each database's own words: FTS5 on SQLite, tsvector and GIN on PostgreSQL."""

from __future__ import annotations

from sqlalchemy import Connection, text

SQLITE = (
    'CREATE VIRTUAL TABLE message_search USING fts5(words, tokenize = "unicode61 remove_diacritics 0")',
    "CREATE TRIGGER message_search_gone AFTER DELETE ON messages BEGIN "
    "DELETE FROM message_search WHERE rowid = old.turn_seq * 2 + old.position; END",
)
POSTGRESQL = (
    "CREATE TABLE message_search (turn_seq BIGINT NOT NULL, position INTEGER NOT NULL, "
    "words TSVECTOR NOT NULL, PRIMARY KEY (turn_seq, position), "
    "FOREIGN KEY (turn_seq, position) REFERENCES messages (turn_seq, position) ON DELETE CASCADE)",
    "CREATE INDEX message_search_words ON message_search USING gin (words)",
)


def make_search(connection: Connection) -> None:
    """Make it."""
    for words in SQLITE if connection.dialect.name == "sqlite" else POSTGRESQL:
        connection.execute(text(words))

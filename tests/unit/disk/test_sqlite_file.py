from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from sync_agent.disk.sqlite_file import FileKind, SqliteFile
from sync_agent.errors import StoreError

KIND = FileKind(
    name="address book",
    setting="state.book",
    version=1,
    schema="CREATE TABLE IF NOT EXISTS entry(name TEXT PRIMARY KEY);",
    synchronous="FULL",
    wait_s=0.1,
    when_full="old entries stay",
)
ADD = "INSERT INTO entry VALUES(?)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "book?.db"


def names(file: SqliteFile) -> list[str]:
    return [name for (name,) in file.rows("SELECT name FROM entry ORDER BY name")]


def test_what_was_stored_is_there_after_a_reopen(path: Path) -> None:
    file = SqliteFile(path, KIND)
    with file.transaction() as db:
        db.execute(ADD, ("a",))
    file.close()
    again = SqliteFile(path, KIND)
    assert names(again) == ["a"]
    again.close()
    assert path.exists()


def test_a_transaction_that_fails_changes_nothing_and_the_next_one_may(path: Path) -> None:
    file = SqliteFile(path, KIND)
    with pytest.raises(KeyError), file.transaction() as db:  # noqa: PT012 - the write has to be there
        db.execute(ADD, ("a",))
        raise KeyError
    assert names(file) == []
    with file.transaction() as db:
        db.execute(ADD, ("b",))
    assert names(file) == ["b"]
    file.close()


def test_a_writer_that_waits_too_long_for_another_says_so(path: Path) -> None:
    one, other = SqliteFile(path, KIND), SqliteFile(path, KIND)
    locked = pytest.raises(StoreError, match=r"address book .*book\?\.db: database is locked")
    with one.transaction() as db:
        db.execute(ADD, ("a",))
        with locked, other.transaction():
            raise AssertionError("both write")
        assert names(other) == []
    one.close()
    other.close()


def test_what_is_only_read_is_neither_made_nor_written(path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open"):
        SqliteFile(path, KIND, readonly=True)
    assert not path.parent.exists()
    SqliteFile(path, KIND).close()
    reader = SqliteFile(path, KIND, readonly=True)
    with pytest.raises(StoreError, match="readonly"), reader.transaction() as db:
        db.execute(ADD, ("a",))
    reader.close()


def test_a_file_that_somebody_is_about_to_write_reads_as_an_empty_one(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    reader = SqliteFile(path, KIND, readonly=True)
    assert reader.rows("SELECT * FROM entry") == []
    with pytest.raises(StoreError, match="readonly"), reader.transaction() as db:
        db.execute(ADD, ("a",))
    reader.close()
    assert path.read_bytes() == b""


@pytest.mark.parametrize("readonly", [False, True])
def test_a_file_of_another_version_is_refused(path: Path, readonly: bool) -> None:
    SqliteFile(path, replace(KIND, version=2)).close()
    with pytest.raises(StoreError, match=r"book\?\.db is of version 2, this is 1") as caught:
        SqliteFile(path, KIND, readonly=readonly)
    assert "state.book" in caught.value.remedy


def test_a_file_that_is_no_database_is_refused_and_kept(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match=r"address book .*: file is not a database"):
        SqliteFile(path, KIND)
    assert path.read_bytes().startswith(b"not a database")


def test_a_folder_that_cannot_be_made_is_named(path: Path) -> None:
    path.parent.write_text("a file")
    with pytest.raises(StoreError, match="address book") as caught:
        SqliteFile(path, KIND)
    assert caught.value.remedy == (
        "check that the folder exists and may be written, or set state.book"
    )


def test_a_full_disk_is_told_as_one(path: Path) -> None:
    file = SqliteFile(path, KIND)
    # SQLite's own page ceiling gives the very error a full disk gives.
    file.rows(f"PRAGMA max_page_count={file.rows('PRAGMA page_count')[0][0]}")
    with pytest.raises(StoreError, match="full") as caught, file.transaction() as db:
        db.execute(ADD, ("a" * 100_000,))
    assert caught.value.remedy == "free space on that disk; old entries stay"
    assert names(file) == []
    file.close()


@pytest.mark.parametrize("across", [False, True])
def test_another_thread_may_use_it_only_if_its_kind_says_so(path: Path, across: bool) -> None:
    file = SqliteFile(path, replace(KIND, across_threads=across))
    refused: list[StoreError] = []

    def read() -> None:
        try:
            names(file)
        except StoreError as error:
            refused.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert bool(refused) is not across
    file.close()

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw
import pytest

from sync_agent.errors import StoreError
from sync_agent.stub.adt.store import TwinDb
from tests.unit.stub.adt.plane import MODELS

FLOOR = "dtmi:t:Floor;1"


def document(twin_id: str, **properties: Any) -> dict[str, Any]:
    return {"$dtId": twin_id, "$etag": "x", **properties, "$metadata": {"$model": FLOOR}}


def fill(db: TwinDb, count: int) -> None:
    for number in range(count):
        with db.writing():
            db.put_twin(document(f"t{number}"))


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    db = TwinDb(tmp_path / "adt.db")
    with db.writing():
        for model in MODELS:
            db.add_model(model["@id"], model, "2026-01-01T00:00:00+00:00")
        db.decommission_model(FLOOR)
        db.put_twin(document("a", label="ü"))
        db.put_relationship(
            {"$sourceId": "a", "$relationshipId": "r", "$relationshipName": "n", "$targetId": "b"}
        )
    db.close()
    db = TwinDb(tmp_path / "adt.db")
    assert [model.document for model in db.models()] == MODELS
    assert [model.decommissioned for model in db.models()] == [False, False, False, True]
    assert set(db.registry.ids) == {model["@id"] for model in MODELS}
    assert db.twin("a") == document("a", label="ü")
    assert db.model_of("a") == FLOOR
    assert db.relationship("a", "r") is not None
    assert db.is_connected("b")
    db.close()


def test_a_write_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    db = TwinDb(tmp_path / "adt.db")

    def write() -> None:
        with db.writing():
            db.put_twin(document("a"))
            db.put_twin({"$dtId": "no model"})

    with pytest.raises(KeyError):
        write()
    assert db.twin("a") is None
    db.close()


def test_each_write_survives_the_death_of_the_process(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; sys.path.insert(0, os.getcwd());"
        "from sync_agent.stub.adt.store import TwinDb;"
        "from tests.unit.stub.adt.test_store import fill;"
        "db = TwinDb(Path(sys.argv[1])); fill(db, 500); os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "adt.db"
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False, timeout=60)
    assert done.returncode == -9
    db = TwinDb(path)
    assert db.select("SELECT count(*) FROM twins", ()) == [(500,)]
    assert db.select("PRAGMA integrity_check", ()) == [("ok",)]
    db.close()


def test_writes_do_not_wait_for_the_disk_but_the_file_is_safe(tmp_path: Path) -> None:
    db = TwinDb(tmp_path / "adt.db")
    settings = [
        db.select(f"PRAGMA {name}", ())[0][0]
        for name in ("journal_mode", "synchronous", "locking_mode")
    ]
    assert settings == ["wal", 1, "exclusive"]
    db.close()


def test_a_full_disk_fails_the_write_alone(tmp_path: Path) -> None:
    db = TwinDb(tmp_path / "adt.db")
    fill(db, 10)
    pages = db.select("PRAGMA page_count", ())[0][0]
    db.select(f"PRAGMA max_page_count = {pages + 2}", ())
    with pytest.raises(StoreError, match="full") as caught:
        fill(db, 1_000)
    assert caught.value.remedy == "free space on its disk"
    assert str(tmp_path) in caught.value.message
    db.select("PRAGMA max_page_count = 1000000", ())
    fill(db, 1_000)
    assert db.select("SELECT count(*) FROM twins", ()) == [(1_000,)]
    assert db.select("PRAGMA integrity_check", ()) == [("ok",)]
    db.close()


def test_a_file_system_that_takes_no_more_fails_the_write_alone(tmp_path: Path) -> None:
    script = (
        "import os, resource, sys; from pathlib import Path; sys.path.insert(0, os.getcwd());"
        "from sync_agent.errors import StoreError;"
        "from sync_agent.stub.adt.store import TwinDb;"
        "from tests.unit.stub.adt.test_store import fill;"
        "db = TwinDb(Path(sys.argv[1]));"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "try: fill(db, 10_000)\n"
        "except StoreError as error: print(error.message); sys.exit(7)"
    )
    path = tmp_path / "adt.db"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, str(path) in done.stdout) == (7, True), done.stderr
    db = TwinDb(path)
    assert db.select("PRAGMA integrity_check", ()) == [("ok",)]
    fill(db, 100)
    db.close()


def test_a_second_process_is_refused_the_file(tmp_path: Path) -> None:
    db = TwinDb(tmp_path / "adt.db")
    with pytest.raises(StoreError) as caught:
        TwinDb(tmp_path / "adt.db")
    assert "stop the other stub" in caught.value.remedy
    db.close()
    TwinDb(tmp_path / "adt.db").close()


def test_a_file_that_is_no_store_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "adt.db"
    path.write_bytes(b"no database at all, but long enough to look at" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"adt\.db"):
        TwinDb(path)
    assert path.read_bytes() == before


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    other = apsw.Connection(str(tmp_path / "adt.db"))
    other.execute("PRAGMA user_version=99")
    other.close()
    with pytest.raises(StoreError, match="format 99") as caught:
        TwinDb(tmp_path / "adt.db")
    assert "--data-dir" in caught.value.remedy


def test_a_folder_that_cannot_be_made_is_named() -> None:
    with pytest.raises(StoreError, match="/proc/nowhere"):
        TwinDb(Path("/proc/nowhere/adt.db"))


def test_models_of_orphaned_twins_are_found_too() -> None:
    db = TwinDb(None)
    fill(db, 3)
    with db.writing():
        db.put_twin({**document("b"), "$metadata": {"$model": "dtmi:t:Floor;2"}})
        db.put_twin({**document("c"), "$metadata": {"$model": "dtmi:t:Other;1"}})
    assert sorted(db.models_of("dtmi:t:Floor;1", False)) == ["dtmi:t:Floor;1", "dtmi:t:Floor;2"]
    assert db.models_of("dtmi:t:Floor;1", True) == ["dtmi:t:Floor;1"]
    db.close()


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ue000", "😀", "\u2028", '"', "\\", "'"])
def test_any_text_is_kept_as_it_is(text: str) -> None:
    db = TwinDb(None)
    with db.writing():
        db.put_twin(document("a", label=text, tags={"k": [text]}))
    assert db.twin("a") == document("a", label=text, tags={"k": [text]})
    db.close()

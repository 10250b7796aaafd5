"""The wheel runs without the checkout it was built from."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds what the wheel holds."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=100)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_ships_every_model_and_every_default(unpacked: Path) -> None:
    models = {p.relative_to(ROOT / "dtdl_models") for p in (ROOT / "dtdl_models").rglob("*.json")}
    defaults = {p.name for p in (ROOT / "sync_agent/defaults").iterdir()}

    shipped = unpacked / "sync_agent/_models"
    assert {p.relative_to(shipped) for p in shipped.rglob("*.json")} == models
    assert {p.name for p in (unpacked / "sync_agent/defaults").iterdir()} == defaults
    assert {"bindings.toml", "health.toml", "flags.toml"} <= defaults
    assert (unpacked / "sync_agent/py.typed").is_file()


def test_an_installed_agent_finds_what_it_ships(unpacked: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sync_agent", "config", "show", "--output", "json"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    values = {row["setting"]: row["value"] for row in json.loads(done.stdout)}
    for key in ("models.path", "telemetry.bindings", "health.profiles", "flags.queries"):
        assert Path(values[key]).is_relative_to(unpacked)
        assert Path(values[key]).exists()

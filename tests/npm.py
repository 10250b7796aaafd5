"""Packages of the npm registry for tests, installed when a test asks for them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.outside import absent

INSTALL_S = 300


def installed(folder: Path, package: str) -> Path:
    """Install a package (``name@version``) into a folder and return its ``node_modules``.

    The test is skipped where that is not possible, and fails in CI.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _npm(folder, ["install", "--silent", package], package)
    return folder / "node_modules"


def locked(source: Path, folder: Path) -> Path:
    """Copy a folder that has a package-lock.json, and install there exactly what it locks.

    Returns the copy; else as ``installed``.
    """
    copy = shutil.copytree(source, folder, dirs_exist_ok=True)
    _npm(copy, ["ci"], f"what {source.name} needs")
    return copy


def run_script(script: Path, *arguments: str, within_s: float, **environment: str) -> list[str]:
    """Run a script of ours in Node.js and return the words it printed."""
    node = shutil.which("node")
    assert node is not None
    done = subprocess.run(
        [node, str(script), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def _npm(folder: Path, command: list[str], wanted: str) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        absent(f"{wanted} needs Node.js with npm")
    done = subprocess.run(
        [npm, *command, "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=INSTALL_S,
        check=False,
    )
    if done.returncode:
        absent(f"npm could not install {wanted}: {done.stderr.strip()[-300:]}")

"""Packages of the npm registry for tests, installed when a test asks for them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.outside import absent

INSTALL_S = 300


def installed(folder: Path, package: str) -> Path:
    """Install a package (``name@version``) into a folder and return its ``node_modules``.

    The test is skipped where that is not possible, and fails in CI.
    """
    npm = shutil.which("npm")
    if npm is None:
        absent(f"{package} needs Node.js with npm")
    folder.mkdir(parents=True, exist_ok=True)
    install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
    done = subprocess.run(
        [*install, "--prefix", str(folder), package],
        capture_output=True,
        text=True,
        timeout=INSTALL_S,
        check=False,
    )
    if done.returncode:
        absent(f"npm could not install {package}: {done.stderr.strip()[-300:]}")
    return folder / "node_modules"

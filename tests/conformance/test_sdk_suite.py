"""The own test suite of azure-digitaltwins-core, unmodified, against the stub.

The source distribution on PyPI carries it. It is fetched when the test runs, for the version that
is installed, and nothing of it is kept here; ``sdk_shim`` stands in for Azure's test tools.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.outside import absent
from tests.stubs import running_stub

SHIM = Path(__file__).parent / "sdk_shim"
FIDELITY = Path(__file__).parents[2] / "docs" / "stub-fidelity.md"
PACKAGE = "azure-digitaltwins-core"
FETCH_S = 300
RUN_S = 600

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the SDK's tests."""
    folder = tmp_path_factory.mktemp("sdist")
    wanted = f"{PACKAGE}=={version(PACKAGE)}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", PACKAGE, "--dest", str(folder), wanted]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S, check=False)
    found = list(folder.glob("*.tar.gz"))
    if done.returncode or not found:
        absent(f"{wanted} could not be fetched from PyPI: {done.stderr.strip()[-300:]}")
    with tarfile.open(found[0]) as archive:
        archive.extractall(folder, filter="data")
    (tests,) = folder.glob("*/tests")
    return tests


def test_the_sdk_s_own_tests_pass_on_the_stub(suite: Path) -> None:
    with running_stub() as stub:
        environment = {
            **os.environ,
            "AZURE_DIGITALTWINS_URL": stub.adt_url,
            "PYTHONPATH": str(SHIM),
        }
        command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "sdk_fixtures"]
        command += ["-p", "no:cacheprovider", "-p", "no:schemathesis", "-o", "asyncio_mode=auto"]
        command += ["--rootdir", str(suite), "-c", "/dev/null", str(suite)]
        done = subprocess.run(
            command,
            cwd=suite,
            env=environment,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )
    summary = done.stdout.strip().splitlines()[-1]
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped)", summary)}
    assert counts.keys() <= {"passed", "skipped"}
    assert done.stdout.count("SKIPPED") == done.stdout.count("Conditional etag does not appear")
    said = f"{counts['passed']} tests of {PACKAGE} {version(PACKAGE)}"
    assert said in FIDELITY.read_text(encoding="utf-8"), f"docs/stub-fidelity.md lacks: {said}"

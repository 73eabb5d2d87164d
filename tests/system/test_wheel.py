"""A wheel is complete: installed elsewhere, it serves the page, its files and the API."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.support.paths import ROOT
from tests.support.server_process import ServerProcess

SOURCES = ("audiostream", "pyproject.toml", "setup.cfg", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a copy: a build writes into its source folder."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source, target = ROOT / name, folder / "source" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / "source")
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel. Its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    [packages] = folder.glob("lib/python*/site-packages")
    # Appended to sys.path; the .pth files in there, and so the editable install, are not read.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return python


@pytest.fixture
def server(python: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    """The installed package, run in an empty folder with an empty media folder."""
    (tmp_path / "media").mkdir()
    server = ServerProcess.start(
        tmp_path / "media", environ={"PYTHONPATH": ""}, python=str(python), cwd=tmp_path
    )
    try:
        server.wait_for_start()
        yield server
        assert not server.errors, "".join(server.log)
    finally:
        server.close()


def pip(*arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def status(url: str) -> int:
    try:
        with urlopen(url, timeout=10.0) as response:
            assert response.read()
            return int(response.status)
    except HTTPError as error:
        return error.code


def test_every_file_of_the_package_is_in_the_wheel(wheel: Path) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "audiostream").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"audiostream/py.typed", "audiostream/web/index.html"} <= files
    assert files <= set(zipfile.ZipFile(wheel).namelist())


def test_the_installed_wheel_is_what_runs(python: Path, tmp_path: Path) -> None:
    shown = subprocess.run(
        [python, "-c", "import audiostream; print(audiostream.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert Path(shown.stdout.strip()).is_relative_to(python.parents[1])


def test_an_installed_server_serves_the_page_its_files_and_the_api(server: ServerProcess) -> None:
    web = ROOT / "audiostream" / "web"
    files = {f"/{path.relative_to(web).as_posix()}" for path in web.rglob("*") if path.is_file()}
    assert "/client.js" in files
    statuses = {path: status(server.url + path) for path in {"/", "/healthz", *files}}
    assert set(statuses.values()) == {200}, statuses
    assert status(f"{server.url}/api/tracks") == 401

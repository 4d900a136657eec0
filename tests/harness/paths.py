"""Where things are: the source tree, the build under test, and the folder for logs of tests that failed."""
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUBSYSTEMS = tuple(sorted(folder.name for folder in (ROOT / "adapters").iterdir() if (folder / f"{folder.name}.c").exists()))


def build_folder():
    """The build under test: $CITYHUB_BUILD, else build/asan, else build."""
    named = os.environ.get("CITYHUB_BUILD")
    candidates = [pathlib.Path(named)] if named else [ROOT / "build" / "asan", ROOT / "build"]
    for folder in candidates:
        if (folder / "cityhub").exists():
            return folder.resolve()
    raise FileNotFoundError(f"no cityhub program in {' or '.join(map(str, candidates))}: run tests/run.sh, "
                            "or build it and set CITYHUB_BUILD")


def cityhub():
    return build_folder() / "cityhub"


def logs_folder():
    """$CITYHUB_TEST_LOGS, else build/logs."""
    folder = pathlib.Path(os.environ.get("CITYHUB_TEST_LOGS", ROOT / "build" / "logs"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def postgres_program(name):
    """A program of PostgreSQL 15's server package, which Debian keeps off the PATH."""
    path = pathlib.Path("/usr/lib/postgresql/15/bin") / name
    if path.exists():
        return str(path)
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} of PostgreSQL 15 is missing: install package postgresql-15")
    return found


def install_packages(group):
    """The Debian packages of a group of deploy/packages.sh, those that are missing."""
    subprocess.run(["bash", "-c", f". {ROOT}/deploy/packages.sh && install_packages {group}"], check=True)

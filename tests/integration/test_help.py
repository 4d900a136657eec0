"""Help and exit codes: 0 done, 1 failed, 2 wrong use; of every command that the program names."""
import os
import re
import shutil
import subprocess

import pytest
from harness import paths


def run(*arguments, program=None, code=0, environment=None):
    done = subprocess.run([program or paths.cityhub(), *arguments], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **(environment or {})})
    assert done.returncode == code, f"cityhub {' '.join(arguments)} exited with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}"
    return done


def commands():
    help_text = run("--help").stdout
    return re.findall(r"^  ([a-z][a-z-]*)  +\S", help_text, re.MULTILINE)


def test_program(work_folder):
    for arguments in (("--help",), ("-h",)):
        done = run(*arguments)
        assert done.stdout.startswith("usage: cityhub") and "Exit codes: 0 done, 1 failed, 2 wrong use" in done.stdout and done.stderr == ""
    assert re.fullmatch(r"cityhub \d+\.\d+\.\d+\n", run("--version").stdout)
    assert set(commands()) >= {"check-config", "migrate", "vendor", "quarantine"}
    for arguments in ((), ("nonsense",), ("--nonsense",), ("--config",)):
        done = run(*arguments, code=2)
        assert done.stdout == "" and "usage: cityhub" in done.stderr


@pytest.mark.parametrize("command", commands())
def test_command(work_folder, command):
    broken = work_folder / "broken.ini"
    broken.write_text("nonsense\n")
    for option in ("--help", "-h"):
        # Help needs neither a configuration nor a database.
        done = run("--config", str(broken), command, option)
        assert done.stdout.startswith("usage: cityhub") and command in done.stdout.splitlines()[0] and done.stderr == ""
        assert max(map(len, done.stdout.splitlines())) <= 120
    empty = work_folder / "empty.ini"
    empty.write_text("")
    done = run("--config", str(empty), command, "--no-such-option", code=2)
    assert done.stdout == "" and done.stderr
    # A configuration with a fault stops every command before it does anything.
    assert "broken.ini:1:" in run("--config", str(broken), command, code=2).stderr


@pytest.mark.parametrize("arguments", [("migrate",), ("vendor", "list"), ("quarantine", "list")], ids=" ".join)
def test_failure(work_folder, arguments):
    path = work_folder / "nowhere.ini"
    path.write_text(f"[hub]\ndata_dir = {paths.ROOT}\n[database]\nconninfo = host=127.0.0.1 port=1 user=nobody dbname=nothing\n")
    done = run("--config", str(path), *arguments, code=1)
    assert done.stdout == "" and "127.0.0.1" in done.stderr


def test_daemon_name(work_folder):
    """`cityhubd` is `cityhub serve`; options before it stay."""
    program = work_folder / "cityhubd"
    shutil.copy(paths.cityhub(), program)
    (work_folder / "broken.ini").write_text("nonsense\n")
    if "serve" in commands():
        assert "broken.ini:1:" in run("--config", str(work_folder / "broken.ini"), program=program, code=2).stderr
        assert "serve" in run("--help", program=program).stdout
    else:
        assert "`serve` is no command" in run(program=program, code=2).stderr

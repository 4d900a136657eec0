"""Every command of the program's table, one by one: what its help, its manual page and the shell's completion say, what it refuses,
and that its examples are right. 0 done, 1 failed, 2 wrong use."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import unicodedata

import pytest
from harness import paths, table

COMMANDS = table.commands()
BARE = ("help", "gateway decode")  # need no configuration


def run(*arguments, program=None, code=0, environment=None):
    done = subprocess.run([program or paths.cityhub(), *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **(environment or {})})
    assert done.returncode == code, f"cityhub {' '.join(map(str, arguments))} exited with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}"
    return done


def width(line):
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)


def form_of(option):
    if option["operand"]:
        return option["name"]
    return f"--{option['name']} {option['argument']}" if "argument" in option else f"--{option['name']}"


@pytest.fixture
def broken(work_folder):
    path = work_folder / "broken.ini"
    path.write_text("nonsense\n")
    return path


# ---- the program ----

def test_program(work_folder):
    for arguments in (("--help",), ("-h",), ("help",)):
        done = run(*arguments)
        assert done.stdout.startswith("usage: cityhub COMMAND") and "Exit codes: 0 done, 1 failed, 2 wrong use" in " ".join(done.stdout.split())
        assert done.stderr == ""
    listed = re.findall(r"^  ([a-z][a-z-]*)  +\S", run("--help").stdout, re.MULTILINE)
    assert listed == [action["name"] for action in table.table()["actions"]]
    assert {"serve", "gateway", "mapping", "check-config", "migrate", "status", "bench", "vendor", "terminal", "user", "token", "alarm", "catalogue", "calendar", "map", "basemap", "case", "score",
            "quarantine", "storage", "upstream", "simulate", "help"} == set(listed)
    for arguments in (("--version",), ("-V",), ("vendor", "list", "--version")):
        assert re.fullmatch(r"cityhub \d+\.\d+\.\d+\n", run(*arguments).stdout)
    for arguments in ((), ("nonsense",)):
        done = run(*arguments, code=2)
        assert done.stdout == "" and "usage: cityhub COMMAND" in done.stderr and "  serve  " in done.stderr
    for arguments in (("--nonsense",), ("--config",)):
        done = run(*arguments, code=2)
        assert done.stdout == "" and "`cityhub --help` tells" in done.stderr


def test_daemon_name(work_folder, broken):
    """`cityhubd` is `cityhub serve`; options before it stay."""
    program = work_folder / "cityhubd"
    shutil.copy(paths.cityhub(), program)
    assert "broken.ini:1:" in run("--config", broken, program=program, code=2).stderr
    assert run("--help", program=program).stdout.startswith("usage: cityhub serve\n")
    assert "`status` is one argument too many" in run("status", program=program, code=2).stderr


@pytest.mark.parametrize("path", table.groups(), ids=lambda path: " ".join(path) or "cityhub")
def test_group(path):
    """What has actions tells them all, and does nothing by itself."""
    below = [command for command in COMMANDS if command.path[:len(path)] == path]
    shown = run(*path, "--help").stdout
    assert run("help", *path).stdout == shown
    for command in below:
        name = " ".join(command.path[len(path):]) if path else command.path[0]
        assert re.search(rf"^  {re.escape(name)}( |$)", shown, re.MULTILINE), f"{name} is not in:\n{shown}"
    for arguments in ((), ("no-such-action",), ("--no-such-option",)):
        done = run(*path, *arguments, code=2)
        assert done.stdout == "" and "--help` tells " in done.stderr


# ---- each command ----

@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_help(command, broken):
    """It needs neither a configuration nor a database, and tells every option with all that the table says of it."""
    done = run("--config", broken, *command.path, "--help")
    shown = done.stdout
    assert done.stderr == ""
    usage, _, options = shown.partition("\n\n")
    assert usage.startswith(f"usage: cityhub {command.name}")
    for option in command.options:
        form = form_of(option)
        assert form in " ".join(usage.split()), f"{form} is not in its usage"
        lines = re.search(rf"^  {re.escape(form)}(?:\n? +)(.*(?:\n {{28}}.*)*)", options, re.MULTILINE)
        assert lines, f"{form} is not among its options"
        told = " ".join(lines.group(1).split())
        assert option["help"] in told and option.get("note", "") in told, told
    examples = shown[shown.index("Examples:\n"):shown.index("Anywhere:")] if "Examples:\n" in shown else ""
    assert max(width(line) for line in shown.replace(examples, "").splitlines()) <= 100
    assert max(map(len, shown.splitlines())) <= 120
    assert command.name == "help" or re.search(r"^More: man cityhub-.*docs/\w+\.md", shown, re.MULTILINE)


def test_ways_to_ask_for_help():
    shown = run("vendor", "add", "--help").stdout
    for arguments in (("vendor", "add", "-h"), ("help", "vendor", "add"), ("vendor", "add", "--no-such-option", "--help")):
        assert run(*arguments).stdout == shown
    assert run("vendor", "-h", "add").stdout == run("help", "vendor").stdout
    assert "there is no command `nothing`" in run("help", "vendor", "nothing", code=2).stderr


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.name not in BARE], ids=str)
def test_faulty_configuration_stops_it(command, broken):
    """Whichever side of the command it is named on; and what is right but for it is found so: the examples, if there are any."""
    examples = []
    for example in command.examples:
        words = shlex.split(example, comments=True)
        assert words[0] == "cityhub"
        examples.append(words[1:next((place for place, word in enumerate(words) if word in (">", "|")), len(words))])
    for number, words in enumerate(examples or [command.arguments()]):
        done = run(*["--config", broken][:2 * (number % 2)], *words, *["--config", broken][:2 * (1 - number % 2)], code=2)
        assert done.stderr.startswith(f"{broken}:1: is neither a [section]") and done.stdout == "", words


def test_configuration_of_the_environment(broken):
    assert f"{broken}:1:" in run("vendor", "list", environment={"CITYHUB_CONFIG": str(broken)}, code=2).stderr
    for arguments in (("vendor", "-c", broken, "list"), ("-c", "/nonexistent", "vendor", "list", "-c", broken)):
        assert f"{broken}:1:" in run(*arguments, code=2).stderr


@pytest.mark.parametrize("arguments", [("migrate",), ("vendor", "list"), ("quarantine", "list"), ("score", "lead", "list", "--csv")], ids=" ".join)
def test_failure(work_folder, arguments):
    path = work_folder / "nowhere.ini"
    path.write_text(f"[hub]\ndata_dir = {paths.ROOT}\n[database]\nconninfo = host=127.0.0.1 port=1 user=nobody dbname=nothing\n")
    done = run("--config", path, *arguments, code=1)
    assert done.stdout == "" and "127.0.0.1" in done.stderr


# ---- manual pages ----

PAGES = paths.build_folder() / "manual"


def page(name):
    """As a person reads it, without its line breaks."""
    done = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=200", PAGES / name], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return " ".join(re.sub(r".\x08", "", done.stdout).split())


def test_a_page_for_each_command():
    assert {path.name for path in PAGES.glob("*.1")} == {"cityhub.1", "cityhubd.1"} | {f"cityhub-{name}.1" for name in {c.path[0] for c in COMMANDS}}
    text = page("cityhub.1")
    for action in table.table()["actions"]:
        assert f"cityhub-{action['name']}(1) {action['summary']}" in text
    for word in ("CITYHUB_CONFIG", "/etc/cityhub/cityhub.ini", "wrong use", *table.GLOBALS):
        assert word in text


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_page_tells_every_option(command):
    text = page(f"cityhub-{command.path[0]}.1")
    assert f"cityhub {command.name}" in text
    for option in command.options:
        form = form_of(option)
        assert f"{form} {option['help']}" in text and option.get("note", "") in text, f"{form}\n{text}"


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.1")), ids=lambda path: path.name)
def test_page_is_well_formed(path):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path], capture_output=True, text=True, timeout=60)
    # The alias of cityhubd stands where it is installed.
    assert done.returncode == 0 or path.name == "cityhubd.1", done.stdout + done.stderr
    if path.name != "cityhubd.1":
        done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", path], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "MANPAGER": "cat", "MANWIDTH": "100", "LC_ALL": "C.UTF-8"})
        assert done.returncode == 0 and done.stderr == "" and "NAME" in done.stdout, done.stderr


# ---- completion ----

def completed_all(*lines):
    """What bash offers for the last word of each line, whose words follow `cityhub`."""
    calls = "".join(f"offered cityhub {' '.join(map(shlex.quote, words))}\n" for words in lines)
    script = (f"source {shlex.quote(str(PAGES / 'cityhub.bash'))}\n"
              "offered() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _cityhub; echo \"${COMPREPLY[*]}\"; }\n" + calls)
    done = subprocess.run(["bash", "--norc", "-eu", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return [line.split() for line in done.stdout.split("\n")[:-1]]


def completed(*words):
    return completed_all(words)[0]


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_completion_offers_every_option(command):
    named = {f"--{option['name']}" for option in command.options if not option["operand"]}
    lines, expected, operands = [(*command.path, "--"), ("--config", "x", *command.path, "--")], [], []
    for option in command.options:
        words = [word + ("=" if option["kind"] == "pair" else "") for word in option.get("words", "").split()]
        if option["operand"]:
            lines.append((*command.path, *operands, ""))
            expected.append(words)
            operands.append("word")
        elif option["kind"] != "flag":
            lines += [(*command.path, *operands, f"--{option['name']}", ""), (*command.path, f"--{option['name']}", "=", "")]
            expected += [words, words]
    first, second, *others = completed_all(*lines)
    assert set(first) == set(second) == {*named, *table.GLOBALS}
    for line, offered, words in zip(lines[2:], others, expected, strict=True):
        assert not words or offered == words, line


def test_completion_of_the_rest(work_folder):
    assert completed("") == [action["name"] for action in table.table()["actions"]]
    assert completed("q") == ["quarantine"]
    assert completed("catalogue", "departments", "e") == ["export"]
    assert completed("vendor", "add", "--subsystem", "g") == ["gas"]
    assert completed("--config", str(paths.ROOT / "config") + "/cityhub.i") == [str(paths.ROOT / "config" / "cityhub.ini")]
    assert completed("catalogue", "import", str(paths.ROOT / "config") + "/dep") == [str(paths.ROOT / "config" / "departments.csv")]
    assert completed("score", "publish", "--out", str(paths.ROOT) + "/con") == [str(paths.ROOT / "config")], "folders alone"
    assert completed("case", "do", "20261124-000001", "grant_") == ["grant_extension"]
    assert completed("case", "do", "--", "X", "--") == [], "behind -- there are no options"
    assert completed("case", "do", "--role", "dispatcher", "X", "disp") == ["dispatch"], "the value of an option is no operand"


# ---- as it is installed ----

def test_installed(work_folder):
    done = subprocess.run(["cmake", "--install", paths.build_folder()], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "DESTDIR": str(work_folder)})
    assert done.returncode == 0, done.stdout + done.stderr
    prefix = next(pathlib.Path(work_folder).rglob("bin/cityhub")).parents[1]
    assert os.readlink(prefix / "bin" / "cityhubd") == "cityhub"
    pages = {path.name for path in (prefix / "share" / "man" / "man1").iterdir()}
    assert pages == {path.name for path in PAGES.glob("*.1")}
    scripts = prefix / "share" / "bash-completion" / "completions"
    assert (scripts / "cityhub").read_text() == run("help", "--completion", "bash").stdout
    assert os.readlink(scripts / "cityhubd") == "cityhub"
    for name in ("cityhub", "cityhub-vendor", "cityhubd"):
        done = subprocess.run(["man", "-M", prefix / "share" / "man", name], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "MANPAGER": "cat", "LC_ALL": "C.UTF-8"})
        assert done.returncode == 0 and "SYNOPSIS" in re.sub(r".\x08", "", done.stdout), done.stderr
    assert (prefix / "share" / "cityhub" / "docs" / "score.md").exists(), "the guides that the pages name"

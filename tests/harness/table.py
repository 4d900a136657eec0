"""The program's own table of commands, as `cityhub help --json` tells it: every command that runs, with its options, and the
fewest arguments that are right. What it does with wrong ones: tests/unit/test_all_commands.c."""
import functools
import json
import subprocess

from . import paths

GLOBALS = ("--config", "--help", "--version")


class Command:
    """One that runs: `path` is ("vendor", "add")."""

    def __init__(self, path, entry):
        self.path, self.entry, self.options = path, entry, entry["options"]

    @property
    def name(self):
        return " ".join(self.path)

    def __repr__(self):
        return self.name

    @property
    def examples(self):
        """Command lines without `cityhub`, continued lines joined."""
        lines = self.entry.get("examples", "").replace("\\\n", " ").splitlines()
        return [line.strip() for line in lines]

    def option(self, name):
        return next(option for option in self.options if option["name"] == name)

    def required(self):
        """The options that must be there: of alternatives the first."""
        return [option for option in self.options if option["required"]]

    def arguments(self, *others):
        """The path and the least that is right, then others."""
        chosen = self.required()
        for option in list(chosen):
            chosen += [self.option(name) for name in option.get("needs", "").split()[:1]]
        return [*self.path, *(word for option in chosen for word in words_of(option)), *others]


def value_of(option):
    """A value that the option takes."""
    patterns = {"^[0-9]{4}-(0[1-9]|1[0-2])$": "2026-10", "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$": "2026-10-01",
                "^[12][0-9]{4}$": "20102"}
    if option.get("words"):
        return option["words"].split()[0] + ("=x" if option["kind"] == "pair" else "")
    if option["kind"] in ("number", "decimal"):
        return str(max(option["minimum"], min(1, option["maximum"])))
    if "pattern" in option:
        return patterns.get(option["pattern"], "word")
    return {"pair": "key=value", "file": "/nonexistent/file", "folder": "/nonexistent/folder"}.get(option["kind"], "word")


def words_of(option):
    if option["operand"]:
        return [value_of(option)]
    return [f"--{option['name']}"] if option["kind"] == "flag" else [f"--{option['name']}", value_of(option)]


def _walk(entry, path):
    if "actions" not in entry:
        yield Command(path, entry)
    for action in entry.get("actions", ()):
        yield from _walk(action, (*path, action["name"]))


@functools.cache
def table():
    done = subprocess.run([paths.cityhub(), "help", "--json"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def commands():
    """All that run."""
    return list(_walk(table(), ()))


def command(name):
    return next(one for one in commands() if one.name == name)


def groups():
    """Paths of what has actions, the program itself among them."""
    def walk(entry, path):
        if "actions" in entry:
            yield path
        for action in entry.get("actions", ()):
            yield from walk(action, (*path, action["name"]))
    return list(walk(table(), ()))

#!/usr/bin/python3
"""lint_include.py [PATTERN]: who may include whom. A folder of hub/ is a floor: it uses those that its row names, and nobody
else's, so there is no circle and no arrow up. Prints `passed` or `failed: include FILE: ...` for each file whose name has PATTERN.

A new dependency between folders is a decision: it is made here, in the same commit, with the reason in its message."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# folder: the folders it may include from, beside itself. A folder may name only those above its own row.
FLOORS = {
    "base": "",
    "link": "base",
    "decode": "base",
    "know": "base decode",
    "basemap": "base decode",
    "live": "base link decode know",
    "store": "base link decode know",
    "ingest": "base link decode know store live",
    "http": "base link know live basemap",
    "cli": "base link",
    "migrate": "base know cli",
    "bulletin": "base cli",
    "exchange": "base decode cli",
    "serve": "base link decode know store live ingest http",
    "gateway": "base link decode http",
    "command": "base link decode know basemap serve cli gateway migrate bulletin exchange",
    "simulate": "base link decode cli gateway",
    "all_commands.h": "cli",
    "all_commands.c": "all_commands.h cli command simulate",
    "main.c": "base cli all_commands.h",
}
ANYBODY = {"hub/adapter.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def faults_of_table():
    """A row that names a folder that does not stand above it could close a circle."""
    above = []
    for floor, uses in FLOORS.items():
        yield from (f"FLOORS: {floor} uses {name}, which is not above it" for name in uses.split() if name not in above)
        above.append(floor)


def floor_of(path):
    parts = path.parts
    return parts[1] if len(parts) > 1 else None


def faults(path):
    """What is wrong with the includes of a file, `path` relative to the root."""
    for name in INCLUDE.findall((ROOT / path).read_text()):
        target = pathlib.PurePosixPath(name)
        if path.parts[0] == "adapters":
            if name != "hub/adapter_table.h" and not name.endswith(".pb-c.h"):
                yield f"{name}: an adapter includes only hub/adapter_table.h and its own generated header"
        elif path.name in ("adapter.h", "adapter_table.h", "adapter.c"):
            if target.parts[0] == "hub" and len(target.parts) > 2 and target.parts[1] != "base":
                yield f"{name}: {path} is everybody's and includes hub/base only"
        elif target.parts[0] != "hub" and not name.endswith(".pb-c.h"):
            yield f"{name}: name it by its folder, as in \"hub/base/log.h\""
        elif target.parts[0] == "hub" and name not in ANYBODY:
            own, other = floor_of(path), floor_of(target)
            if own not in FLOORS:
                yield f"hub/{own} is not in tests/lint_include.py: say there whom it may include"
            elif other != own and other not in FLOORS[own].split():
                yield f"{name}: hub/{own} may not include from hub/{other}"


def main():
    pattern = re.compile(sys.argv[1] if len(sys.argv) > 1 else ".")
    for fault in faults_of_table():
        print(f"failed: include {fault}")
    for path in sorted(p.relative_to(ROOT) for top in ("hub", "adapters") for p in (ROOT / top).rglob("*.[ch]")):
        if pattern.search(str(path)):
            found = list(faults(path))
            print(f"failed: include {path}: {'; '.join(found)}" if found else "passed")


main()

#!/usr/bin/python3
"""lint_topic.py [PATTERN]: topics and the words of their kinds are spelled in hub/base/topic.h and topic.c, and nowhere else in C.
Prints `passed` or `failed: topic FILE: ...` for each file whose name has PATTERN. Unit tests say what they expect, and may;
paths of the API (/api/...) are no topics."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SPELLED = re.compile(r'"(?!/api/)[^"\n]*(?:cityhub/v\d|/(?:telemetry|inventory|staff|work|case|receipt)\b)|"(?:telemetry|inventory|staff|work|receipt)"')
# A case is more than a kind of message: the word alone is looked for where messages pass.
CASE = re.compile(r'"case"')
PASSAGES = ("base", "link", "decode", "know", "ingest", "store", "serve")


def faults(path, text):
    looked_for = [SPELLED] + ([CASE] if path.parts[0] == "hub" and path.parts[1] in PASSAGES else [])
    for number, line in enumerate(text.splitlines(), 1):
        yield from (f"line {number}: {found[0]}" for pattern in looked_for for found in pattern.finditer(line))


def main():
    pattern = re.compile(sys.argv[1] if len(sys.argv) > 1 else ".")
    for path in sorted(p.relative_to(ROOT) for top in ("hub", "adapters", "tests/bench", "tests/fuzz") for p in (ROOT / top).rglob("*.[ch]")):
        if pattern.search(str(path)) and not path.match("hub/base/topic.[ch]"):
            found = list(faults(path, (ROOT / path).read_text()))
            print(f"failed: topic {path}: {'; '.join(found)}: say it by hub/base/topic.h" if found else "passed")


main()

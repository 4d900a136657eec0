#!/usr/bin/python3
"""broker_acl.py [--check] [--cityhub PROGRAM]: deploy/mosquitto.acl, who may do what at the broker, made from what the hub is built
from: the subsystems as the program says them (`cityhub check-config --catalogue`), the words of topics as hub/base/topic.h and
topic.c spell them. --check writes nothing and exits with 1 if the file is not what it would write."""
import argparse
import difflib
import re
import sys

from guide_tables import ROOT, Fault, catalogue

ACL = ROOT / "deploy" / "mosquitto.acl"
HEAD = """\
# Made by adapters/broker_acl.py from the adapters and the words of hub/base/topic.c: change those, not this file.
# Who may do what at the broker. %u is the login: a vendor writes under its own name only, in any subsystem; whether it may
# push that subsystem is the hub's to judge (cityhub vendor add). Everything that is not here is forbidden.
user hub
topic readwrite cityhub/#
"""


def topic_words():
    """(prefix of all topics, kinds that vendors send, kind that they get back)."""
    header, source = ((ROOT / "hub" / "base" / name).read_text() for name in ("topic.h", "topic.c"))
    prefix = re.search(r'#define TOPIC_PREFIX "(\S+)"', header)
    words = dict(re.findall(r'\[TOPIC_(\w+)\] = "(\w+)"', source))
    if prefix is None or "RECEIPT" not in words or len(words) < 2:
        raise Fault("hub/base/topic.h and topic.c do not spell the topics as this program reads them")
    receipt = words.pop("RECEIPT")
    return prefix[1], list(words.values()), receipt


def rules(subsystems):
    prefix, kinds, receipt = topic_words()
    blocks = [HEAD, f"pattern read {prefix}+/%u/{receipt}\n"]
    blocks += ["".join(f"pattern write {prefix}{subsystem}/%u/{kind}\n" for kind in kinds) for subsystem in subsystems]
    return "\n".join(blocks)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the file is stale")
    parser.add_argument("--cityhub", default=ROOT / "build" / "asan" / "cityhub", help="the program that is asked for its subsystems")
    arguments = parser.parse_args()
    subsystems = sorted({metric["subsystem"] for metric in catalogue(arguments.cityhub)["metrics"]})
    before, after = ACL.read_text() if ACL.exists() else "", rules(subsystems)
    if before != after and arguments.check:
        print("deploy/mosquitto.acl is stale: run adapters/broker_acl.py")
        sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), after.splitlines(True), "is", "should be", n=0))
        return 1
    if before != after:
        ACL.write_text(after)
    print(f"deploy/mosquitto.acl {'is up to date' if before == after else 'is written'}: {len(subsystems)} subsystems")
    return 0


if __name__ == "__main__":
    sys.exit(main())

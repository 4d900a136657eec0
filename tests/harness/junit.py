"""junit.py FILE: the last line of a part of tests/run.sh, `N passed, N failed`, from a JUnit file of ctest or pytest.
Skipped tests count as neither and are named."""
import sys
import xml.etree.ElementTree as ElementTree


def main(path):
    passed = failed = 0
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname', '')}::{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            print(f"failed: {name}")
        elif skipped is not None:
            print(f"skipped: {name}: {skipped.get('message', '')}")
        else:
            passed += 1
    print(f"{passed} passed, {failed} failed")


if __name__ == "__main__":
    main(sys.argv[1])

"""The examples of the vendors' pages: fenced blocks after a mark `<!-- example: WORDS -->`."""
import re
import textwrap
import time

from google.protobuf import text_format

from . import messages, paths

EXAMPLE = re.compile(r"<!-- example: (?P<name>[a-z ]+) -->\n *```\w*\n(?P<text>.*?\n) *```", re.S)
WRITTEN_MS = 1760000000000  # the time of the guides' records
KINDS = ("inventory", "staff", "work", "telemetry", "case", "interval")  # in this order every reference is known already


def examples(path):
    """The text of each example by its name, in the page's order."""
    text = path.read_text()
    found = {match["name"]: textwrap.dedent(match["text"]) for match in EXAMPLE.finditer(text)}
    assert len(found) == text.count("<!-- example: "), f"{path}: an example has no block, or its name comes twice"
    return found


def guide(subsystem):
    return examples(paths.ROOT / "adapters" / subsystem / f"{subsystem}.md")


def vendor_page():
    return examples(paths.ROOT / "docs" / "vendor.md")


def brought_to(text, now_ms):
    """An example as if written at `now_ms`: all its times (names that end with _ms) moved alike."""
    return re.sub(r'(\w_ms"?: )(\d+)', lambda match: match[1] + str(int(match[2]) - WRITTEN_MS + now_ms), text)


def now_ms():
    return int(time.time() * 1000)


def protobuf_text(subsystem, text):
    """The bytes of an example in protobuf's text form."""
    return text_format.Parse(text, messages.batch_type(subsystem)()).SerializeToString()

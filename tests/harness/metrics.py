"""A strict reader of the Prometheus text format 0.0.4, so that a malformed /metrics is a failure and not a shrug."""
import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"^({NAME})(?:\{{(.*)\}})? (\S+)(?: (-?\d+))?$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


class Metrics:
    """samples: {name: {labels as a sorted tuple of pairs: value}}; types and helps by family name."""

    def __init__(self, text):
        self.samples, self.types, self.helps = {}, {}, {}
        assert text.endswith("\n"), "the last line has no end"
        for line in text.split("\n"):
            if line.startswith("# HELP "):
                _, _, name, *rest = line.split(" ", 3)
                assert name not in self.helps, f"two HELP lines for {name}"
                self.helps[name] = rest[0] if rest else ""
            elif line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert kind in ("counter", "gauge", "histogram", "summary", "untyped"), line
                assert name not in self.types, f"two TYPE lines for {name}"
                self.types[name] = kind
            elif line and not line.startswith("#"):
                self._sample(line)

    def _sample(self, line):
        match = SAMPLE.match(line)
        assert match, f"no sample line: {line!r}"
        name, label_text, value_text, _ = match.groups()
        labels, at = [], 0
        while label_text and at < len(label_text):
            label = LABEL.match(label_text, at)
            assert label, f"labels cannot be read: {line!r}"
            labels.append((label.group(1), label.group(2)))
            at = label.end()
        key = tuple(sorted(labels))
        family = self.samples.setdefault(name, {})
        assert key not in family, f"the sample is there twice: {line!r}"
        family[key] = float(value_text.replace("+Inf", "inf").replace("-Inf", "-inf"))

    def family_of(self, name):
        for suffix in ("_bucket", "_sum", "_count"):
            base = name[: -len(suffix)]
            if name.endswith(suffix) and self.types.get(base) in ("histogram", "summary"):
                return base
        return name

    def value(self, name, **labels):
        """The sum of all samples that have these labels; None if there is none."""
        wanted = set(labels.items())
        found = [value for key, value in self.samples.get(name, {}).items() if wanted <= set(key)]
        return math.fsum(found) if found else None

    def label_values(self, name, label):
        return {dict(key).get(label) for key in self.samples.get(name, {})}

    def check(self):
        """Every sample has a type and a help; counters are named and valued as such; histograms grow to their count."""
        for name, family in self.samples.items():
            base = self.family_of(name)
            assert base in self.types, f"{name} has no TYPE line"
            assert self.helps.get(base), f"{name} has no HELP line"
            if self.types[base] == "counter":
                assert name.endswith("_total"), f"the counter {name} does not end in _total"
                assert all(value >= 0 for value in family.values()), f"the counter {name} is negative"
        for base, kind in self.types.items():
            if kind == "histogram":
                self._check_histogram(base)

    def _check_histogram(self, base):
        series = {}
        for key, value in self.samples.get(f"{base}_bucket", {}).items():
            labels = dict(key)
            limit = float(labels.pop("le").replace("+Inf", "inf"))
            series.setdefault(tuple(sorted(labels.items())), []).append((limit, value))
        for key, buckets in series.items():
            buckets.sort()
            counts = [count for _, count in buckets]
            assert counts == sorted(counts), f"{base}{dict(key)}: buckets shrink: {buckets}"
            assert buckets[-1][0] == math.inf, f"{base}{dict(key)}: no +Inf bucket"
            assert counts[-1] == self.samples[f"{base}_count"][key], f"{base}{dict(key)}: +Inf bucket is not the count"
            assert key in self.samples[f"{base}_sum"], f"{base}{dict(key)}: no sum"

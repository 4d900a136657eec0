#!/usr/bin/python3
"""guide_tables.py [--check] [--cityhub PROGRAM]: the tables of the vendors' guides, made from what the hub is built from.

Rewrites what stands between `<!-- table: NAME -->` and `<!-- table end -->` in adapters/<subsystem>/<subsystem>.md and
docs/vendor.md: the subsystems by their guides' titles, metrics and device kinds as the program says them (`cityhub check-config --catalogue`), numbers, types and
enums as the .proto files have them, limits as adapters/<subsystem>/<subsystem>.sql sets them, codes of problems as
hub/decode/decode.c has them. The last column of fields, enum values and codes is written by hand and kept.
--check writes nothing and exits with 1 if a page is not what it would write. Never touches what stands outside the marks."""
import argparse
import difflib
import json
import pathlib
import re
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2

ROOT = pathlib.Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(<!-- table: (?P<name>[A-Za-z_]+) -->\n)(?P<body>.*?)(<!-- table end -->)", re.S)
TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w.]*)|(?P<sign>\|\||[(),]))")
TITLE = re.compile(r"# (?P<name_zh>\S+)（`(?P<key>\w+)`）")
VALUES = re.compile(r"FROM \(VALUES (?P<rows>[^;]*)\) AS (?P<name>\w+)\s*\((?P<columns>[^)]*)\);")
KINDS_ZH = {"gauge": "瞬时值", "counter": "累计值", "state": "状态", "text": "文本"}
SEVERITIES_ZH = {"info": "提示", "minor": "一般", "major": "重要", "critical": "紧急"}
TYPES = {value: name[5:].lower() for name, value in descriptor_pb2.FieldDescriptorProto.Type.items()}
COMMON_ZH = {
    "device_code": ("设备编码", "必填，1 至 128 字节，本厂商内唯一"),
    "observed_at_ms": ("采集时间", "必填，UTC 毫秒时间戳"),
    "position": ("位置", "`lon`、`lat`、`system`，见接入说明“坐标”一节"),
    "over_range": ("超测上限", "本条里仪表已到测量上限的字段，见接入说明“量程与无值”一节"),
}


class Fault(Exception):
    """What is wrong, and where to put it right."""


# ---- sources

def catalogue(program):
    with tempfile.NamedTemporaryFile(suffix=".ini") as config:
        done = subprocess.run([program, "--config", config.name, "check-config", "--catalogue"], capture_output=True, text=True)
    if done.returncode != 0:
        raise Fault(f"{program} check-config --catalogue ended with {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def messages():
    """Record messages by name ("DustRecord"), and enums by full name, of all .proto files."""
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", f"--proto_path={ROOT / 'proto'}", f"--descriptor_set_out={out.name}",
                        *sorted(str(path) for path in (ROOT / "proto").glob("*.proto"))], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(out.name).read_bytes())
    found, enums = {}, {}
    for file in files.file:
        enums.update({f".{file.package}.{enum.name}": enum for enum in file.enum_type})
        for message in file.message_type:
            found[message.name] = message
            enums.update({f".{file.package}.{message.name}.{enum.name}": enum for enum in message.enum_type})
    return found, enums


class SqlReader:
    """The little SQL that rules are written in: texts, numbers, ||, columns of a VALUES list, jsonb_build_object."""

    def __init__(self, text, at, columns):
        self.text, self.at, self.columns = text, at, columns

    def look(self):
        return TOKEN.match(self.text, self.at) or {"text": None, "number": None, "name": None, "sign": None}

    def take(self, sign):
        found = self.look()
        if found["sign"] != sign:
            raise Fault(f"line {self.text.count(chr(10), 0, self.at) + 1}: `{sign}` expected; rules are written with texts, numbers, "
                        "||, columns of FROM (VALUES ...) AS r(...) and jsonb_build_object only")
        self.at = found.end()

    def arguments(self):
        self.take("(")
        values = [self.expression()]
        while self.look()["sign"] == ",":
            self.take(",")
            values.append(self.expression())
        self.take(")")
        return values

    def expression(self):
        value = self.term()
        while self.look()["sign"] == "||":
            self.take("||")
            value = f"{value}{self.term()}"
        return value

    def term(self):
        found = self.look()
        if found["text"] is not None:
            text = ""
            while self.look()["text"] is not None:  # texts on successive lines are one text
                found = self.look()
                self.at = found.end()
                text += found["text"][1:-1].replace("''", "'")
            return text
        if found["number"] is not None:
            self.at = found.end()
            return json.loads(found["number"])
        if found["name"] in self.columns:
            self.at = found.end()
            return self.columns[found["name"]]
        if found["name"] == "jsonb_build_object":
            self.at = found.end()
            values = self.arguments()
            return dict(zip(values[::2], values[1::2]))
        return self.take("a text, a number or a column")


def values_after(text, at):
    """Rows of the VALUES list that ends the statement at `at`, each a dict of "r.column"; one empty row if there is none."""
    found = VALUES.search(text, at, text.index(";\n", at) + 1)
    if found is None:
        return [{}]
    names = [f"{found['name']}.{column.strip()}" for column in found["columns"].split(",")]
    rows = [SqlReader(text, start.start(), {}).arguments() for start in re.finditer(r"\((?=')", text[:found.end("rows")])
            if start.start() >= found.start("rows")]
    return [dict(zip(names, row)) for row in rows]


def rules(subsystem):
    """The shipped alarm rules of a subsystem in their order; None while it has no .sql."""
    path = ROOT / "adapters" / subsystem / f"{subsystem}.sql"
    if not path.exists():
        return None
    text, shipped = path.read_text(), []
    for call in re.finditer(r"alarm_rule_default(?=\()", text):
        for columns in values_after(text, call.end()):
            _, key, rule = SqlReader(text, call.end(), columns).arguments()
            shipped.append((key, json.loads(rule) if isinstance(rule, str) else rule))
    return shipped


def problem_codes():
    array = re.search(r"problem_codes\[\] = \{(.*?)\};", (ROOT / "hub" / "decode" / "decode.c").read_text(), re.S)
    return re.findall(r'= "(\w+)"', array[1])


# ---- tables

def number(value):
    return f"{value:g}" if abs(value) < 1e6 or value != int(value) else str(int(value))


def duration(seconds):
    for unit, size in (("天", 86400), ("小时", 3600), ("分钟", 60)):
        if seconds % size == 0 and seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} 秒"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row).rstrip() + " |" for row in rows]) + "\n"


def notes(body):
    """The last column of a block's present rows, by the name in their first one."""
    kept = {}
    for line in body.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| `") and len(cells) >= 2:
            kept[cells[0].strip("`")] = cells[-1]
    return kept


def range_of(metric, unit):
    if metric["kind"] == "text":
        return "至 1024 字节"
    return f"{number(metric['min_value'])} 至 {number(metric['max_value'])}" if unit not in ("0/1", "enum") else unit


def field_type(field):
    return field.type_name.rsplit(".", 1)[-1] if field.type_name else TYPES[field.type]


def enum_table(field, enum, kept):
    rows = [(f"`{value.name}`", str(value.number), kept.get(value.name, "")) for value in enum.value]
    blank = [value.name for value in enum.value if not kept.get(value.name)]
    if blank:
        raise Fault(f"enum value {', '.join(blank)} has no meaning yet: write one into the last column")
    return f"\n`{field}` 的取值（枚举 `{enum.name}`；JSON 写名称或数值均可）：\n\n" + table(("名称", "数值", "含义"), rows)


class Guide:
    """The blocks of one subsystem's guide."""

    def __init__(self, subsystem, catalogue, messages, enums):
        self.subsystem, self.enums = subsystem, enums
        self.metrics = [metric for metric in catalogue["metrics"] if metric["subsystem"] == subsystem]
        self.device_kinds = [kind for kind in catalogue["kinds"] if kind["subsystem"] == subsystem]
        self.record = messages["".join(word.capitalize() for word in subsystem.split("_")) + "Record"]
        self.names = ("kinds", "fields", "limits")

    def kinds(self, body):
        return table(("`kind`", "设备", "位置", "常用间隔", "多久无数据判离线", "发送的字段"), [
            (f"`{kind['key']}`", kind["name_zh"], "移动，每条带 `position`" if kind["mobile"] else "固定，台账给出",
             duration(kind["interval_s"]), duration(kind["offline_after_s"]), " ".join(f"`{key}`" for key in kind["metrics"]))
            for kind in self.device_kinds])

    def fields(self, body):
        kept, metrics, rows, choices = notes(body), {metric["key"]: metric for metric in self.metrics}, [], ""
        for field in sorted(self.record.field, key=lambda field: field.number):
            repeated = field.label == descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
            kind = f"{field.number} {field_type(field)}" + ("（列表）" if repeated else "")
            if field.name in COMMON_ZH:
                rows.append((f"`{field.name}`", COMMON_ZH[field.name][0], "", "", "", kind, COMMON_ZH[field.name][1]))
                continue
            metric = metrics[field.name]
            note = kept.get(field.name, "")
            rolls = f"（满 {number(metric['rollover'])} 归零）" if metric["rollover"] else ""
            unit = {"0/1": "", "enum": "", "1": "—"}.get(metric["unit"], metric["unit"])
            rows.append((f"`{field.name}`", metric["name_zh"], unit, KINDS_ZH[metric["kind"]] + rolls,
                         {"0/1": "true / false", "enum": "见下表"}.get(metric["unit"]) or range_of(metric, metric["unit"]), kind, note))
            if field.type_name:
                choices += enum_table(field.name, self.enums[field.type_name], kept)
        return table(("字段", "含义", "单位", "类别", "物理范围", "编号与类型", "说明"), rows) + choices

    def limits(self, body):
        shipped = rules(self.subsystem)
        if shipped is None:
            return "默认限值由本目录的 SQL 文件装入，见数据库表 `onemap.alarm_rule`（`subsystem = '" + self.subsystem + "'`）。\n"
        return table(("规则", "名称", "条件", "级别", "案卷类别", "依据"), [
            (f"`{key}`", rule["name_zh"], self.condition(key, rule), SEVERITIES_ZH[rule["severity"]],
             rule.get("category_code", ""), rule["source"]) for key, rule in shipped])

    def condition(self, key, rule):
        known = {metric["key"]: metric for metric in self.metrics}
        if rule.get("metric") is not None and rule["metric"] not in known:
            raise Fault(f"alarm rule {key}: there is no metric {rule['metric']}")
        unit = known[rule["metric"]]["unit"] if "metric" in rule else ""
        unit = "" if unit in ("0/1", "enum", "1") else f" {unit}"
        limit = [f"{sign} {number(rule[way])}" for way, sign in (("above", ">"), ("below", "<"), ("equals", "=")) if way in rule]
        if rule.get("kind") == "derived" or not limit:  # the limit is of what is worked out, which may have another unit
            words = [f"由 `{rule['metric']}` 算出的值" if "metric" in rule else "算出的值", *limit] if limit else [f"由 `{rule['metric']}` 判定"]
        else:
            words = [f"`{rule['metric']}`", limit[0] + unit]
        extra = [f"持续 {duration(rule['duration_s'])}"] if rule.get("duration_s") else []
        extra += [f"恢复值 {number(rule['clear'])}{unit}"] if "clear" in rule else []
        extra += [f"{rule['from']}–{rule['to']}"] if "from" in rule else []
        extra += [f"仅 `{rule['device_kind']}`"] if "device_kind" in rule else []
        return "，".join([" ".join(words), *extra])


class Common:
    """The blocks of docs/vendor.md: the guides, messages of common.proto, and the codes of problems."""

    def __init__(self, subsystems, messages, enums):
        self.keys, self.messages, self.enums = subsystems, messages, enums
        self.names = ("subsystems", "Position", "InventoryRecord", "Attribute", "StaffRecord", "WorkRecord", "CaseRecord", "Attachment", "IntervalRecord", "IntervalValue", "codes")

    def __getattr__(self, name):
        return lambda body: self.message(self.messages[name], notes(body))

    def message(self, message, kept):
        blank = [field.name for field in message.field if not kept.get(field.name)]
        if blank:
            raise Fault(f"{message.name}.{', '.join(blank)} has no meaning yet: write one into the last column")
        repeated = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
        rows = [(f"`{field.name}`", str(field.number), field_type(field) + ("（列表）" if field.label == repeated else ""),
                 kept[field.name]) for field in message.field]
        choices = "".join(enum_table(field.name, self.enums[field.type_name], kept) for field in message.field
                          if field.type_name in self.enums)
        return table(("字段", "编号", "类型", "说明"), rows) + choices

    def subsystems(self, body):
        rows = []
        for key in self.keys:
            guide = f"adapters/{key}/{key}.md"
            title = TITLE.match((ROOT / guide).read_text())
            if title is None or title["key"] != key:
                raise Fault(f"{guide} must begin with the title `# <name>（`{key}`）`")
            rows.append((f"[{title['name_zh']}](../{guide})", f"`{key}`"))
        return table(("子系统与其指南", "代号"), rows)

    def codes(self, body):
        kept = notes(body)
        blank = [code for code in problem_codes() if not kept.get(code)]
        if blank:
            raise Fault(f"code {', '.join(blank)} of hub/decode/decode.c is not told of: write a row for it")
        return table(("代码", "意思与处理"), [(f"`{code}`", note) for code, note in kept.items()])


def rewrite(text, page):
    """The page with its blocks made anew."""
    found = [match["name"] for match in BLOCK.finditer(text)]
    if sorted(found) != sorted(page.names):
        raise Fault(f"has the tables {', '.join(found) or 'none'}; it must have each of {', '.join(page.names)} once")
    return BLOCK.sub(lambda match: match[1] + "\n" + getattr(page, match["name"])(match["body"]).strip() + "\n\n" + match[4], text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is stale")
    parser.add_argument("--cityhub", default=ROOT / "build" / "asan" / "cityhub", help="the program that is asked for the catalogue")
    arguments = parser.parse_args()
    stored, (found, enums) = catalogue(arguments.cityhub), messages()
    subsystems = sorted({metric["subsystem"] for metric in stored["metrics"]})
    pages = [(ROOT / "adapters" / key / f"{key}.md", Guide(key, stored, found, enums)) for key in subsystems]
    pages.append((ROOT / "docs" / "vendor.md", Common(subsystems, found, enums)))
    stale = 0
    for path, page in pages:
        try:
            before = path.read_text()
            after = rewrite(before, page)
        except (Fault, OSError, KeyError, ValueError) as problem:
            print(f"{path.relative_to(ROOT)}: {type(problem).__name__}: {problem}")
            stale += 1
            continue
        if after != before and arguments.check:
            stale += 1
            print(f"{path.relative_to(ROOT)} is stale: run adapters/guide_tables.py")
            sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), after.splitlines(True), "is", "should be", n=0))
        elif after != before:
            path.write_text(after)
            print(f"{path.relative_to(ROOT)}: written")
    print(f"{len(pages) - stale} of {len(pages)} pages are {'up to date' if arguments.check else 'in order'}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""make_corpus.py: writes tests/fuzz/corpus/<target>/ again, from real messages of every subsystem and kind, and from the
repository's own configuration. Run it when a .proto gets fields: the fuzzer then starts with them known. The same sources
always give the same files."""
import base64
import json
import pathlib
import re
import shutil
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from google.protobuf import json_format  # noqa: E402

from harness import hj212 as monitors, jt808 as trucks, media, messages, wire  # noqa: E402

CORPUS = ROOT / "tests" / "fuzz" / "corpus"
# The order of the generated table of adapters.
SUBSYSTEMS = sorted(path.stem for path in ROOT.glob("adapters/*/*.c"))
KINDS = ["inventory", "staff", "work", "case", "interval"]
NOW_MS = 1760000000000
RECORD = {"device_code": "a", "observed_at_ms": NOW_MS}
POSITION = {"lon": 114.3925, "lat": 34.0583, "system": "GCJ02"}

BAD_FIELDS = (
    '[{"device_code":"a","observed_at_ms":"1760000000000","deviceCode":"b","pm10_ug_m3":1},{"device_code":"a",'
    '"observedAtMs":1760000000000,"pm10_ug_m3":NaN,"pm10UgM3":2,"noise_dba":--,"pm25_ug_m3":1.#QNAN,"tsp_ug_m3":"Infinity",'
    '"wind_speed_m_s":"3.5","humidity_percent":01,"spraying_on":{},"position":{"lon":"114.4","lat":}}]'
)
PLACES = {"exchanged": (34.0583, 114.3925), "sign": (-114.3925, 34.0583), "no-fix": (0, 34), "minutes": (11423.55, 3403.5)}


def value_of(field, place):
    """A plausible value of a field, another one for each place."""
    if field.message_type is not None:
        if field.label == field.LABEL_REPEATED:
            return [{inner.name: value_of(inner, i) for i, inner in enumerate(field.message_type.fields)}]
        return dict(POSITION)
    if field.name.endswith("_ms"):
        return NOW_MS + place
    if field.enum_type is not None:
        return field.enum_type.values[place % len(field.enum_type.values)].name
    if field.cpp_type == field.CPPTYPE_STRING:
        return {"plate": "豫A12345", "severity": "major", "kind": "monitor"}.get(field.name, f"{field.name}-{place}")
    if field.cpp_type == field.CPPTYPE_BOOL:
        return place % 2 == 0
    if field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return 12.5 + place
    return 7 + place


def records_of(subsystem, kind):
    record = messages.batch_type(subsystem, kind).DESCRIPTOR.fields_by_name["records"].message_type
    full = {field.name: value_of(field, place) for place, field in enumerate(record.fields)}
    names = list(full)
    small = {name: full[name] for name in names[: max(5, len(names) // 3)]}
    small.pop("position", None)
    return full, small


def write(target, name, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def decoders():
    for selector, name in enumerate(SUBSYSTEMS + KINDS):
        kind = name if name in KINDS else "telemetry"
        subsystem = SUBSYSTEMS[0] if name in KINDS else name
        full, small = records_of(subsystem, kind)
        choice = bytes([selector])
        for title, records in (("full", [full]), ("batch", [small, full, small])):
            write("fuzz_decode_protobuf", f"{name}-{title}", choice + messages.protobuf(subsystem, records, kind))
        one = json.dumps(full, ensure_ascii=False, separators=(",", ":")).encode()
        batch = json.dumps({"records": [small, small]}, ensure_ascii=True, indent=1).encode()
        write("fuzz_decode_json", f"{name}-full", choice + one)
        write("fuzz_decode_json", f"{name}-printed", choice + printed(subsystem, kind, [full, small]))
        write("fuzz_decode_json", f"{name}-batch", choice + batch)
        write("fuzz_decode_json", f"{name}-dictionary", choice + json.dumps([dict.fromkeys(full)]).encode())
        wrong = [dict(full, **{field: [[]]}) for field in full]
        write("fuzz_decode_json", f"{name}-wrong", choice + json.dumps(wrong, ensure_ascii=False).encode())
        write("fuzz_decode_protobuf", f"{name}-wrong", choice + wrong_on_the_wire(subsystem, kind, full))
    dust = bytes([SUBSYSTEMS.index("dust")])
    whole = messages.protobuf("dust", [records_of("dust", "telemetry")[0]] * 2)
    write("fuzz_decode_protobuf", "dust-cut", dust + whole[:-9])
    write("fuzz_decode_protobuf", "dust-padded", dust + whole + b"\0\0")
    for title, subsystem in (("here", "dust"), ("elsewhere", "heating")):
        batch = messages.batch_type("dust", "telemetry").FromString(whole)
        batch.subsystem = subsystem
        write("fuzz_decode_protobuf", f"dust-said-{title}", dust + batch.SerializeToString())
        written = json.dumps({"records": [dict(RECORD, pm10_ug_m3=1)], "subsystem": subsystem})
        write("fuzz_decode_json", f"dust-said-{title}", dust + written.encode() + b" \n\0")
    write("fuzz_decode_json", "dust-bad-fields", dust + BAD_FIELDS.encode())
    for title, (lon, lat) in PLACES.items():
        record = dict(RECORD, position={"lon": lon, "lat": lat, "system": "wgs84"})
        write("fuzz_decode_json", f"place-{title}", dust + json.dumps(record).encode())


def printed(subsystem, kind, records):
    """As protobuf's own printer writes it: lowerCamelCase names, numbers of 64 bits as texts."""
    batch = messages.batch_type(subsystem, kind).FromString(messages.protobuf(subsystem, records, kind))
    batch.subsystem = subsystem
    return json_format.MessageToJson(batch, indent=1, use_integers_for_enums=kind == "work").encode()


def wrong_on_the_wire(subsystem, kind, full):
    """A message of as many records as there are fields: in each another field is there as four bytes (wire type 5)."""
    batch = messages.batch_type(subsystem, kind)
    records = batch.DESCRIPTOR.fields_by_name["records"]
    out = b""
    for field in records.message_type.fields:
        rest = {name: value for name, value in full.items() if name != field.name}
        record = batch.FromString(messages.protobuf(subsystem, [rest], kind)).records[0].SerializeToString()
        record += wire.varint(field.number << 3 | 5) + b"\x01\0\0\0"
        out += wire.varint(records.number << 3 | 2) + wire.varint(len(record)) + record
    return out


def message(vendor, kind, payload):
    """One message of fuzz_intake's input: vendor 0 to 3, the kind's place among those that vendors send."""
    return bytes([vendor * 8 + kind]) + len(payload).to_bytes(2, "little") + payload


def intake():
    """Batches: telemetry twice, in both forms, then a document, one that cannot be read, and one of a vendor without a right."""
    for selector, subsystem in enumerate(SUBSYSTEMS):
        full, small = records_of(subsystem, "telemetry")
        later = dict(small, observed_at_ms=NOW_MS - 1)
        content = message(0, 0, messages.protobuf(subsystem, [small, later, small]))
        content += message(0, 0, json.dumps([small, dict(later, device_code=None)]).encode())
        place = selector % len(KINDS)
        content += message(0, 1 + place, messages.protobuf(subsystem, [records_of(subsystem, KINDS[place])[0]], KINDS[place]))
        content += message(selector % 4, 0, b"{" if selector % 2 else json.dumps(small).encode())
        write("fuzz_intake", f"{subsystem}-batch", bytes([selector]) + b"\x12\x34\x56\x78" + content)


JSON_TEXTS = [
    '{"a": [1, -2.5e-3, 1e400, 0.1, 12345678901234567890, 9007199254740993], "b": {"c": null, "d": [true, false]}}',
    '["\\u4e2d\\ud83d\\ude00", "\\"\\\\\\/\\b\\f\\n\\r\\t", "\\ud800", "\\x", "中文"]',
    "[NaN, Infinity, -Infinity, -0, 0.0, 2.2250738585072011e-308, 1.7976931348623157e308]",
    "[" * 33 + "]" * 33,
    '\ufeff {"records" : [ { } , [ ] , "" ] } ',
    '{"a":1,"a":2,}',
    '"' + "\\u00e9" * 20 + '"',
    "[01, 1., .5, 1e, +1, --1]",
    '{"a": 1.#QNAN, "b": -1.#IND, "c": nan(0x1), "d": inf, "e": , "f": --, "g": 0x1f, "h": tru} \0\n\0',
]

SQL_TEXTS = [
    "CREATE TABLE a (b text DEFAULT 'it''s; so'); -- one; two\n/* a /* nested; */ one; */\nSELECT 1;\n",
    "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $body$ BEGIN RETURN 1; END; $body$;\nSELECT f();",
    "CREATE OR REPLACE FUNCTION g(x int) RETURNS int\nBEGIN ATOMIC\n SELECT CASE WHEN x > 0 THEN 1 ELSE 2 END;\n"
    " SELECT 2;\nEND;\nCOMMENT ON FUNCTION g IS E'a\\'b;c';",
    'SELECT "odd;name", $1, $$a;b$$, $t$ $$ ; $t$;;; PREPARE TRANSACTION \'x\'; rollback',
    "CREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2);\nBEGIN; END; COMMIT",
    "SELECT 'not closed; -- to the end",
    "/* not closed ; $$",
    "SELECT U&'\\0041;', n'x;', x'1F';\r\n\tCREATE VIEW 表 AS SELECT 1",
]

CONFIG_TEXTS = [
    "[lane]\ncounts = dust=3 gas=2\nbatch_records = 10\n[hub]\ninstance = h ; comment\n",
    "[mqtt]\nport = 70000\nhots = x\nhost\n[mqtt\n",
    "\ufeff[hub]\r\nlog_level = debug\r\n\tinstance = a\r\n",
    "# comment\n[lane]\ncounts = nothing=3, dust=17\n[hub]\nlog_level = loud\ninstance =\n",
    "port = 1\n[database]\nconninfo = host=/tmp dbname=x password='a b'\nwriters = 2x\n",
    "[hub]\ninstance = " + "x" * 300 + "\n",
]


HTTP_TEXTS = [
    "/tiles/dust/14.mvt?text=%e6%89%ac+%2B&n=-7&x=1.5e3&yes=true&by=hour&at=2026-11-24T08:00:00.5+08:00&bbox=113.9,33.8,114.5,34.3&ids=1,2,3",
    "/api/v1/devices?subsystem=gas&limit=10&after=5\napplication/json;q=0.5, */*;q=0\ngzip, br;q=0.1\nzh-CN,zh;q=0.9,en;q=0.8\n\"a-1\", W/\"b\"",
    "http://hub.example:8080/tiles/%00/%c0%af?%ff=%ed%a0%80&&=&a\ntext/html;level=\"1,2;q=0\"\n*;q=0.000\n*\n*",
    "*\napplication/*\nx-gzip\nen\n\"a-1-gzip\"",
    "/a/../%2e%2e//%2f?at=2026-11-24T08:00:00%2B08:00&at=2026-02-29&bbox=177,65,-177,70&ids=,\n,,;q\nq=1\n;;\n\"",
    "/\n*\n*\n*\n*\nBearer cht_a-B_9\n6.6.6.6, ::ffff:10.1.2.3 ,127.0.0.1\nhttps://a http://b:8080",
    "/\n*\n*\n*\n*\nBasic dTpjaHRfeA==\n2001:db8::1,::1\n",
]

STREAM_TEXTS = [
    "\ntile,state\n\n179.5,-90,-179.5,90\n7",
    "00065c3f1a2b3c4d-1200\nstate,case\ndust,gas\n113.9,33.8,114.5,34.3\n7,30,4",
    "ffffffffffffffff-18446744073709551615\n\n\n170,-10,-170,10\n*",
    "0000000000000abc-01\nstate,,case\ndust,\n1,2,3,nan\n0",
    "'; --\nposition,alarm,counter\nwater\n1e308,-1e308,inf,0\n2147483648,7",
]


def parsers():
    for number, text in enumerate(JSON_TEXTS):
        write("fuzz_json_reader", f"text-{number}", text.encode())
    for number, text in enumerate(SQL_TEXTS):
        write("fuzz_sql_script", f"text-{number}", text.encode())
    for number, text in enumerate(CONFIG_TEXTS):
        write("fuzz_config", f"text-{number}", text.encode())
    for number, text in enumerate(HTTP_TEXTS):
        write("fuzz_http", f"text-{number}", text.encode())
    for number, text in enumerate(STREAM_TEXTS):
        write("fuzz_stream", f"text-{number}", text.encode())
    write("fuzz_config", "default", (ROOT / "config" / "cityhub.ini").read_bytes())


def steps(*rows):
    """Steps of fuzz_jt808_parts: which, terminal and message, packets, number, length, filling."""
    return b"".join(bytes(row) for row in rows)


def jt808():
    """Every frame of the table, and what sub-packets can meet: any order, a hole and patience, twice, the next one, too many."""
    rows = (ROOT / "tests" / "data" / "jt808.tsv").read_text().splitlines()[1:]
    for number, row in enumerate(rows):
        write("fuzz_decode_jt808", f"row-{number:03}", bytes.fromhex(row.split("\t")[1]))
    orders = steps(*[(0, 1, 3, number, 9, number) for number in (2, 3, 1)])
    hole = steps((0, 0, 2, 1, 5, 1), *[(7, 250, 0, 0, 0, 0)] * 4)
    twice = steps((0, 2, 2, 1, 5, 1), (0, 2, 2, 1, 5, 1), (0, 2, 2, 1, 5, 2), (0, 2, 2, 2, 5, 3))
    many = steps(*[(0, 3, 8, number, 250, number) for number in range(1, 9)], (255, 0, 4, 1, 1, 1), (0, 4, 8, 9, 1, 1))
    for title, content in (("orders", orders), ("hole", hole), ("twice", twice), ("many", many), ("all", orders + hole + twice + many)):
        write("fuzz_jt808_parts", title, content)


def hj212():
    """Frames that devices sent; the first byte chooses how the target cuts and reads them."""
    rows = (ROOT / "tests" / "data" / "hj212.tsv").read_text().splitlines()[1:]
    for number, row in enumerate(rows):
        frame = row.split("\t")[1].encode("ascii")
        content = re.sub(rb"\\(?:x([0-9a-f]{2})|(.))", lambda m: bytes.fromhex(m[1].decode()) if m[1] else {b"r": b"\r", b"n": b"\n", b"t": b"\t"}.get(m[2], m[2]), frame)
        write("fuzz_decode_hj212", f"frame-{number:02}", bytes([number % 64]) + content)
    for path in sorted((ROOT / "config" / "gateway" / "hj212").iterdir()):
        write("fuzz_decode_hj212", f"dialect-{path.stem}", b"\x03" + path.read_bytes())


def speech():
    """Commands of fuzz_speech: bytes for a connection (HJ 212 by 0 and 2, JT/T 808 by 1), ends of what is held, other lists."""
    def sent(connection, data):
        pieces = [data[at:at + 400] for at in range(0, len(data), 400)]
        return b"".join(bytes([connection, (len(piece) + 1) // 2]) + piece.ljust((len(piece) + 1) // 2 * 2, b"\n" if connection != 1 else b"\x7e")
                        for piece in pieces)
    header = [("QN", "20261127050000001"), ("ST", 39), ("CN", 2011), ("PW", "123456"), ("MN", "MN"), ("Flag", 5)]
    monitor = monitors.frame(header, [(";", "DataTime", "20261127050000"), (";", "a34004-Rtd", 35.2), (",", "a34004-Flag", "N")])
    clock = monitors.frame([*header[:2], ("CN", 1013), *header[3:]], [])
    phone = {"phone": "013800000001"}
    place = trucks.position(when=1764219600)
    truck = (trucks.frame(0x0100, trucks.registration(), **phone) + trucks.frame(0x0102, b"token", serial=1, **phone)
             + trucks.frame(0x0200, place, serial=2, **phone) + trucks.frame(0x0002, serial=3, **phone))
    pieces = b"".join(trucks.frames(0x0704, trucks.batch([place] * 5), size=60, serial=9, **phone))
    write("fuzz_speech", "monitor", sent(0, monitor * 3) + bytes([0x80, 0x91, 0xa1]))
    write("fuzz_speech", "clock", sent(2, clock + monitor) + b"\xf9" + sent(2, monitor) + b"\xf8" + sent(0, monitor))
    write("fuzz_speech", "truck", sent(1, truck) + b"\x80" + sent(1, pieces) + b"\x81\xf1" + sent(1, truck) + b"\xf8" + sent(1, truck + pieces))


def mappings():
    """The shipped mappings with their samples, and messages of the mapping that the target brings."""
    samples = ROOT / "tests" / "data" / "mappings"
    for path in sorted((ROOT / "config" / "mappings").iterdir()):
        write("fuzz_mapping", path.stem, path.read_bytes() + b"\0" + (samples / f"{path.stem}.sample.json").read_bytes())
    frame = monitors.frame([("QN", "20261127050000001"), ("ST", 39), ("CN", 2011), ("PW", "1"), ("MN", "M"), ("Flag", 5)],
                           [(";", "DataTime", "20261127050000"), (";", "a34004-Rtd", 35.2), (";", "zz-Rtd", 1)])
    record = {"id": 7, "ts": "2026-11-27T05:00:00.5+08:00", "x": 114.1, "y": "34.2", "a": "0.03", "b": "on", "c": {"d": None}, "f": base64.b64encode(frame).decode(),
              "l": [{"n": "noise_dba", "v": 61.5}, {"n": 1}]}
    write("fuzz_mapping", "all", json.dumps({"A": [record, {"t": 2, "z": 1}], "B": {"v": {"a": 1e9}}, "msg": json.dumps([{"a": 1}])}).encode())
    write("fuzz_mapping", "mark", b"\xef\xbb\xbf")


def media_files():
    jpeg = (b"\xff\xd8" + media.segment(0xE0, b"JFIF\0..") + media.segment(0xE1, b"Exif\0\0" + media.exif()) + media.segment(0xFE, b"comment")
            + media.segment(0xDA, b"..") + b"\1\2\xff\0\xff\xd0\3\xff\xd9behind")
    turned = b"\xff\xd8" + media.segment(0xE1, b"Exif\0\0" + media.exif()) * 3 + media.segment(0xDA, b"..") + b"\xff\xd9"
    webp = b"VP8X\x0a\0\0\0\x2c........." + b"VP8L\1\0\0\0.." + b"EXIF" + len(media.exif()).to_bytes(4, "little") + media.exif()
    told = (b"%PDF-1.7\n2 0 obj<</Author(m(e)\\))/A<00>>>endobj 3 0 obj<</Type/Metadata>>stream\nxmp\nendstream endobj 4 0 obj<</Filter/A/Type/Metadata>>stream\r\n"
            b"zip\r\nendstream endobj 5 0 obj<<>>stream\n" + jpeg + b"\nendstream endobj trailer<</Info 2 0 R>>\n%%EOF")
    words = lambda *all: struct.pack(f">{len(all)}I", *all)  # noqa: E731
    track = lambda number, kind: media.box(b"trak", media.box(b"tkhd", words(0, 0, 0, number, 0, 0)), media.box(b"mdia", media.box(b"hdlr", bytes(8) + kind)))  # noqa: E731
    fragments = (media.box(b"ftyp", b"iso5\0\0\2\0") + media.box(b"moov", track(1, b"vide"), track(7, b"meta"), media.box(b"mvex", media.box(b"trex", words(0, 7, 1, 0, 4, 0))))
                 + media.box(b"moof", media.box(b"traf", media.box(b"tfhd", words(0x20000, 1)), media.box(b"trun", words(0x201, 1, 128, 4))),
                             media.box(b"traf", media.box(b"tfhd", words(0, 7)), media.box(b"trun", words(0x300, 1, 9, 8)), media.box(b"trun", words(0, 1))))
                 + media.box(b"mdat", b"PICT34.55114placed"))
    for name, content in (("jpeg", jpeg), ("jpeg-blocks", turned), ("png", media.png(1, 4, media.chunk(b"eXIf", media.exif()) + media.chunk(b"tEXt", b"a\0b"))),
                          ("webp", b"RIFF" + (len(webp) + 4).to_bytes(4, "little") + b"WEBP" + webp), ("pdf", media.pdf("x")),
                          ("pdf-told", told),
                          ("mp4", media.mp4(20)), ("mp4-fragments", fragments), ("exif", media.exif()), ("range", b"bytes=2-5"), ("range-last", b"bytes=-3")):
        write("fuzz_media", name, content)


def basemaps():
    """Files of base maps, control points, and the beginnings of pictures."""
    layers = [{"xyz": "https://{s}.example.cn/{z}/{x}/{-y}.png", "subdomains": ["a", "b"]},
              {"wmts": "http://10.0.0.1/wmts?a=1", "layer": "img", "matrix_set": "EPSG:3857", "matrix": "EPSG:3857:{z}", "format": "image/jpeg"}]
    whole = {"name": "one", "zh": "影像", "coordinates": "wgs84", "plain_http": True, "private_addresses": ["10.0.0.0/8", "fd00::/8"], "min_zoom": 3, "max_zoom": 17,
             "attribution": "GS(2024)", "layers": layers}
    refused = {"name": "two", "coordinates": "gcj02", "layers": [{"xyz": "https://webrd01.is.autonavi.com/{z}/{x}/{y}"}]}
    for name, maps in (("good", [whole]), ("refused", [whole, refused]), ("faulty", [{"name": "A", "layers": [{"tianditu": "vec"}, {"wmts": "x"}, {}]}])):
        write("fuzz_basemap", f"file-{name}", json.dumps({"basemaps": maps}, ensure_ascii=False).encode())
    points = "name,lon,lat,map_lon,map_lat\n" + "".join(f"p{n},{114 + n / 9:.5f},34,{114.006 + n / 9:.5f},33.9988\n" for n in range(4))
    write("fuzz_basemap", "points", points.encode())
    write("fuzz_basemap", "png", media.png(1, 4))
    write("fuzz_basemap", "jpeg", b"\xff\xd8" + media.segment(0xE0, b"JFIF\0..") + b"\xff" + media.segment(0xC0, b"\x08\1\0\1\0\3" + bytes(9)) + bytes(8))
    for name, piece in (("vp8x", b"VP8X\x0a\0\0\0\0\0\0\0\xff\0\0\xff\0\0"), ("vp8l", b"VP8L\x0a\0\0\0\x2f\xff\xc0\x3f\0....."),
                        ("vp8", b"VP8 \x0a\0\0\0...\x9d\x01\x2a\0\1\0\1")):
        write("fuzz_basemap", name, b"RIFF" + (len(piece) + 4).to_bytes(4, "little") + b"WEBP" + piece + bytes(4))


def main():
    for name in ("fuzz_decode_protobuf", "fuzz_decode_json", "fuzz_json_reader", "fuzz_sql_script", "fuzz_config", "fuzz_http", "fuzz_stream", "fuzz_intake",
                 "fuzz_decode_hj212", "fuzz_decode_jt808", "fuzz_jt808_parts", "fuzz_speech", "fuzz_media", "fuzz_mapping", "fuzz_basemap"):
        shutil.rmtree(CORPUS / name, ignore_errors=True)
    decoders()
    parsers()
    media_files()
    basemaps()
    mappings()
    intake()
    jt808()
    hj212()
    speech()
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    print(f"{len(files)} files, {sum(path.stat().st_size for path in files)} bytes")


if __name__ == "__main__":
    main()

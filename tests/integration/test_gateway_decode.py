"""`cityhub gateway decode`: what an independent encoder writes comes back, value by value; several frames in a line; what is none."""
import json
import random
import subprocess

from harness import hj212, paths

EXAMPLE_KEY = b"0" * 16
FACTORS = ("a34004", "a34002", "a34001", "LA", "a01001", "a01007", "107", "B03")


def decode(*lines, protocol="hj212"):
    done = subprocess.run([paths.cityhub(), "gateway", "decode", "--protocol", protocol], input="".join(line + "\n" for line in lines),
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(lines)
    return answers


def random_frame(chance):
    """A frame, and what is in it."""
    flag = chance.randrange(12)
    header = [("QN", f"2026{chance.randrange(10**13):013}"), ("ST", chance.choice(("22", "31", "39"))), ("CN", chance.choice(("2011", "2051", "2061"))),
              ("PW", "sEcReT"), ("MN", "".join(chance.choices("0123456789ABCDEF", k=24))), ("Flag", str(flag))]
    if flag & 2:
        header += [("PNUM", "2"), ("PNO", "1")]
    head = header[:-1]
    chance.shuffle(head)  # the order of fields says nothing; CP is last
    items = [(";", "DataTime", "20260801085857")]
    for factor in chance.sample(FACTORS, chance.randrange(1, len(FACTORS))):
        items += [(";", f"{factor}-Rtd", f"{chance.uniform(-9, 999):.{chance.randrange(4)}f}"), (",", f"{factor}-Flag", chance.choice("NFMSDCTB"))]
    if chance.random() < 0.3:
        items.append((";", "i11001-Info", "//清洗管路，换滤芯//"))
    chinese = len(items[-1][2]) > 10 and "清" in items[-1][2]
    encoding = chance.choice(("utf-8", "gbk")) if chinese else "utf-8"
    key = EXAMPLE_KEY if chance.random() < 0.3 and encoding == "utf-8" else None
    kind = chance.choice(("standard", "standard", "modbus", "modbus-swapped"))
    data = hj212.frame(head + header[-1:], items, kind=kind, key=key, encoding=encoding)
    wanted = {name: value for name, value in header if name != "PW"} | {name: value for _, name, value in items}
    wanted |= {"version": ("2005", "2017", "2025")[flag >> 2], "ack": "yes" if flag & 1 else "no", "split": "yes" if flag & 2 else "no"}
    if key:
        wanted |= {"encrypted": "sm4-ecb", "key": "16 x 0x30"}
    if encoding == "gbk":
        wanted["encoding"] = "gbk"
    if kind == "modbus-swapped" and data[-6:-4] == data[-4:-2]:
        kind = "modbus"  # both bytes are the same
    why = {"modbus": ["CRC is CRC-16/MODBUS, not the HJ 212 one"], "modbus-swapped": ["CRC is byte-swapped CRC-16/MODBUS"]}.get(kind, [])
    why += ["text is GBK, the standard wants UTF-8"] if encoding == "gbk" else []
    return data, wanted, "; ".join(why)


def test_round_trip(work_folder):
    chance = random.Random(212)
    frames = [random_frame(chance) for _ in range(400)]
    answers = decode(*(hj212.written(data) for data, _, _ in frames))
    for (data, wanted, why), answer in zip(frames, answers):
        got = {name: value for name, value in answer.items() if name not in ("len", "crc", "valid", "why", "note")}
        assert got == wanted, f"{data}\n{answer}"
        assert answer.get("why", "") == why and answer["valid"] == (why == ""), f"{data}\n{answer}"
        assert "sEcReT" not in json.dumps(answer)


def test_glued(work_folder):
    """Frames without a line end between them, words before them, one that is cut: each good one is shown."""
    chance = random.Random(9)
    header = [("QN", "20260801085857223"), ("ST", "39"), ("CN", "2011"), ("PW", "1"), ("Flag", "4")]
    frames = [hj212.frame(header + [("MN", f"M{n}")], [(";", "DataTime", "20260801085857"), (";", "a34004-Rtd", str(n))],
                          tail=b"\r\n" if chance.random() < 0.5 else b"") for n in range(1, 6)]
    glued, cut, words = decode(hj212.written(b"".join(frames)), hj212.written(frames[0][:60] + frames[1]), hj212.written(b"Hour " + frames[2]))
    assert [glued[f"{n}.MN"] for n in range(1, 6)] == ["M1", "M2", "M3", "M4", "M5"] and glued["frames"] == "5" and glued["valid"] is True
    assert (cut["frames"], cut["discarded"], cut["MN"], cut["a34004-Rtd"]) == ("1", "1", "M2", "2")
    assert cut["valid"] is False and cut["why"] == "first frame is truncated"
    assert words["MN"] == "M3" and words["valid"] is True and words["note"] == "5 bytes beside the frame"


HEADER = [("QN", "20260801085857223"), ("ST", "39"), ("CN", "3020"), ("PW", "1"), ("MN", "M1"), ("Flag", "9")]
ITEMS = [(";", "DataTime", "20260801085857"), (";", "a34004-Rtd", "12")]


def encrypted(items=ITEMS, key=EXAMPLE_KEY, declared=None):
    return hj212.written(hj212.frame(HEADER, items, key=key, declared=declared))


def test_encrypted_in_other_ways(work_folder):
    """How the bytes are written says nothing; the first value may be Chinese."""
    line = encrypted()
    ways = decode(line, line.replace(",", ", "), line.replace("0x", "0X"), line.replace("}", ",}"), line.replace("}", " }"))
    assert all(answer["valid"] is True and answer["a34004-Rtd"] == "12" for answer in ways), ways
    assert decode(line.replace(",", ",,", 1))[0]["valid"] is False
    note, = decode(encrypted([(";", "i11001-Info", "//清洗管路//"), (";", "a34004-Rtd", "12")]))
    assert note["valid"] is True and note["i11001-Info"] == "//清洗管路//" and note["a34004-Rtd"] == "12", note


def test_encrypted_and_wrong(work_folder):
    """A text tells that the key is right: what is wrong then is the check value or the length. Of another key's frame nothing is said."""
    crc, length, other = decode(encrypted()[:-8] + "1234\\r\\n", encrypted(declared=400), encrypted(key=b"1" * 16))
    assert crc["a34004-Rtd"] == "12" and crc["crc"].startswith("1234/calc=") and crc["why"].startswith("CRC wrong"), crc
    assert length["a34004-Rtd"] == "12" and length["len"].startswith("400/actual=") and length["why"].startswith("length field 400"), length
    assert other["MN"] == "M1" and "a34004-Rtd" not in other and "note" not in other, other
    assert other["why"] == "encrypted (SM4), and no key that fits is known"


def test_marks_too_many(work_folder):
    segments = [segment.replace("CP=", "QN=20260801085857223;ST=39;CN=2011;PW=1;MN=M1;Flag=4;CP=").encode() for segment in
                ("CP=&&&&a=1;b=2&&", "CP=&&a=1;b=2&&&", "CP=&&a=1;b=2&&&&", "CP=&a=1;b=2&")]
    for answer in decode(*(f"##{len(segment):04}{segment.decode()}{hj212.crc(segment):04X}\\r\\n" for segment in segments)):
        assert answer["valid"] is True and (answer["a"], answer["b"]) == ("1", "2"), answer


def test_no_password(work_folder):
    """A header behind its content has its password there too."""
    segment = b"CP=&&DataTime=20260801085857;a34004-Rtd=1&&;QN=20260801085857223;ST=39;CN=2011;PW=sEcReT;MN=M1;Flag=4"
    answer, = decode(f"##{len(segment):04}{segment.decode()}{hj212.crc(segment):04X}\\r\\n")
    assert answer["MN"] == "M1" and answer["valid"] is False and "sEcReT" not in json.dumps(answer), answer


def test_none(work_folder):
    answers = decode("", "GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n", "\\x00\\x01\\x00\\x00\\x00\\x06\\x01\\x03\\x00\\x00\\x00\\x0a")
    assert all(answer == {"valid": False, "why": "no frame: ## and 4 digits are missing"} for answer in answers)


def test_usage(work_folder):
    done = subprocess.run([paths.cityhub(), "gateway", "decode", "--protocol", "morse"], input="", capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "hj212" in done.stderr

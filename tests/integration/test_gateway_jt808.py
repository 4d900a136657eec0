"""`cityhub gateway decode --protocol jt808`: what an independent encoder writes comes back, value by value, escaped or not, in pieces and glued."""
import json
import random
import subprocess

from harness import jt808, paths


def decode(*datas):
    done = subprocess.run([paths.cityhub(), "gateway", "decode", "--protocol", "jt808"], input="".join(data.hex() + "\n" for data in datas),
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(datas)
    return answers


def random_position(chance):
    """A position's body and what is in it."""
    place = {"lat": round(chance.uniform(-80, 80), 6), "lon": round(chance.uniform(-179, 179), 6), "when": chance.randrange(946656000, 4102416000),
             "speed": chance.randrange(2000) / 10, "direction": chance.randrange(360), "altitude": chance.randrange(-500, 9000),
             "alarm": chance.getrandbits(32), "status": chance.getrandbits(32) & ~12}
    mileage, raw = chance.getrandbits(32), chance.randbytes(chance.randrange(60))
    body = jt808.position(**place, items=[(0x01, mileage.to_bytes(4, "big")), (0x30, b"\x7d"), (0xE1, raw), (0xE1, b"\x7e")])
    status = place["status"] | (4 if place["lat"] < 0 else 0) | (8 if place["lon"] < 0 else 0)
    moment = jt808.datetime.datetime.fromtimestamp(place["when"], jt808.BEIJING)
    return body, {"alarm": f"0x{place['alarm']:08x}", "status": f"0x{status:08x}", "acc": str(status & 1), "fix": str(status >> 1 & 1),
                  "lat": f"{place['lat']:.6f}", "lon": f"{place['lon']:.6f}", "alt": str(place["altitude"]), "speed_kmh": f"{place['speed']:.1f}",
                  "dir": str(place["direction"]), "time": moment.isoformat(), "mileage_km": f"{mileage / 10:.1f}", "rssi": "125", "iE1": raw.hex(), "iE1'": "7e"}


def random_frame(chance):
    year, serial = chance.choice((2013, 2019)), chance.randrange(65536)
    phone = "".join(chance.choices("0123456789", k=20 if year == 2019 else 12))
    wanted = {"version": "2019(v1)" if year == 2019 else "2011/2013", "phone": phone, "serial": str(serial)}
    kind = chance.randrange(3)
    if kind == 0:
        body, values = random_position(chance)
        return jt808.POSITION, body, phone, serial, year, wanted | values | {"id": "0x0200"}
    if kind == 1:
        positions = [random_position(chance) for _ in range(chance.randrange(1, 6))]
        values = {f"{n}.{name}": value for n, (_, one) in enumerate(positions, 1) for name, value in one.items()}
        count = str(len(positions))
        return (jt808.BATCH, jt808.batch([body for body, _ in positions]), phone, serial, year,
                wanted | values | {"id": "0x0704", "count": count, "decoded": count, "batch_type": "1"})
    body = jt808.registration("豫A·挂123", 2019 if year == 2019 else chance.choice((2011, 2013)), terminal="T~}1", maker="MAK")
    return jt808.REGISTER, body, phone, serial, year, wanted | {"id": "0x0100", "plate": "豫A·挂123", "terminal_id": "T~}1", "maker": "MAK",
                                                              "model": "MODEL-1", "province": "41", "city": "1000", "plate_color": "2"}


def test_round_trip(work_folder):
    chance = random.Random(808)
    made = [random_frame(chance) for _ in range(400)]
    escaped = [jt808.frame(ident, body, phone, serial, year) for ident, body, phone, serial, year, _ in made]
    raw = [jt808.frame(ident, body, phone, serial, year, escaped=False) for ident, body, phone, serial, year, _ in made]
    for data, answer, one in zip(escaped, decode(*escaped), made):
        got = {name: value for name, value in answer.items() if name not in ("len", "xor", "valid")}
        assert got == one[-1] and answer["valid"] is True and answer["len"] == str(len(one[1])), f"{data.hex()}\n{answer}"
    saved = 0
    for data, answer, one in zip(raw, decode(*raw), made):  # a terminal that never escapes loses nothing
        got = {name: value for name, value in answer.items() if name not in ("len", "xor", "valid", "why")}
        if got == one[-1]:
            saved += 1
            assert answer["valid"] is (data in escaped), f"{data.hex()}\n{answer}"
        else:
            assert data.count(b"\x7e") > 3, f"{data.hex()}\n{answer}"
    assert saved > 380


def test_glued_and_cut(work_folder):
    beats = [jt808.frame(jt808.HEARTBEAT, serial=n) for n in range(5)]
    wrong = jt808.frame(jt808.POSITION, jt808.position(), check=0)
    whole, shared, cut, bad, long = decode(b"".join(beats), b"\x7e".join(beat[1:-1] for beat in [b"\x7e\x7e", *beats, b"\x7e\x7e"]),
                                           beats[0] + beats[1][:9], wrong + beats[0], jt808.frame(jt808.POSITION, jt808.position(), declared=300))
    assert [whole[f"{n}.serial"] for n in range(1, 6)] == [shared[f"{n}.serial"] for n in range(1, 6)] == list("01234")
    assert whole["valid"] is shared["valid"] is True
    assert (cut["frames"], cut["pending"], cut["valid"]) == ("1", "9", False)
    assert (bad["frames"], bad["serial"], bad["valid"]) == ("1", "0", False) and "XOR wrong" in bad["why"]
    assert long["len"] == "300/actual=28" and long["valid"] is False


def test_packets(work_folder):
    picture = jt808.media(7, bytes(range(256)) * 12)
    pieces = jt808.frames(jt808.MEDIA, picture, size=900)
    answers = decode(*pieces)
    assert [answer["pkg"] for answer in answers] == [f"{n}/{len(pieces)}" for n in range(1, len(pieces) + 1)]
    assert all(answer["valid"] and answer["body"].startswith("sha256:") for answer in answers)

"""Files of cases over HTTP: sent, cleaned of place and time, attached, seen by who sees the case, in parts, and swept when no case has them."""
import concurrent.futures
import hashlib
import os
import subprocess
import time

import pytest

from harness import media, paths
from harness.people import ORIGIN, Visitor
from harness.planted import send_file
from harness.process import wait_until

SHARED_SETTINGS = {"http.origins": ORIGIN, "http.attachment_mib": 2, "http.attachment_sweep_s": 1}


@pytest.fixture(scope="module")
def county(shared):
    hub = shared.hubs[0]
    hub.run("catalogue", "departments", "import", paths.ROOT / "config" / "departments.csv")
    hub.run("catalogue", "import", paths.ROOT / "config" / "case_catalogue.csv")
    return {"supervisor": Visitor(hub, "supervisor"), "other": Visitor(hub, "supervisor"), "admin": Visitor(hub, "admin"),
            "viewer": Visitor(hub, "viewer"), "huanwei": Visitor(hub, "department", "huanwei")}


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    """A real JPEG by libvips, with EXIF, XMP and a comment put in, and something behind its end."""
    folder = tmp_path_factory.mktemp("photograph")
    (folder / "in.png").write_bytes(media.png(200, 600))
    subprocess.run(["vips", "copy", folder / "in.png", f"{folder / 'out.jpg'}[strip]"], check=True)
    bare = (folder / "out.jpg").read_bytes()
    described = (media.segment(0xE1, b"Exif\0\0" + media.exif()) + media.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0SECRET")
                 + media.segment(0xFE, b"SECRET"))
    return bare[:2] + described + bare[2:] + b"SECRET"


def folder_of(shared):
    return shared.hubs[0].folder / "hub-attachments"


def send(visitor, content, kind="application/octet-stream", **headers):
    return visitor.send("POST", "/api/v1/attachments", data=content, headers={"Content-Type": kind, **headers})


def report(visitor, *names):
    answer = visitor.post("/api/v1/cases", {"source": "supervisor", "title": "垃圾成堆", "lon": 114.75, "lat": 34.55, "category": "20102",
                                            "attachments": [{"sha256": name} for name in names]})
    assert answer.status_code == 201, answer.text
    return answer.json()["case"]


def test_a_photograph_from_sending_to_seeing(shared, county, photograph):
    supervisor = county["supervisor"]
    answer = send(supervisor, photograph, "image/jpeg")
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert told["media_type"] == "image/jpeg" and told["thumbnail"] is True and told["original_sha256"] == hashlib.sha256(photograph).hexdigest()
    assert (told["lon"], told["lat"]) == (pytest.approx(114.76), pytest.approx(34.55)) and told["taken_at"].startswith("2026-11-20T01:08:07")
    assert answer.headers["Location"] == told["uri"] == "/api/v1/attachments/" + told["sha256"]
    path = folder_of(shared) / told["sha256"][:2] / told["sha256"]
    clean = path.read_bytes()
    assert hashlib.sha256(clean).hexdigest() == told["sha256"] and b"SECRET" not in clean and b"2026:11:20" not in clean
    assert oct(path.stat().st_mode & 0o777) == "0o600" and not list((folder_of(shared) / "incoming").iterdir())
    # Nobody sees it yet but who sent it; nobody else attaches it.
    assert supervisor.get(told["uri"]).content == clean
    assert county["admin"].get(told["uri"]).status_code == 404
    stolen = county["other"].post("/api/v1/cases", {"source": "supervisor", "title": "x", "attachments": [{"sha256": told["sha256"]}]})
    assert stolen.status_code == 422 and stolen.json()["code"] == "CH013"
    claimed = {"uri": told["uri"], "sha256": told["sha256"], "size_bytes": 1, "media_type": "image/jpeg"}
    assert county["other"].post("/api/v1/cases", {"source": "supervisor", "title": "x", "attachments": [claimed]}).status_code == 422
    elsewhere = {**claimed, "uri": "http://elsewhere.example/1.jpg"}  # a reference to elsewhere opens nothing here
    assert county["other"].post("/api/v1/cases", {"source": "supervisor", "title": "x", "attachments": [elsewhere]}).status_code == 201
    assert county["other"].get(told["uri"]).status_code == 404
    number = report(supervisor, told["sha256"])
    listed = county["admin"].get(f"/api/v1/cases/{number}").json()["attachments"]
    assert [(one["uri"], one["thumbnail"], one["lon"]) for one in listed] == [(told["uri"], True, pytest.approx(114.76))]
    assert county["admin"].get(told["uri"]).content == clean and county["huanwei"].get(told["uri"]).status_code == 404
    seen = county["admin"].get(told["uri"], headers={"If-None-Match": f'"{told["sha256"]}"'})
    assert seen.status_code == 304 and "sandbox" in county["admin"].get(told["uri"]).headers["Content-Security-Policy"]
    small = county["admin"].get(told["uri"] + "/thumbnail")
    assert small.status_code == 200 and small.headers["Content-Type"] == "image/jpeg" and small.content[:3] == b"\xff\xd8\xff"
    (path.parent / "small.jpg").write_bytes(small.content)
    width = subprocess.run(["vipsheader", "-f", "width", path.parent / "small.jpg"], check=True, capture_output=True, text=True).stdout
    assert 0 < int(width) <= 480
    assert county["huanwei"].get(told["uri"] + "/thumbnail").status_code == 404


def test_parts_of_a_film(shared, county):
    film = media.mp4(300000)
    name = send_file(county["supervisor"], film, "video/mp4")
    uri, clean = f"/api/v1/attachments/{name}", (folder_of(shared) / name[:2] / name).read_bytes()
    assert len(clean) == len(film) and b"+34.55" not in clean and clean[-300000:] == film[-300000:]
    report(county["supervisor"], name)
    for asked, status, part, range_of in (("bytes=0-99", 206, clean[:100], "bytes 0-99/%d"), ("bytes=200000-", 206, clean[200000:], "bytes 200000-%d/%d"),
                                          ("bytes=-500", 206, clean[-500:], None), ("bytes=0-1,5-6", 200, clean, None), ("words=1-2", 200, clean, None),
                                          ("bytes=900000-", 416, b"", None)):
        answer = county["admin"].get(uri, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (status, part), asked
        assert answer.headers["Accept-Ranges"] == "bytes" and int(answer.headers["Content-Length"]) == len(part)
        assert (status == 200) == ("Content-Range" not in answer.headers), answer.headers
    assert county["admin"].get(uri, headers={"Range": "bytes=0-99", "If-Range": '"another"'}).status_code == 200
    head = county["admin"].send("HEAD", uri)
    assert head.headers["Content-Length"] == str(len(clean)) and head.headers["Content-Type"] == "video/mp4"
    assert county["admin"].get(uri + "/thumbnail").status_code == 404


def test_what_is_not_taken(shared, county):
    visitor = county["supervisor"]
    for content, status, code in ((b"MZ" + bytes(100), 415, "CH046"), (media.png()[:-5], 415, "CH046"), (b"\xff\xd8\xff" + bytes(50), 415, "CH046"),
                                  (b"%PDF-1.4 without an end", 415, "CH046"), (b"<script>alert(1)</script>", 415, "CH046"), (b"", 400, "CH044"),
                                  (media.mp4(2 * 1024 * 1024), 413, "CH045")):
        answer = send(visitor, content)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert send(visitor, iter([media.mp4(2 * 1024 * 1024 + 300000)])).status_code == 413  # in chunks: its length is not said before
    assert send(visitor, b"x", "text/html").status_code == 415
    refused = send(county["viewer"], media.png(1))
    assert (refused.status_code, refused.json()["code"]) == (403, "CH019")
    shared.database.query("UPDATE onemap.setting SET value = '2' WHERE key = 'attachment_waiting'")
    answers = [send(county["other"], media.png(shade)) for shade in (10, 11, 12, 11)]
    assert [answer.status_code for answer in answers] == [201, 201, 429, 201] and answers[2].json()["code"] == "CH057"
    assert int(answers[2].headers["Retry-After"]) > 0
    shared.database.query("UPDATE onemap.setting SET value = '50' WHERE key = 'attachment_waiting'")
    wait_until(lambda: not list((folder_of(shared) / "incoming").iterdir()), 60, "nothing is left of what was not taken")
    for name in ("0" * 64, "../" * 20 + "etcp", "Z" * 64, "%" * 64):
        assert visitor.get("/api/v1/attachments/" + name.replace("%", "%25").replace("/", "%2F")).status_code in (400, 404)


def test_several_at_a_time_each_whole(shared, county):
    def one(number):
        visitor = Visitor(shared.hubs[0], "supervisor")
        film = media.mp4(200000 + number)
        answer = send(visitor, film)
        while answer.status_code == 503:
            time.sleep(0.05)  # as Retry-After asks for: too many at a time
            answer = send(visitor, film)
        return number, answer.json()["sha256"], visitor
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(one, range(12)))
    assert len({name for _, name, _ in made}) == 12
    for number, name, visitor in made:
        assert visitor.get(f"/api/v1/attachments/{name}").content[-200000:] == media.mp4(200000 + number)[-200000:]


def test_what_nobody_wants_is_swept(shared, county):
    kept, gone = (send_file(county["supervisor"], media.png(shade)) for shade in (60, 61))
    report(county["supervisor"], kept)
    folder = folder_of(shared)
    orphan, fresh = "ab" * 32, "cd" * 32
    for name in (orphan, fresh):
        (folder / name[:2] / name).write_bytes(b"x")
    stale = folder / "incoming" / "0123.part"
    stale.write_bytes(b"x")
    shared.database.query("UPDATE onemap.attachment SET last_uploaded_at = now() - interval '2 days'")
    old = time.time() - 2 * 86400
    for path in (folder / kept[:2] / kept, folder / gone[:2] / gone, folder / gone[:2] / f"{gone}.jpg", folder / orphan[:2] / orphan, stale):
        os.utime(path, (old, old))
    left = [folder / gone[:2] / gone, folder / gone[:2] / f"{gone}.jpg", folder / orphan[:2] / orphan, stale]
    wait_until(lambda: not any(path.exists() for path in left), 60, "what nobody wants is swept")
    assert (folder / kept[:2] / kept).exists() and (folder / fresh[:2] / fresh).exists()
    assert county["supervisor"].get(f"/api/v1/attachments/{gone}").status_code == 404
    assert county["admin"].get(f"/api/v1/attachments/{kept}").status_code == 200
    # The same file again is as new.
    assert send_file(county["supervisor"], media.png(61)) == gone and county["supervisor"].get(f"/api/v1/attachments/{gone}").status_code == 200


def test_a_file_that_is_lost_is_said_to_be(shared, county):
    name = send_file(county["supervisor"], media.pdf("lost"))
    (folder_of(shared) / name[:2] / name).write_bytes(b"short")
    answer = county["supervisor"].get(f"/api/v1/attachments/{name}")
    assert answer.status_code == 500 and answer.json()["code"] == "CH053"

"""Base maps: pictures through the hub from sources that are right, wrong, slow and away; what is refused; the key that nobody sees; what is
kept on the disk."""
import concurrent.futures
import json
import os
import time

import pytest
import requests
from harness import media
from harness.process import wait_until
from harness.tile_source import KEY, TileSource, shade_of

WAYS = ("xyz", "slow", "empty", "none", "html", "large", "wide", "redirect", "broken")
POINTS = "name,lon,lat,map_lon,map_lat\n"


@pytest.fixture(scope="module")
def source():
    with TileSource() as source:
        yield source


def basemap(name, source, *layers, **more):
    return {"name": name, "zh": f"底图{name}", "coordinates": "cgcs2000", "plain_http": True, "private_addresses": ["127.0.0.0/8"],
            "layers": list(layers) or [{"xyz": f"{source.url}/{name}/{{z}}/{{x}}/{{y}}"}], **more}


@pytest.fixture(scope="module")
def hub(shared, source):
    folder = shared.folder
    (folder / "key").write_text(KEY + "\n")
    lines = [f"p{n},{114.4 + n / 20:.6f},{34.0 + n / 30:.6f},{114.4061 + n / 20:.6f},{33.9988 + n / 30:.6f}\n" for n in range(4)]
    (folder / "far.csv").write_text(POINTS + "".join(lines))
    (folder / "right.csv").write_text(POINTS + "".join(f"p{n},{114 + n / 9},{34 + n / 9},{114 + n / 9},{34 + n / 9}\n" for n in range(3)))
    key = str(folder / "key")
    maps = [basemap(way, source) for way in WAYS] + [
        basemap("vec", source, *({"tianditu": layer, "url": source.url} for layer in ("vec", "cva")), key_file=key, attribution="审图号 GS(2024)0568号",
                referer="https://county.example.cn/", control_points=str(folder / "right.csv")),
        basemap("wmts", source, {"wmts": f"{source.url}/wmts", "layer": "img", "matrix_set": "EPSG:3857", "matrix": "EPSG:3857:{z}", "key_parameter": "tk"},
                key_file=key, min_zoom=3, max_zoom=17),
        basemap("inside", source, private_addresses=[]),
        basemap("nowhere", source, {"xyz": "http://127.0.0.1:1/{z}/{x}/{y}"}),
        basemap("gcj", source, coordinates="gcj02"),
        basemap("far", source, control_points=str(folder / "far.csv")),
    ]
    (folder / "basemaps.json").write_text(json.dumps({"basemaps": maps}))
    hub = shared.hubs[0]
    hub.stop()
    hub.write_config(http__basemaps=folder / "basemaps.json", http__basemap_cache=folder / "pictures")
    hub.start()
    return hub


def get(hub, name, *place, layer=0, **headers):
    return requests.get(f"{hub.http_url}/api/v1/basemaps/{name}/{layer}/{'/'.join(map(str, place))}", headers={**hub.key(), **headers}, timeout=60)


def log_of(hub):
    return hub.process.log_path.read_text(errors="replace")


def test_the_list_tells_what_is_shown_and_what_is_not(hub, source):
    answer = hub.read("/api/v1/basemaps")
    assert answer.status_code == 200
    maps = {one["name"]: one for one in answer.json()["basemaps"]}
    assert maps["vec"]["layers"] == [f"/api/v1/basemaps/vec/{n}/{{z}}/{{x}}/{{y}}" for n in range(2)]
    assert maps["vec"]["attribution"] == "审图号 GS(2024)0568号" and maps["vec"]["control_points"] == 3 and maps["vec"]["refused_zh"] == ""
    assert maps["xyz"]["control_points"] == 0 and (maps["wmts"]["min_zoom"], maps["wmts"]["max_zoom"]) == (3, 17)
    assert maps["gcj"]["layers"] == [] and "GCJ-02" in maps["gcj"]["refused_zh"] and "GCJ-02" in maps["gcj"]["refused_en"]
    assert maps["far"]["layers"] == [] and maps["far"]["refused_en"] != ""
    assert source.url not in answer.text and requests.get(f"{hub.http_url}/api/v1/basemaps", timeout=30).status_code == 401
    for name in ("gcj", "far"):
        refusal = get(hub, name, 1, 0, 0)
        assert refusal.status_code == 404 and maps[name]["refused_zh"] in refusal.json()["detail"]
    assert requests.get(f"{hub.http_url}/api/v1/basemaps/xyz/0/1/0/0", timeout=30).status_code == 401


def test_pictures_come_as_they_are_and_are_kept(hub, source):
    for name, layer, word in (("xyz", 0, "xyz"), ("vec", 0, "vec"), ("vec", 1, "cva"), ("wmts", 0, "img")):
        answer = get(hub, name, 5, 26, 12, layer=layer)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png"), answer.text
        assert answer.content == media.png(shade_of(word, 5, 26, 12), 256)
        assert answer.headers["Cache-Control"] == "private, max-age=86400" and answer.headers["X-Content-Type-Options"] == "nosniff"
        asked = len(source.asked)
        again = get(hub, name, 5, 26, 12, layer=layer)
        assert again.content == answer.content and len(source.asked) == asked
        assert get(hub, name, 5, 26, 12, layer=layer, **{"If-None-Match": answer.headers["ETag"]}).status_code == 304
    assert any(agent.startswith("cityhub/") and referer == "https://county.example.cn/" for agent, referer in source.agents)
    assert hub.metric("cityhub_basemap_kept_total") >= 4 and hub.metric("cityhub_basemap_kept_bytes") > 0


def test_what_there_is_not(hub):
    for name, layer, place in (("nobody", 0, (1, 0, 0)), ("xyz", 1, (1, 0, 0)), ("wmts", 0, (2, 0, 0)), ("wmts", 0, (18, 0, 0)), ("none", 0, (4, 3, 2)),
                               ("empty", 0, (4, 3, 2))):
        assert get(hub, name, *place, layer=layer).status_code == 404, name
    for place in ((1, 2, 0), (1, 0, 2), (21, 0, 0), (1, -1, 0)):
        assert get(hub, "xyz", *place).status_code == 400, place


@pytest.mark.parametrize("name, word", [("html", "no JPEG, PNG or WebP"), ("large", "more than 2 MiB"), ("wide", "no JPEG, PNG or WebP"), ("redirect", "a redirect"),
                                        ("broken", "status 500"), ("inside", "not a public one"), ("nowhere", "Couldn't connect")])
def test_what_is_no_picture_is_not_passed_on(hub, source, name, word):
    asked = len(source.asked)
    answer = get(hub, name, 7, 100, 50)
    assert (answer.status_code, answer.json()["code"]) == (503, "CH050") and "底图" in answer.json()["detail"], answer.text
    assert int(answer.headers["Retry-After"]) > 0 and answer.headers["Cache-Control"] == "no-store"
    assert len(source.asked) == asked + (name not in ("inside", "nowhere")), "what is forbidden is not asked, and a redirect is not followed"
    told = hub.run("basemap", "fetch", name, "--lon", 114.4, "--lat", 34, "--zoom", 7, code=1).stdout
    assert told.startswith("layer 0: ") and word in told, told


def test_a_connection_of_one_map_serves_no_other(hub, source):
    """To the same source, from all threads: one may have it, the other may not."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert {answer.status_code for answer in pool.map(lambda n: get(hub, "xyz", 11, n, 7), range(24))} == {200}
        assert {answer.status_code for answer in pool.map(lambda n: get(hub, "inside", 11, n, 7), range(24))} == {503}
    assert not any(path.startswith("/inside/") for path in source.asked)


def test_one_question_for_all_who_want_the_same(hub, source):
    source.go_on.clear()
    source.slow_asked.clear()
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        same = [pool.submit(get, hub, "slow", 9, 400, 200) for _ in range(8)]
        assert source.slow_asked.wait(30)
        others = [pool.submit(get, hub, "slow", 9, 400, 201 + n) for n in range(4)]
        wait_until(lambda: sum(path.startswith("/slow/9/") for path in source.asked) >= 4, 30, "a map has four threads")
        # The others are not held up, nor are pictures that are there.
        assert get(hub, "xyz", 9, 1, 1).status_code == 200 and get(hub, "xyz", 9, 1, 1).status_code == 200
        source.go_on.set()
        assert {one.result().status_code for one in same + others} == {200}
    assert source.asked.count("/slow/9/400/200") == 1


def test_a_source_that_is_away_is_left_alone_and_what_is_kept_stays(hub, source):
    kept = get(hub, "xyz", 6, 40, 20)
    assert kept.status_code == 200
    source.away = True
    try:
        for n in range(5):
            assert get(hub, "xyz", 6, 0, n).status_code == 503
        asked = len(source.asked)
        answer = get(hub, "xyz", 6, 1, 1)
        assert answer.status_code == 503 and len(source.asked) == asked
        assert get(hub, "xyz", 6, 40, 20).content == kept.content
        # The same after a restart; and what is too old is shown as long as there is nothing newer.
        hub.stop()
        picture = next(path for path in (hub.folder / "pictures").rglob("6-40-20"))
        os.utime(picture, (time.time() - 40 * 86400,) * 2)
        hub.start()
        wait_until(lambda: get(hub, "xyz", 6, 40, 20).content == kept.content, 30, "what was kept is found")
    finally:
        source.away = False
    hub.restart()
    wait_until(lambda: hub.metric("cityhub_basemap_kept_bytes") > 0, 30, "the folder is read")
    asked = len(source.asked)
    assert get(hub, "xyz", 6, 40, 20).content == kept.content and len(source.asked) == asked + 1, "the old one is fetched anew"


def test_nobody_sees_the_key_or_where_pictures_come_from(hub, source):
    assert any("tk=k3y%2Bof%2Fthe%26county" in path for path in source.asked), "the source has seen it"
    hub.write_config(hub__log_level="debug")
    hub.restart()
    for answer in (get(hub, "vec", 3, 1, 1), get(hub, "vec", 4, 1, 1, layer=1), hub.read("/api/v1/basemaps"), hub.get("/metrics"), hub.read("/api/v1/status")):
        told = answer.text + str(answer.headers)
        assert "k3y" not in told and source.url not in told
    commands = [hub.run("basemap", "list"), hub.run("basemap", "fetch", "vec", "--lon", 114.4, "--lat", 34), hub.run("check-config", "--print")]
    assert "layer 1: a picture, image/png" in commands[1].stdout
    for done in commands:
        assert "k3y" not in done.stdout + done.stderr and "vec_w" not in done.stdout + done.stderr
    assert "k3y" not in log_of(hub) and "vec_w" not in log_of(hub) and str(source.port) not in log_of(hub)


def test_the_disk_is_bounded(shared, hub, source):
    """Pictures of 300 KB each: of ten, three stay; the newest are among them."""
    before = source.picture
    source.picture = lambda layer, z, x, y: media.png(more=media.chunk(b"tEXt", bytes(300_000)))
    try:
        hub.stop()
        hub.write_config(http__basemap_cache=hub.folder / "bounded", http__basemap_cache_mib=1)
        hub.start()
        for x in range(10):
            assert get(hub, "xyz", 8, x, 0).status_code == 200
        there = lambda: {path.name for path in (hub.folder / "bounded").rglob("8-*")}  # noqa: E731
        wait_until(lambda: there() == {"8-7-0", "8-8-0", "8-9-0"}, 30, f"three pictures stay, not {there()}")
        assert hub.metric("cityhub_basemap_kept_bytes") <= 1 << 20
        # Pictures of a source that is no longer configured go with the next start; what is not the hub's stays.
        foreign = hub.folder / "bounded" / "notes.txt"
        foreign.write_text("mine")
        stale = hub.folder / "bounded" / ("0" * 16) / "07"
        stale.mkdir(parents=True)
        (stale / "8-1-1").write_bytes(media.png())
        hub.restart()
        wait_until(lambda: not stale.exists(), 30, "the old source's folder is gone")
        assert foreign.read_text() == "mine" and len(there()) == 3
    finally:
        source.picture = before


def test_commands(hub, source, tmp_path):
    listed = hub.run("basemap", "list").stdout
    assert "vec " in listed and "3 control points" in listed and "unchecked" in listed and "refused: its coordinates are GCJ-02" in listed
    done = hub.run("basemap", "check", hub.folder / "far.csv", code=1)
    assert "apart m" in done.stdout and "left over if it is in GCJ-02" in done.stdout
    assert hub.run("basemap", "check", hub.folder / "right.csv").stdout.splitlines()[-1].startswith("right: ")
    (tmp_path / "bad.csv").write_text(POINTS + "a,1,2,3\n")
    assert "bad.csv: line 2" in hub.run("basemap", "check", tmp_path / "bad.csv", code=1).stderr
    assert "layer 0: nothing that a map may have: it answered 26 bytes" in hub.run("basemap", "fetch", "html", "--lon", 114.4, "--lat", 34, code=1).stdout
    assert "no base map of this name" in hub.run("basemap", "fetch", "nobody", "--lon", 114.4, "--lat", 34, code=1).stderr
    refused = hub.run("check-config")  # before the hub's start, too: a picture must not keep it from receiving
    assert "gcj: its coordinates are GCJ-02" in refused.stderr and str(source.port) not in refused.stderr


def test_a_wrong_file_stops_nothing_but_base_maps(hub, tmp_path):
    (tmp_path / "wrong.json").write_text('{"basemaps": [{"name": "one", "coordinates": "wgs84", "layers": [{"xyz": "ftp://x/{z}/{x}/{y}"}]}]}')
    right = hub.settings["http.basemaps"]
    hub.write_config(http__basemaps=tmp_path / "wrong.json")
    hub.restart()
    try:
        assert hub.read("/api/v1/basemaps").json() == {"basemaps": []}
        assert "must begin with https://" in log_of(hub) and "must begin with https://" in hub.run("check-config").stderr
    finally:
        hub.write_config(http__basemaps=right)


def test_a_hub_ends_while_a_source_is_slow(hub, source):
    hub.restart()
    source.go_on.clear()
    source.slow_asked.clear()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(get, hub, "slow", 10, 1, 1)
        assert source.slow_asked.wait(30)
        hub.stop()
        with pytest.raises(requests.exceptions.ConnectionError):
            waiting.result()
    source.go_on.set()
    hub.start()

"""deploy/nginx.conf as it is, but for names, ports and files: the hub by TLS behind nginx. Who comes is known by the client's address, a login's
cookie is Secure and for this host alone, another origin writes nothing, a stream comes at once, an attachment passes both ways."""
import re

import pytest
import requests

from harness import media, nginx, paths
from harness.people import Visitor
from harness.process import free_port

PORT, PLAIN = free_port(), free_port()
ORIGIN = f"https://localhost:{PORT}"
SHARED_SETTINGS = {"http.origins": ORIGIN, "http.proxies": "127.0.0.1"}


@pytest.fixture(scope="module")
def certificate(shared, tmp_path_factory):
    """The certificate's file; nginx runs."""
    folder = tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    authority = nginx.certificate(folder, "map")
    recipe = nginx.fitted((paths.ROOT / "deploy" / "nginx.conf").read_text(), (
        ("listen 80;", f"listen 127.0.0.1:{PLAIN};"), ("listen 443 ssl", f"listen 127.0.0.1:{PORT} ssl"), ("map.example.cn", "localhost"),
        ("/etc/nginx/cityhub", str(folder)), ("127.0.0.1:8080", f"127.0.0.1:{shared.hubs[0].http_port}"),
        ("X-Forwarded-Host $host;", f"X-Forwarded-Host $host:{PORT};")))
    with nginx.running(folder, PORT, recipe):
        yield authority


def client(visitor, authority):
    """A visitor's session behind nginx: the cookie has another name there."""
    session = requests.Session()
    session.verify, session.trust_env = str(authority), False
    session.headers.update({**visitor.session.headers, "Origin": ORIGIN})
    session.headers["Cookie"] = "__Host-" + session.headers["Cookie"]
    return session


def test_plain_requests_go_to_tls(certificate):
    answer = requests.get(f"http://127.0.0.1:{PLAIN}/api/v1?x=1", headers={"Host": "localhost"}, allow_redirects=False, timeout=30)
    assert answer.status_code == 308 and answer.headers["Location"] == "https://localhost/api/v1?x=1"


def test_who_comes_is_the_client_and_its_cookie_secure(shared, certificate):
    visitor = Visitor(shared.hubs[0], "supervisor")
    session = client(visitor, certificate)
    told = session.get(f"{ORIGIN}/api/v1/me", headers={"X-Forwarded-For": "203.0.113.9"}, timeout=30)
    assert told.status_code == 200 and told.json()["address"] == "127.0.0.1", told.text  # what the client claims is overwritten
    assert "max-age" in told.headers["Strict-Transport-Security"]
    # Loopback's own answers are not for who comes through a proxy.
    assert requests.get(f"{ORIGIN}/api/v1", verify=certificate, timeout=30).status_code == 401
    assert requests.get(f"{ORIGIN}/readyz", verify=certificate, timeout=30).status_code == 200
    refused = session.post(f"{ORIGIN}/api/v1/cases", json={"source": "supervisor"}, headers={"Origin": "https://elsewhere.example"}, timeout=30)
    assert refused.status_code == 403 and refused.json()["code"] == "CH062"


def test_login_gives_a_cookie_of_this_host_alone(shared, certificate):
    word = "一个很长的密码 2026"
    shared.hubs[0].run("user", "add", "person", "--name", "某某", "--posts", "viewer", "--password-file", "-", input=word + "\n")
    with requests.Session() as browser:
        browser.verify, browser.trust_env = str(certificate), False
        entered = browser.post(f"{ORIGIN}/api/v1/login", json={"login": "person", "password": word}, headers={"Origin": ORIGIN}, timeout=60)
        assert entered.status_code == 200, entered.text
        cookie, *attributes = re.split("; *", entered.headers["Set-Cookie"])
        assert re.fullmatch("__Host-cityhub_session=[A-Za-z0-9_-]{43}", cookie)
        assert sorted(attributes) == ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"]
        browser.cookies.clear()
        browser.headers.update({"Cookie": cookie, "Origin": ORIGIN})
        me = browser.get(f"{ORIGIN}/api/v1/me", timeout=30)
        assert me.status_code == 200 and me.json()["login"] == "person", me.text
        left = browser.post(f"{ORIGIN}/api/v1/logout", timeout=30)
        assert left.status_code == 204 and left.headers["Set-Cookie"].startswith("__Host-cityhub_session=;"), left.headers
        assert browser.get(f"{ORIGIN}/api/v1/me", timeout=30).status_code == 401


def test_attachments_and_streams_pass(shared, certificate):
    session = client(Visitor(shared.hubs[0], "supervisor"), certificate)
    film = media.mp4(3_000_000)
    sent = session.post(f"{ORIGIN}/api/v1/attachments", data=film, headers={"Content-Type": "video/mp4"}, timeout=60)
    assert sent.status_code == 201, sent.text
    part = session.get(ORIGIN + sent.json()["uri"], headers={"Range": "bytes=-1000"}, timeout=60)
    assert part.status_code == 206 and part.content == film[-1000:]
    with session.get(f"{ORIGIN}/api/v1/stream", stream=True, timeout=60) as stream:
        assert stream.status_code == 200 and next(stream.iter_content(None))  # at once, while it goes on

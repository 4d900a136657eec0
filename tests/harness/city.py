"""A city's platform as a process of its own, that takes records and may fail in every way it can. `python3 city.py FOLDER PORT ...`
is the process; City starts it, tells it how to behave, and reads what it has stored."""
import email.utils
import gzip
import http.server
import json
import os
import pathlib
import random
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse

if __name__ != "__main__":
    from .process import Process, free_port, wait_until


def certificates(folder):
    """A certificate of 127.0.0.1 and one of the county, both of an authority made for it."""
    ca, ca_key = folder / "ca.pem", folder / "ca.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", ca_key, "-out", ca, "-days", "2", "-subj", "/CN=test authority"],
                   check=True, capture_output=True)
    for name, extra in (("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
        (folder / f"{name}.ext").write_text(extra)
        subprocess.run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr", "-subj", f"/CN={name}"],
                       check=True, capture_output=True)
        subprocess.run(["openssl", "x509", "-req", "-in", folder / f"{name}.csr", "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2",
                        "-extfile", folder / f"{name}.ext", "-out", folder / f"{name}.pem"], check=True, capture_output=True)


class City:
    def __init__(self, folder, tls=False, token=""):
        self.folder, self.port, self.tls = folder / "city", free_port(), tls
        self.folder.mkdir()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.ca, self.certificate, self.key = (self.folder / name for name in ("ca.pem", "client.pem", "client.key"))
        if tls:
            certificates(self.folder)
        self.process = Process("city", [sys.executable, __file__, self.folder, self.port, "tls" if tls else "plain", token], folder / "city.log")
        self.behave()

    def start(self):
        def up():
            self.process.check_running()
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        self.process.start()
        wait_until(up, 30, "the city listens")
        return self

    def behave(self, **how):
        path = self.folder / "behaviour.next"
        path.write_text(json.dumps(how))
        path.rename(self.folder / "behaviour.json")

    def _lines(self, name):
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def stored(self):
        return self._lines("stored.jsonl")

    def asked(self):
        return self._lines("asked.jsonl")

    def requests(self):
        return len(self._lines("requests.jsonl"))

    def most_at_once(self):
        """Requests that were being answered at the same time, at most."""
        return max(self._lines("at_once.jsonl"), default=0)

    def signed(self):
        """Of messages with a signature: its headers and the body."""
        return self._lines("signed.jsonl")

    def repetitions(self):
        """How often a record came again, the same; one that came again as another would have ended the city."""
        self.process.check_running()
        return len(self._lines("repetitions.jsonl"))

    def close(self):
        self.process.kill()


# ---- the process ----

class Platform(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder, token, lock, known, chance, at_once = None, "", threading.Lock(), {}, None, 0
    clock_s = 0  # its clock is wrong by so much

    def log_message(self, *arguments):
        pass

    def note(self, name, value):
        with open(self.folder / name, "a") as file:
            file.write(json.dumps(value, ensure_ascii=False) + "\n")

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate((timestamp or time.time()) + self.clock_s, usegmt=True)

    def answer(self, status, document, headers=()):
        body = json.dumps(document, ensure_ascii=False).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_oddly(self, odd):
        """Bytes as they are, in pieces if so told, the last of them cut off."""
        body = bytes.fromhex(odd.get("hex", "")) or odd.get("text", "").encode()
        if odd.get("gzip"):
            body = gzip.compress(body)
        self.send_response(odd.get("status", 200))
        for name, value in {**({"Content-Encoding": "gzip"} if odd.get("gzip") else {}), **odd.get("headers", {})}.items():
            self.send_header(name, value)
        if odd.get("cut"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%b" % (len(body) + 9, body))
            self.close_connection = True
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def take(self, record, how):
        """A record is stored once; the same number with another hash is what must never come."""
        number = record.get("number") or record["event"]
        if how.get("refuse") == f"{record.get('case')}/{record.get('step')}":
            return {"number": number, "code": 9, "message": "不予接收"}
        if number in Platform.known:
            if Platform.known[number] != record["hash"]:
                print(f"number {number} came with another hash", flush=True)
                os._exit(3)
            self.note("repetitions.jsonl", number)
        else:
            Platform.known[number] = record["hash"]
            self.note("stored.jsonl", record)
        return {"number": number, "code": 0, "receipt": f"R{number}"}

    def do_GET(self):
        """What the platform says it has, two records a page; it may have lost, changed or doubled some."""
        how = json.loads((self.folder / "behaviour.json").read_text())
        if "asked_odd" in how:
            self.note("asked.jsonl", self.path)
            return self.answer_oddly(how["asked_odd"])
        if how.get("silent"):
            return self.answer(500, {})
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        with Platform.lock:
            self.note("asked.jsonl", self.path)
            numbers = [{"lsh": number, "zy": value} for number, value in Platform.known.items() if number not in how.get("lost", [])]
        numbers = [{**one, "zy": "0" * 64} if one["lsh"] in how.get("changed", []) else one for one in numbers]
        numbers += [one for one in numbers if one["lsh"] in how.get("doubled", [])] + [{"lsh": number, "zy": ""} for number in how.get("invented", [])]
        start = int(query.get("page", ["0"])[0])
        more = start + 2 if start + 2 < len(numbers) else None
        self.answer(200, {"list": numbers[start:start + 2], "more": 1 + start % how["round"] if "round" in how else more})

    def do_POST(self):
        with Platform.lock:
            Platform.at_once += 1
            self.note("at_once.jsonl", Platform.at_once)
        try:
            self.post()
        finally:
            with Platform.lock:
                Platform.at_once -= 1

    def post(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        how = json.loads((self.folder / "behaviour.json").read_text())
        self.clock_s = how.get("clock_s", 0)
        if self.path == "/token":
            return self.answer(200, {"access_token": self.token, "expires_in": 600})
        if self.token and self.headers.get("Authorization") != f"Bearer {self.token}":
            return self.answer(401, {})
        if how.get("redirect"):
            return self.answer(302, {}, [("Location", how["redirect"] if isinstance(how["redirect"], str) else "/elsewhere")])
        if "odd" in how:
            if how.get("stores"):
                document = json.loads(body)
                with Platform.lock:
                    for one in document.get("records", [document]):
                        self.take(one, how)
            return self.answer_oddly(how["odd"])
        if how.get("status"):
            again = [("Retry-After", self.date_time_string(time.time() + how["again_s"]))] if "again_s" in how else []
            return self.answer(how["status"], {}, again)
        if how.get("hang"):
            time.sleep(how["hang"])
        if "X-Cityhub-Signature" in self.headers:
            with Platform.lock:
                self.note("signed.jsonl", {**{name.lower(): value for name, value in self.headers.items()}, "body": body.decode()})
        with Platform.lock:
            self.note("requests.jsonl", self.path)
            Platform.chance = Platform.chance or random.Random(how.get("seed", 0))
            fate = Platform.chance.randrange(12) if how.get("chaos") else 12
            if fate == 0:
                return self.answer(500, {"error": "先报错"})
            if fate == 1:
                return self.answer(429, {}, [("Retry-After", "1")])
            if fate == 2:
                self.close_connection = True
                return self.connection.shutdown(socket.SHUT_RDWR)
            if fate == 3:
                busy = 503 if "X-Cityhub-Signature" in self.headers else 200  # to a webhook each 200 is a receipt
                return self.answer(busy, {"code": 7, "message": "忙"})
            document = json.loads(body)
            if how.get("fails") in [f"{one.get('case')}/{one.get('step')}" for one in document.get("records", [document])]:
                return self.answer(500, {"error": "系统繁忙，请稍后再试。" * 40})
            results = [self.take(one, how) for one in document.get("records", [document])]
        if fate == 4:  # stored, and the answer is cut
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        if fate == 5:  # stored, and the answer comes too late
            time.sleep(1.5)
        if fate == 6:  # stored, and an error is told
            return self.answer(500, {"error": "后报错"})
        return self.answer(200, {"code": 0, "results": results} if "records" in document else results[0])


def main(folder, port, form, token):
    Platform.folder, Platform.token = pathlib.Path(folder), token
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Platform)
    if form == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(Platform.folder / "server.pem", Platform.folder / "server.key")
        context.load_verify_locations(Platform.folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])

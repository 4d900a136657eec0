"""A source of base maps: XYZ and WMTS, and every way in which one can be wrong. Its pictures are plain, in a shade that is the tile's."""
import http.server
import threading
import urllib.parse

from . import media

KEY = "k3y+of/the&county"


def shade_of(layer, z, x, y):
    return (len(layer) * 31 + z * 7 + x * 3 + y) % 200 + 20


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        pass

    def answer(self, status, body=b"", kind="text/html", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def tile(self, layer, z, x, y):
        self.answer(200, self.server.source.picture(layer, z, x, y), "image/png")

    def do_GET(self):
        source = self.server.source
        address = urllib.parse.urlsplit(self.path)
        query = {name.upper(): value for name, value in urllib.parse.parse_qsl(address.query)}
        with source.lock:
            source.asked.append(self.path)
            source.agents.add((self.headers["User-Agent"], self.headers["Referer"]))
        kind, *rest = address.path.strip("/").split("/")
        if source.away:
            self.close_connection = True
            return
        if kind == "xyz":
            z, x, y = (int(part.removesuffix(".png")) for part in rest)
            self.tile("xyz", z, x, y)
        elif kind.endswith("_w") or kind == "wmts":
            if query.get("TK") != KEY:
                self.answer(403, b'{"msg":"no such key"}', "application/json")
            else:
                assert (query["SERVICE"], query["REQUEST"]) == ("WMTS", "GetTile"), self.path
                self.tile(query["LAYER"], int(query["TILEMATRIX"].rpartition(":")[2]), int(query["TILECOL"]), int(query["TILEROW"]))
        elif kind == "slow":
            source.slow_asked.set()
            source.go_on.wait(60)
            self.tile("slow", *map(int, rest))
        elif kind == "empty":
            self.answer(204)
        elif kind == "none":
            self.answer(404, b"not here")
        elif kind == "html":
            self.answer(200, b"<html>Please log in</html>", "image/png")
        elif kind == "large":
            self.answer(200, media.png() + bytes(3 << 20), "image/png")
        elif kind == "wide":
            self.answer(200, media.png(size=1025), "image/png")
        elif kind == "redirect":
            self.answer(302, Location=f"http://127.0.0.1:{source.port}/xyz/0/0/0.png")
        elif kind == "broken":
            self.answer(500)
        else:
            self.answer(400)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_arguments):
        """A client that leaves is no fault of the source."""


class TileSource:
    """A context. `asked`: the addresses, in their order; `away`: connections are closed without a word; `go_on`: what is slow answers."""

    def __init__(self, picture=None):
        self.lock, self.asked, self.agents, self.away = threading.Lock(), [], set(), False
        self.slow_asked, self.go_on = threading.Event(), threading.Event()
        self.picture = picture or (lambda layer, z, x, y: media.png(shade_of(layer, z, x, y), 256))
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.source = self
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error):
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()

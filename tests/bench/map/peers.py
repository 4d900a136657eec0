"""What a county would take instead of the hub's tiles: MapServer by FastCGI on the same points in PostGIS, and nginx as a cache before
the hub. Debian's cgi-mapserver, spawn-fcgi and nginx-light."""
import os
import pathlib
import shutil
import socket
import subprocess

from harness.process import free_port, wait_until

MAPSERV = pathlib.Path("/usr/lib/cgi-bin/mapserv")
MAPSERVERS = 4  # as many processes as the hub has connections for queries
ENVIRONMENT = f"{os.environ['PATH']}:/usr/sbin"

MAP = """MAP
  NAME "county"
  EXTENT -20037508.34 -20037508.34 20037508.34 20037508.34
  SIZE 256 256
  PROJECTION "init=epsg:3857" END
  OUTPUTFORMAT NAME "mvt" DRIVER "MVT" FORMATOPTION "EXTENT=4096" FORMATOPTION "EDGE_BUFFER=4" END
  LAYER
    NAME "device" TYPE POINT STATUS ON
    CONNECTIONTYPE POSTGIS CONNECTION "{conninfo}" PROCESSING "CLOSE_CONNECTION=DEFER"
    DATA "geom FROM public.bench_point USING UNIQUE id USING SRID=3857"
    PROJECTION "init=epsg:3857" END
    METADATA "gml_include_items" "kind,state" "gml_featureid" "id" "gml_types" "auto" END
  END
END
"""
NGINX = """daemon off; worker_processes auto; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log; events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 1000000;
    client_body_temp_path {folder}/body; fastcgi_temp_path {folder}/fastcgi; proxy_temp_path {folder}/proxy; scgi_temp_path {folder}/scgi; uwsgi_temp_path {folder}/uwsgi;
    proxy_cache_path {folder}/cache keys_zone=tiles:16m max_size=512m use_temp_path=off;
    upstream mapserver {{ least_conn; {mapservers} }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location ~ ^/mapserver/(\\d+)/(\\d+)/(\\d+)$ {{
            fastcgi_pass mapserver;
            fastcgi_param REQUEST_METHOD GET; fastcgi_param SERVER_PROTOCOL HTTP/1.1; fastcgi_param SERVER_NAME localhost;
            fastcgi_param SERVER_PORT 80; fastcgi_param SCRIPT_NAME /map;
            fastcgi_param QUERY_STRING map={folder}/county.map&mode=tile&tilemode=gmap&tile=$2+$3+$1&layers=device&map.imagetype=mvt;
            gzip on; gzip_comp_level 1; gzip_types application/vnd.mapbox-vector-tile;
        }}
        location / {{
            proxy_pass http://127.0.0.1:{hub_port}; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_cache tiles; proxy_cache_key $uri$http_accept_encoding; proxy_cache_valid 200 204 1h; proxy_ignore_headers Cache-Control Vary;
        }}
    }}
}}
"""


class Peers:
    """MapServer's processes and nginx before them and before the hub."""

    def __init__(self, database, hub_port, folder):
        self.folder, self.port, self.processes = folder / "peers", free_port(), []
        self.folder.mkdir()
        self.folder.chmod(0o777)  # nginx's workers are nobody's
        self.url = f"http://127.0.0.1:{self.port}"
        (self.folder / "county.map").write_text(MAP.format(conninfo=database.conninfo))
        (self.folder / "mapserver.conf").write_text('CONFIG\n  ENV\n    MS_MAP_PATTERN "."\n  END\nEND\n')
        self.mapserver_ports = [free_port() for _ in range(MAPSERVERS)]
        (self.folder / "nginx.conf").write_text(NGINX.format(folder=self.folder, port=self.port, hub_port=hub_port,
                                                             mapservers=" ".join(f"server 127.0.0.1:{port};" for port in self.mapserver_ports)))

    def __enter__(self):
        environment = {**os.environ, "MAPSERVER_CONFIG_FILE": str(self.folder / "mapserver.conf")}
        for port in self.mapserver_ports:
            self.start(["spawn-fcgi", "-n", "-a", "127.0.0.1", "-p", str(port), "--", str(MAPSERV)], port, environment)
        self.start(["nginx", "-e", self.folder / "nginx-error.log", "-p", self.folder, "-c", self.folder / "nginx.conf"], self.port, os.environ)
        return self

    def start(self, command, port, environment):
        with open(self.folder / "log", "ab") as log:
            self.processes.append(subprocess.Popen([shutil.which(command[0], path=ENVIRONMENT), *command[1:]], env=environment, stdout=log, stderr=log))
        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, 30, f"{command[0]} listens (log: {self.folder / 'log'})")

    def __exit__(self, *_):
        self.processes[-1].terminate()
        for process in self.processes[:-1]:
            process.kill()  # mapserv that waits for a request hears nothing else
        for process in self.processes:
            process.wait(10)

    def mapserver_pids(self):
        return [process.pid for process in self.processes[:-1]]

    def nginx_pids(self):
        nginx = self.processes[-1].pid
        return [nginx, *map(int, pathlib.Path(f"/proc/{nginx}/task/{nginx}/children").read_text().split())]

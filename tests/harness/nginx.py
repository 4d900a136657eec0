"""nginx with a configuration of the tests' own, and a certificate for localhost."""
import contextlib
import os
import shutil
import socket
import subprocess

from .process import wait_until


def certificate(folder, name):
    """NAME.crt and NAME.key in the folder; returns the certificate's path."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"], check=True, capture_output=True)
    return folder / f"{name}.crt"


def fitted(recipe, replaced):
    """The recipe with each (what it says, what is here) replaced; all of them are in it."""
    for said, here in replaced:
        assert said in recipe, said
        recipe = recipe.replace(said, here)
    return recipe


@contextlib.contextmanager
def running(folder, port, http, main=""):
    """nginx with `http` within http { } and `main` beside it; it listens on the port."""
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\n{main}"
                                       f"events {{ worker_connections 64; }}\nhttp {{ access_log off;\n{temporary}{http}}}\n")
    command = [shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"), "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"]
    tried = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert tried.returncode == 0, tried.stderr
    with subprocess.Popen(command) as nginx:
        try:
            wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, 30, "nginx listens")
            yield
        finally:
            nginx.terminate()

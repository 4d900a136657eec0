"""README.md, docs/vendor.md and docs/deploy.md as a newcomer reads them: a copy of the source, the quickstart in it, and then the
commands as they are printed, in their order. No file is made for them, no name is put in."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import psycopg2
import pytest

from harness import guides, paths
from harness.hub import Hub
from harness.process import wait_until

LEFT_OUT = shutil.ignore_patterns("build*", ".git", "var", "node_modules", "__pycache__", "logs")


class Newcomer:
    """A copy of the source with the quickstart running in it."""

    def __init__(self, folder):
        self.tree = folder / "cityhub"
        shutil.copytree(paths.ROOT, self.tree, ignore=LEFT_OUT, symlinks=True)
        self.var, self.screen = self.tree / "var", folder / "screen.log"
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("CITYHUB_")}
        # Built already: it is the build under test. All else is as it is on a fresh machine.
        with self.screen.open("w") as screen:
            self.quickstart = subprocess.Popen(["deploy/quickstart.sh", "--no-cases"], cwd=self.tree, stdin=subprocess.DEVNULL,
                                               env={**self.environment, "CITYHUB_BUILD": str(paths.build_folder())}, stdout=screen,
                                               stderr=screen, start_new_session=True)
        wait_until(self.at_work, 240, "the quickstart is at work")

    def at_work(self):
        assert self.quickstart.poll() is None, self.screen.read_text()
        return "cityhub is at work" in self.screen.read_text()

    def type(self, text, timeout_s=120):
        """What is typed in another terminal at the root of the source; what goes on in the background ends with it."""
        shell = subprocess.Popen(["bash", "-eu"], cwd=self.tree, env=self.environment, text=True, start_new_session=True,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            shell.stdin.write(text + "\nkill $(jobs -p) 2>/dev/null || true\n")
            shell.stdin.close()
            output, complaints = shell.stdout.read(), shell.stderr.read()
            assert shell.wait(timeout_s) == 0, f"{text}\n{output}{complaints}"
        finally:
            try:
                os.killpg(shell.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return output

    def rows(self, sql):
        """By the address that the quickstart's banner prints."""
        address = re.search(r"psql -h (\S+) -p (\d+)", self.screen.read_text())
        connection = psycopg2.connect(f"host={address[1]} port={address[2]} user=postgres dbname=cityhub")
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        finally:
            connection.close()

    def close(self):
        subprocess.run(["deploy/quickstart.sh", "--stop"], cwd=self.tree, env=self.environment, capture_output=True, timeout=180)
        try:
            self.quickstart.wait(60)
        except subprocess.TimeoutExpired:
            self.quickstart.kill()


@pytest.fixture(scope="module")
def newcomer():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cityhub-new-"))
    folder.chmod(0o755)
    newcomer = None
    try:
        newcomer = Newcomer(folder)
        yield newcomer
    finally:
        if newcomer is not None:
            newcomer.close()
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_readme(newcomer):
    """"A vendor in five minutes", from its first line to its last."""
    readme = newcomer.tree / "README.md"
    page, text = guides.examples(readme), readme.read_text()
    source = re.search(r"`(\. var/environment)`", text)[1]
    protoc = re.search(r"`(protoc [^`]+)`", text)[1]
    query = re.search(r"`(SELECT [^`]+D-17')`", text)[1]
    # The program is typed into the interpreter that the page names.
    newcomer.type(f"{source}\n{page['add']}\n{page['receipt']}\n{page['publish']}\n{protoc}\n"
                  f"/usr/bin/python3 - <<'END'\n{page['python']}END\nsleep 1")
    wait_until(lambda: newcomer.rows("SELECT count(*)::int FROM onemap.dust WHERE device_code = 'D-18'") == [(60,)], 30,
               "the sixty records of the program are in the one map")
    assert len(newcomer.rows(query)) == 1
    assert "acme" in newcomer.type(f"{source}\ncityhub vendor list --subsystem dust")


def test_vendor_guide(newcomer):
    """The five minutes and the program of docs/vendor.md, one after the other in one shell."""
    page = guides.examples(newcomer.tree / "docs" / "vendor.md")
    output = newcomer.type(page["subscribe"] + page["publish"] + page["receipt"])
    (receipt,) = json.loads(output)["receipts"]
    assert (receipt["message"], receipt["accepted"], receipt["problems"], receipt["warnings"]) == ("hello-1", 1, [], [])
    output = newcomer.type(page["subscribe"] + page["protoc"] + f"cat > example.py <<'END'\n{page['python']}END\n/usr/bin/python3 example.py")
    receipt = json.loads(output[output.index("{"):])
    assert (receipt["kind"], receipt["records"], receipt["accepted"], receipt["rejected"]) == ("telemetry", 4, 4, 0)
    assert newcomer.rows("SELECT count(*)::int FROM onemap.dust WHERE vendor = 'demo' AND device_code LIKE 'YC-DEMO-%'") == [(5,)]


class Nowhere:
    """What brings a county in needs no broker."""
    host, port = "127.0.0.1", 1


@pytest.fixture
def shell(database, work_folder):
    """The county's guide as typed with an installed program: `cityhub` on the PATH, its configuration where it looks for it."""
    program = Hub(database, Nowhere, work_folder)
    folder = work_folder / "bin"
    folder.mkdir()
    (folder / "cityhub").symlink_to(paths.cityhub())
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "CITYHUB_CONFIG": str(program.config_path)}

    def type_in(text, cwd=paths.ROOT, code=0):
        done = subprocess.run(["bash", "-euc", text], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr
    return type_in


def test_a_county_comes_in(shell, database):
    output = shell(guides.examples(paths.ROOT / "docs" / "deploy.md")["county"])
    assert re.search(r"^grid_cells +2 +2 +114\.76", output, re.MULTILINE), output
    assert output.count("nothing is wrong with them; nothing is stored") == 3
    assert database.query("SELECT (SELECT count(*)::int FROM onemap.department WHERE active) > 5, (SELECT count(*)::int FROM onemap.case_category) > 100, "
                          "(SELECT count(*)::int FROM onemap.zone), (SELECT grid_cell FROM onemap.component)") == [(True, True, 1, "410221001001001")]
    # And with it cases have their departments: by the cell, and by the component's owner.
    report = ("cityhub case report --source supervisor --role supervisor --actor 张三 --set category=20102 --set lon=114.765 --set lat=34.545 --json")
    case = json.loads(shell(report))["case"]
    shell(f"cityhub case do {case} accept --role acceptor --actor 李四")
    registered = json.loads(shell(f"cityhub case do {case} register --role registrar --actor 王五 --set condition=1 --json"))
    assert "jincheng" in registered["candidates"]


def test_a_shapefile(shell, work_folder):
    """The county's own Shapefile, in projected coordinates and with columns of its own, in GBK."""
    command = guides.examples(paths.ROOT / "docs" / "deploy.md")["shapefile"]
    shell("cityhub catalogue departments import config/departments.csv")
    source = paths.ROOT / "config" / "map" / "grid_cells.geojson"
    shell(f"ogr2ogr -f 'ESRI Shapefile' -t_srs EPSG:4547 -lco ENCODING=GBK -sql 'SELECT code AS bgcode, name AS bgname, department AS dept FROM grid_cells' "
          f"grid.shp {source} -nln grid", cwd=work_folder)
    output = shell(command, cwd=work_folder)
    assert "grid.geojson: 2 grid_cells" in output and "nothing is wrong with them" in output
    assert "不" not in output and "is in metres" not in output
    shell("cityhub map import grid.geojson --layer grid_cells", cwd=work_folder)
    shell(f"ogr2ogr -f GPKG grid.gpkg {source} && ogr2ogr -f GeoJSON -t_srs EPSG:4326 again.geojson grid.gpkg", cwd=work_folder)
    assert "0 added" in shell("cityhub map import again.geojson --layer grid_cells", cwd=work_folder)
    # As it is, unprojected: refused, with what to do.
    shell("ogr2ogr -f GeoJSON -lco RFC7946=NO metres.geojson grid.shp", cwd=work_folder)
    refused = shell("cityhub map check metres.geojson --layer grid_cells", cwd=work_folder, code=1)
    assert "crs: is urn:ogc:def:crs:EPSG::4547: must be WGS 84" in refused and "is it in metres?" in refused and "cannot be imported so" in refused

"""A private PostgreSQL 15 cluster, and databases cloned from a template that `cityhub migrate` made."""
import atexit
import itertools
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import tempfile
import threading

import psycopg2

from . import paths
from .process import Process, free_port, give_to, run_as, unprivileged_user, wait_until

TEMPLATE = "cityhub_template"
DAEMON_ROLE = "cityhub_daemon"  # the hub's login in tests: it has the rights of cityhub_hub and no others

SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
max_connections = 200
max_locks_per_transaction = 128
shared_buffers = 128MB
{durability}
shared_preload_libraries = 'plpgsql,postgis-3'
timezone = 'UTC'
lc_messages = 'C'
log_line_prefix = '%m [%p] %q%u@%d '
log_lock_waits = on
jit = off
"""
# Without the first a killed server loses nothing, only a machine that stops would, and pages that are half written are the machine's, too.
HASTY = "fsync = off\nfull_page_writes = off"


class Database:
    """One database of the cluster. query() and value() keep a connection a thread, since a new one costs a hundred times what
    most statements do; one that the server has ended meanwhile is noticed before the next statement goes out, so that nothing
    breaks when the server was restarted in between, and nothing is sent twice."""

    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        self.conninfo = cluster.conninfo(name)
        self.hub_conninfo = cluster.conninfo(name, user=DAEMON_ROLE)
        self.kept = threading.local()

    def connect(self, autocommit=True, **options):
        connection = psycopg2.connect(self.conninfo, **options)
        connection.autocommit = autocommit
        return connection

    def _connection(self):
        connection = getattr(self.kept, "connection", None)
        if connection is not None and not connection.closed:
            if not select.select([connection.fileno()], [], [], 0)[0]:
                return connection
            connection.close()
        self.kept.connection = self.connect()
        return self.kept.connection

    def close(self):
        """Ends this thread's connection: nobody may be connected to a database that is copied or renamed."""
        connection = getattr(self.kept, "connection", None)
        if connection is not None:
            connection.close()

    def query(self, sql, *args):
        """Rows as tuples; [] for a statement that returns none."""
        with self._connection().cursor() as cursor:
            cursor.execute(sql, args or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, sql, *args):
        """The first column of the first row, None without rows."""
        rows = self.query(sql, *args)
        return rows[0][0] if rows else None


# For configure(): the memory that deploy/postgresql.conf gives, and no checkpoint while something is measured.
QUARTER_MB = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4 // 2**20
STEADY = f"max_wal_size = 8GB\nmin_wal_size = 4GB\nshared_buffers = {min(QUARTER_MB, 4096)}MB\ncheckpoint_timeout = 30min"


class HugePages:
    """So many pages of 2 MB more, for a server that is about to start; str() says whether it has them."""
    COUNT = pathlib.Path("/proc/sys/vm/nr_hugepages")

    def __init__(self, wanted):
        self.added, self.wanted = 0, wanted
        if self._free() < wanted and os.access(self.COUNT, os.W_OK):
            before = int(self.COUNT.read_text())
            self.COUNT.write_text(str(before + wanted - self._free()))
            self.added = int(self.COUNT.read_text()) - before
        self.there = self._free() >= wanted
        atexit.register(self.close)  # whoever failed before its close() has no use for them either

    @staticmethod
    def _free():
        return int(re.search(r"HugePages_Free: +(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])

    def close(self):
        if self.added:
            self.COUNT.write_text(str(int(self.COUNT.read_text()) - self.added))
            self.added = 0

    def __str__(self):
        return f"huge pages: {self.wanted}" if self.there else f"no huge pages ({self.wanted} wanted: only root can set them up)"


class Cluster:
    """start() makes the cluster on first use; stop(how) with how = fast, immediate or kill. Without `fsync` a database is
    dropped in a sixth of the time, and made in a third. PostGIS is loaded once, and not by each connection of each hub."""

    STOP = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "kill": signal.SIGKILL}

    def __init__(self, log_path, fsync=True):
        self.fsync = fsync
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cityhub-pg-"))
        self.data = self.folder / "data"
        self.user = unprivileged_user()
        give_to(self.folder, self.user)
        self.port = free_port()
        self.process = Process("postgres", [paths.postgres_program("postgres"), "-D", self.data], log_path, user=self.user)
        self.numbers = itertools.count(1)
        self.huge_pages = None
        self.administration = Database(self, "postgres")

    def conninfo(self, database, user="postgres"):
        return f"host={self.folder} port={self.port} user={user} dbname={database} connect_timeout=5"

    def _initdb(self):
        done = subprocess.run([paths.postgres_program("initdb"), "-D", self.data, "-U", "postgres", "-A", "trust",
                               "-E", "UTF8", "--locale=C.UTF-8"], cwd="/", capture_output=True, text=True, **run_as(self.user))
        assert done.returncode == 0, f"initdb failed:\n{done.stdout}{done.stderr}"
        with open(self.data / "postgresql.conf", "a") as settings:
            settings.write(SETTINGS.format(port=self.port, folder=self.folder, durability="" if self.fsync else HASTY))

    def ready(self):
        psycopg2.connect(self.conninfo("postgres")).close()
        return True

    def start(self):
        if not self.data.exists():
            self._initdb()

        def up():
            # After a kill the next server is refused until the last backend of the old one has noticed.
            if not self.process.running:
                self.process.start()
            return self.ready()
        if not self.process.running:
            wait_until(up, 60, f"PostgreSQL answers (log: {self.process.log_path})")

    def configure(self, settings, huge_pages=False):
        """Starts it with more settings. With `huge_pages` its memory is in pages of 2 MB, as docs/deploy.md sets them up, if we may do so
        here: each backend meets a page of it for the first time, which takes as long as reading a row, and of those there are 512
        times fewer. close() gives them back."""
        if self.process.running:
            self.stop()
        with open(self.data / "postgresql.conf", "a") as conf:
            conf.write(settings + "\n")
        if huge_pages:
            self.huge_pages = HugePages(int(subprocess.run([paths.postgres_program("postgres"), "-D", self.data, "-C", "shared_memory_size_in_huge_pages"],
                                                           cwd="/", capture_output=True, text=True, check=True, **run_as(self.user)).stdout))
        self.start()

    def stop(self, how="fast"):
        self.process.end(self.STOP[how])

    def restart(self, how="fast"):
        self.stop(how)
        self.start()

    def close(self):
        if self.process.running:
            self.stop("immediate")
        if self.huge_pages is not None:
            self.huge_pages.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def admin(self, sql, *args):
        return self.administration.query(sql, *args)

    def make_template(self, name=TEMPLATE, extensions=("postgis",)):
        """Migrates a fresh database by `cityhub migrate`, with the SQL of `cityhub simulate`, and marks it as the template."""
        self.admin(f"CREATE DATABASE {name}")
        template = Database(self, name)
        for extension in extensions:
            template.query(f"CREATE EXTENSION IF NOT EXISTS {extension} SCHEMA public")
        config = self.folder / "migrate.ini"
        config.write_text(f"[hub]\ndata_dir = {paths.ROOT}\n[database]\nconninfo = {template.conninfo}\n")
        done = subprocess.run([paths.cityhub(), "--config", config, "migrate", "--simulation"], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"cityhub migrate failed (exit {done.returncode}):\n{done.stdout}{done.stderr}"
        template.query(f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{DAEMON_ROLE}') THEN "
                       f"CREATE ROLE {DAEMON_ROLE} LOGIN IN ROLE cityhub_hub; END IF; END $$")
        template.close()
        return template

    def clone(self, template=TEMPLATE, tablespace=None):
        """A fresh database with all that the template has."""
        name = f"test_{os.getpid()}_{next(self.numbers)}"
        where = f" TABLESPACE {tablespace}" if tablespace else ""
        strategy = "" if self.fsync else " STRATEGY file_copy"  # files as they are: a checkpoint that waits for no disk
        self.admin(f"CREATE DATABASE {name} TEMPLATE {template}{strategy}{where}")
        return Database(self, name)

    def drop(self, database):
        self.admin(f"DROP DATABASE IF EXISTS {database.name} WITH (FORCE)")

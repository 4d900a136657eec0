"""A program of node's that drives the page (tests/web/drive.mjs): it is installed here, and its lines that begin with @ are answered."""
import json
import os
import shutil
import subprocess

from . import paths

HOST = "hub.county.test"  # not localhost, where browsers allow what they do not elsewhere
WEB = paths.ROOT / "tests" / "web"


def install():
    if not (WEB / "node_modules" / ".package-lock.json").exists():
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=WEB, check=True)
    for program in ("node", "chromium"):
        assert shutil.which(program), f"{program} is missing: deploy/packages.sh has it"
    assert (paths.ROOT / "web" / "dist" / "index.html").exists(), "web/dist is missing: ninja web"


def drive(script, arguments, hub, county, **environment):
    """Runs `script`; each line {"do": NAME, "with": {...}} calls county.NAME, whose answer it gets. Other lines are printed. Whether it came to its end."""
    browser = subprocess.Popen(["node", script, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "PAGE_HOST": HOST, "PAGE_PORT": str(hub.http_port), **environment})
    try:
        for line in browser.stdout:
            if not line.startswith("@"):
                print(line, end="", flush=True)
                continue
            call = json.loads(line[1:])
            try:
                answer = {"answer": getattr(county, call["do"])(**call.get("with", {}))}
            except Exception as problem:
                answer = {"problem": repr(problem)}
            browser.stdin.write(json.dumps(answer) + "\n")
            browser.stdin.flush()
        return browser.wait(60) == 0
    finally:
        if browser.poll() is None:
            browser.kill()

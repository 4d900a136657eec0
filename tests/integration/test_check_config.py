"""The configuration: every fault is told with file and line; what is printed can be read again."""
import os
import re
import subprocess

import pytest
from harness import paths


def check(work_folder, text, *arguments, code=0, environment=None, option=True):
    path = work_folder / "cityhub.ini"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = subprocess.run([paths.cityhub(), *(["--config", path] if option else []), "check-config", *arguments],
                          capture_output=True, text=True, timeout=60, env={**os.environ, **(environment or {})})
    assert done.returncode == code, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    return done


def printed_values(text):
    section, values = None, {}
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith(";"):
            key, value = line.split("=", 1)
            values[section, key.strip()] = value.strip()
    return values


def test_no_faults(work_folder):
    done = check(work_folder, "[mqtt]\nhost = broker.example\nport=8883\n\n; a remark\n# another\n[lane]\ncounts = dust=3, gas=2\n")
    assert done.stdout == f"{work_folder / 'cityhub.ini'}: no faults\n" and done.stderr == ""
    check(work_folder, "")


def test_printed_configuration_can_be_read_again(work_folder):
    first = check(work_folder, "[mqtt]\nport = 8883\n[lane]\ncounts = dust=3\n[hub]\ninstance = 汉\n", "--print").stdout
    values = printed_values(first)
    assert (values["mqtt", "port"], values["lane", "counts"], values["hub", "instance"]) == ("8883", "dust=3", "汉")
    assert check(work_folder, first, "--print").stdout == first


def test_shipped_configuration_is_what_the_program_prints():
    shipped = (paths.ROOT / "config" / "cityhub.ini").read_text()
    done = subprocess.run([paths.cityhub(), "--config", "/dev/null", "check-config", "--print"], capture_output=True, text=True, timeout=60)
    # The folder of an installation depends on how it was built.
    without = re.compile(r'(\(default )?"?[^\s"]*share/cityhub[^\s"]*"?\)?|^(?:data_dir|page) = .*$', re.MULTILINE)
    assert without.sub("", done.stdout) == without.sub("", shipped), "run `cityhub check-config --print > config/cityhub.ini`"


def test_every_number_states_its_range_and_keeps_it(work_folder):
    printed = check(work_folder, "", "--print").stdout
    found = re.findall(r"^\[(\w+)\]|^; .*\((\d+) to (\d+), default (\d+)\)\n(\w+) = (\d+)$", printed, re.MULTILINE)
    section, ranges = None, []
    for name, low, high, default, key, value in found:
        section = name or section
        if key:
            assert default == value and int(low) <= int(value) <= int(high), key
            ranges.append((section, key, int(low), int(high)))
    assert len(ranges) >= 15
    check(work_folder, "".join(f"[{section}]\n{key} = {low}\n{key} = {high}\n" for section, key, low, high in ranges))
    done = check(work_folder, "".join(f"[{section}]\n{key} = {low - 1}\n{key} = {high + 1}\n" for section, key, low, high in ranges), code=2)
    wanted = []
    for number, (section, key, low, high) in enumerate(ranges):
        wanted += [f"cityhub.ini:{3 * number + line}: [{section}] {key} = {bad}: is out of range ({low} to {high})"
                   for line, bad in ((2, low - 1), (3, high + 1))]
    assert [line.rsplit("/", 1)[1] for line in done.stderr.splitlines()] == wanted


@pytest.mark.parametrize("text, faults", [
    ("[mqtt]\nhots = x\n", [":2: [mqtt] hots: no such key"]),
    ("[mtt]\nhost = x\n", [":2: [mtt] host: no such key"]),
    ("host = x\n", [":1: [] host: no such key"]),
    ("[mqtt]\n\n\nport = many\n", [":4: [mqtt] port = many: is not a whole number"]),
    ("[mqtt]\nport = 1883x\n", [":2: [mqtt] port = 1883x: is not a whole number"]),
    ("[mqtt]\nport =\n", [":2: [mqtt] port = : is not a whole number"]),
    ("[mqtt]\nport = 99999999999999999999\n", [":2: [mqtt] port = 99999999999999999999: is not a whole number"]),
    ("[mqtt]\nnonsense\n", [":2: is neither a [section], a key = value, nor a comment"]),
    ("[hub]\nlog_level = loud\n", [":2: [hub] log_level = loud: must be error, warning, info or debug"]),
    ("[hub]\ninstance =\n", [":2: [hub] instance: must have 1 to 40 bytes"]),
    ("[hub]\ninstance = " + "x" * 41 + "\n", [":2: [hub] instance: must have 1 to 40 bytes"]),
    ("[lane]\ncounts = dust=0\n", [":2: [lane] counts: `dust=0`: must be <subsystem>=<1 to 16>"]),
    ("[lane]\ncounts = dust=17\n", ["`dust=17`"]),
    ("[lane]\ncounts = nonsense=2\n", ["`nonsense=2`"]),
    ("[lane]\ncounts = dust\n", ["`dust`"]),
    ("[mqtt]\nhost = " + "x" * 300 + "\nport = 0\n", [":2: is longer than", ":3: [mqtt] port = 0: is out of range"]),
    ("[mqtt]\nhots = x\n  port = y\n[http]\nport = 70000\n", [":2: [mqtt] hots", ":3: [mqtt] port = y", ":5: [http] port = 70000"]),
], ids=range(17))
def test_faults_are_told_with_their_line(work_folder, text, faults):
    done = check(work_folder, text, code=2)
    for fault in faults:
        assert fault in done.stderr, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == len(faults), done.stderr


def test_bytes_that_are_no_text(work_folder):
    done = check(work_folder, b"[mqtt]\nhost = \xff\xfe\x00\x01\n\x00\n", code=2)
    assert "cityhub.ini:2:" in done.stderr


def test_where_the_file_is_found(work_folder):
    path = work_folder / "cityhub.ini"
    done = check(work_folder, "[mqtt]\nport = 0\n", code=2, environment={"CITYHUB_CONFIG": str(path)}, option=False)
    assert f"{path}:2:" in done.stderr
    done = subprocess.run([paths.cityhub(), "--config", work_folder / "nothing.ini", "check-config"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "nothing.ini: cannot be read: No such file or directory" in done.stderr


def test_wrong_use(work_folder):
    assert "one argument too many" in check(work_folder, "", "more", code=2).stderr
    assert "there is no option --colour" in check(work_folder, "", "--colour", code=2).stderr

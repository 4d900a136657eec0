"""The linter of SQL (tests/lint_sql.py) finds what it is for, and says nothing of what is right."""
import pathlib
import subprocess
import sys

import pytest

LINT = pathlib.Path(__file__).parents[1] / "lint_sql.py"
FUNCTION = "CREATE OR REPLACE FUNCTION a.f() RETURNS void LANGUAGE plpgsql AS $$\nBEGIN\n%s\nEND $$;\n"


def lint(tmp_path, folder, text):
    path = tmp_path / folder / "file.sql"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    done = subprocess.run([sys.executable, LINT, path], capture_output=True, text=True, check=False)
    assert done.returncode == (1 if done.stdout else 0), done.stderr
    return done.stdout.replace(f"{path}:", "")


@pytest.mark.parametrize("folder, text, problem", [
    ("tables", "CREATE FUNCTION a.f() RETURNS int LANGUAGE sql AS 'SELECT 1';", "1: error: a file of tables makes no function"),
    ("tables", "CREATE VIEW a.v AS SELECT 1;", "1: error: a file of tables makes no function, view or trigger"),
    ("tables", "CREATE TRIGGER t BEFORE INSERT ON a.b FOR EACH ROW EXECUTE FUNCTION a.f();", "makes no function, view or trigger"),
    ("tables", f"SELECT '{'城' * 65}';", "1: error: has 140 columns, more than 132"),
    ("tables", "SELECT 1;\t", "blanks at its end or a tab"),
    ("rules", "CREATE TABLE a.b (c int);", "1: error: rules make no table"),
    ("rules", "CREATE INDEX b_c ON a.b (c);", "rules make no index"),
    ("rules", "CREATE FUNCTION a.f() RETURNS int LANGUAGE sql AS 'SELECT 1';", "CREATE OR REPLACE"),
    ("rules", "ALTER TABLE a.b ADD COLUMN d int;", "rules alter nothing"),
    ("rules", "DROP TABLE a.b;", "rules drop nothing but"),
    ("rules", "DROP FUNCTION IF EXISTS a.f() CASCADE;", "CASCADE"),
    ("rules", "GRANT SELECT ON a.b TO c;", "rights to tables belong in a numbered file"),
    ("rules", "INSERT INTO a.b (c) VALUES (1);", "are there at the second run"),
    ("rules", FUNCTION % "    INSERT INTO a.b VALUES (1);", "3: error: INSERT INTO a.b without its columns"),
    ("rules", FUNCTION % "    INSERT INTO a.b (c) SELECT x.* FROM a.x;", "3: error: INSERT INTO a.b takes a row by position"),
    ("rules", FUNCTION % "    r := ROW(1, 2);", "3: error: a variable takes a row by position"),
    ("rules", FUNCTION % "    r := (ROW(1, 2)::a.b);", "3: error: a row of a.b by position"),
    ("rules", FUNCTION % ("    NULL;\n" * 61), "1: error: a.f has 64 lines, more than 60"),
])
def test_found(tmp_path, folder, text, problem):
    assert problem in lint(tmp_path, folder, text)


@pytest.mark.parametrize("folder, text", [
    ("tables", "-- CREATE VIEW of old\nCREATE TABLE a.b (c int DEFAULT 1, d text DEFAULT 'CREATE FUNCTION');\nGRANT SELECT ON a.b TO c;\n"),
    ("rules", "INSERT INTO a.b (c) VALUES (1) ON CONFLICT DO NOTHING;\n"),
    ("rules", "DELETE FROM a.b;\nINSERT INTO a.b (c) SELECT count(*) FROM (SELECT * FROM a.x) x;\n"),
    ("rules", "CREATE OR REPLACE VIEW a.v AS SELECT 1;\nGRANT SELECT ON a.v TO c;\n"),
    ("rules", FUNCTION % "    INSERT INTO a.b (c, d) SELECT x.e, 2 * 3 FROM a.x; -- SELECT *" + "COMMENT ON FUNCTION a.f() IS 'INSERT INTO a.b VALUES';\n"),
])
def test_right(tmp_path, folder, text):
    assert lint(tmp_path, folder, text) == ""

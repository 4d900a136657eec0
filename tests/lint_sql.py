#!/usr/bin/python3
"""lint_sql.py FILE...: form of the SQL of schema/ and adapters/: what keeps tables (applied once) and rules (run again whenever
they changed) apart, what keeps rows from being taken by position, and what keeps the law readable. One line a problem, as
FILE:LINE: error: ...; exit status 1 if there is one. Knows SQL's words, texts and comments, not its grammar."""
import pathlib
import re
import sys
import unicodedata

COLUMNS = 132
FUNCTION_LINES = 60
TOKEN = re.compile(r"""
    (?P<comment>--[^\n]*|/\*.*?\*/) | (?P<text>[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*') | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
  | (?P<word>"(?:[^"]|"")*"|[^\W\d][\w$]*(?:\.(?:[^\W\d][\w$]*|"(?:[^"]|"")*"))*) | (?P<number>\d[\w.]*) | (?P<sign>::|\|\||->>|\S)
  | (?P<space>\s+)""", re.X | re.S)


class Token:
    def __init__(self, kind, text, line):
        self.kind, self.text, self.line = kind, text, line
        self.upper = text.upper() if kind == "word" else text

    def __repr__(self):
        return self.text


def tokens(text, line=1):
    """Tokens without comments and space; a dollar-quoted body is one token of kind "body", without its quotes."""
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        kind, token = match.lastgroup, match.group()
        end = match.end()
        if kind == "dollar":
            close = text.find(token, end)
            close = len(text) if close < 0 else close
            found.append(Token("body", text[end:close], line))
            end = close + len(token)
        elif kind not in ("comment", "space"):
            found.append(Token(kind, token, line))
        line += text.count("\n", at, end)
        at = end
    return found


def statements(found):
    """Lists of tokens, each without its semicolon."""
    statement, depth = [], 0
    for token in found:
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "sign" else 0
        if token.text == ";" and depth == 0:
            if statement:
                yield statement
            statement = []
        else:
            statement.append(token)
    if statement:
        yield statement


def begins(statement, *words):
    return [token.upper for token in statement[:len(words)]] == list(words)


def words_of(statement):
    return {token.upper for token in statement if token.kind == "word"}


class Lint:
    def __init__(self, path):
        self.path, self.problems = path, []
        self.text = path.read_text()
        parts = path.parts
        self.tables = "tables" in parts
        self.meta = path.name == "meta.sql"
        self.simulation = "simulation" in parts
        self.views, self.emptied = set(), set()

    def problem(self, line, text):
        self.problems.append((line, f"{self.path}:{line}: error: {text}"))

    def lines(self):
        for number, line in enumerate(self.text.split("\n"), 1):
            width = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)
            if width > COLUMNS:
                self.problem(number, f"has {width} columns, more than {COLUMNS}")
            if line != line.rstrip() or "\t" in line:
                self.problem(number, "has blanks at its end or a tab")
            if re.search(r"\bRAISE\s+LOG\b", line):
                # log_min_error_statement: the server writes the whole statement with it, so a message of MB for each of its records.
                self.problem(number, "RAISE LOG writes the whole statement into the server's log each time: RAISE DEBUG")

    # ---- statements

    def tables_file(self, statement):
        words = [token.upper for token in statement[:4]]
        if words[0] == "CREATE" and {"FUNCTION", "PROCEDURE", "VIEW", "TRIGGER", "AGGREGATE", "RULE"} & set(words):
            self.problem(statement[0].line, "a file of tables makes no function, view or trigger: they belong in schema/rules")

    def creates(self, statement):
        words = [token.upper for token in statement[:6]]
        made = next((word for word in words if word in ("TABLE", "INDEX", "SEQUENCE", "TYPE", "DOMAIN", "EXTENSION", "SCHEMA", "ROLE")), None)
        if made == "SCHEMA" and self.simulation and "IF" in words:
            return
        if words[1:3] != ["OR", "REPLACE"] and {"FUNCTION", "VIEW", "TRIGGER", "PROCEDURE"} & set(words):
            self.problem(statement[0].line, "rules are run again: CREATE OR REPLACE")
        elif made is not None and words[3:4] != ["FUNCTION"] and not {"FUNCTION", "VIEW", "TRIGGER"} & set(words[:4]):
            self.problem(statement[0].line, f"rules make no {made.lower()}: it belongs in a numbered file of schema/tables")
        if "VIEW" in words:
            self.views.add(statement[words.index("VIEW") + 1].text)

    def rules_file(self, statement):
        line = statement[0].line
        if begins(statement, "CREATE"):
            self.creates(statement)
        elif begins(statement, "ALTER"):
            if not (begins(statement, "ALTER", "TABLE") and statement[3].upper == "ENABLE" and "TRIGGER" in words_of(statement)):
                self.problem(line, "rules alter nothing but ALTER TABLE ... ENABLE [ALWAYS] TRIGGER")
        elif begins(statement, "DROP"):
            if statement[1].upper not in ("FUNCTION", "VIEW", "TRIGGER") or not begins(statement[2:], "IF", "EXISTS"):
                self.problem(line, "rules drop nothing but a FUNCTION, VIEW or TRIGGER, IF EXISTS")
            elif "CASCADE" in words_of(statement):
                self.problem(line, "CASCADE may take more than what was meant")
        elif begins(statement, "GRANT") or begins(statement, "REVOKE"):
            self.rights(statement)
        elif statement[0].upper in ("INSERT", "WITH", "DELETE"):
            self.rows(statement)

    def rights(self, statement):
        on = next((n for n, token in enumerate(statement) if token.upper == "ON"), None)
        subject = statement[on + 1] if on is not None else statement[0]
        whole = begins(statement, "REVOKE", "ALL", "ON", "ALL", "FUNCTIONS")
        if not (subject.upper == "FUNCTION" or subject.text in self.views or whole or (self.simulation and subject.upper == "SCHEMA")):
            self.problem(statement[0].line, "rights to tables belong in a numbered file; rules grant functions and their own views")

    def rows(self, statement):
        """Rows of law are made again at every run: over what is there (ON CONFLICT), or after it was taken away."""
        for n, token in enumerate(statement):
            if token.upper == "DELETE":
                self.emptied.add(statement[n + 2].text)
            elif token.upper == "INSERT" and "CONFLICT" not in words_of(statement) and statement[n + 2].text not in self.emptied \
                    and statement[n + 2].text != "onemap.office_period":
                self.problem(token.line, f"rows of {statement[n + 2]} are there at the second run: ON CONFLICT, or DELETE before")

    # ---- what holds everywhere, bodies of functions included

    def positions(self, found):
        for n, token in enumerate(found):
            if token.kind == "body" and not re.fullmatch(r"\s*[\[{].*", token.text, re.S):
                self.positions(tokens(token.text, token.line))
            elif token.upper == "INSERT" and n + 3 < len(found) and found[n + 1].upper == "INTO":
                after = n + 3
                if found[after].upper == "AS":
                    after += 2
                if found[after].text != "(":
                    self.problem(token.line, f"INSERT INTO {found[n + 2]} without its columns: a new column would shift the row")
                elif takes_whole_row(found, closing(found, after) + 1):
                    self.problem(token.line, f"INSERT INTO {found[n + 2]} takes a row by position (*): name what it takes")
            elif token.upper == "ROW" and found[n + 1:n + 2] and found[n + 1].text == "(":
                end = closing(found, n + 1)
                if end + 2 < len(found) and found[end + 1].text == "::" and "." in found[end + 2].text:
                    self.problem(token.line, f"a row of {found[end + 2]} by position: name its columns")
                elif [token.text for token in found[max(n - 2, 0):n]] == [":", "="]:
                    self.problem(token.line, "a variable takes a row by position: name its columns")

    def functions(self, statement):
        words = [token.upper for token in statement[:4]]
        if words[0] == "CREATE" and "FUNCTION" in words:
            name = statement[words.index("FUNCTION") + 1].text
            body = next((token for token in statement if token.kind == "body"), None)
            lines = body.text.strip("\n").count("\n") + 1 if body else 0
            if lines > FUNCTION_LINES:
                self.problem(statement[0].line, f"{name} has {lines} lines, more than {FUNCTION_LINES}: name its steps")

    def run(self):
        found = tokens(self.text)
        self.lines()
        self.positions(found)
        for statement in statements(found):
            if self.tables:
                self.tables_file(statement)
            elif not self.meta:
                self.rules_file(statement)
            self.functions(statement)
        return [text for _, text in sorted(self.problems)]


def takes_whole_row(found, at):
    """Does the query at `at`, what an INSERT takes, select * or alias.*? Not what its subqueries select."""
    depth = 0
    for n in range(at, len(found)):
        token = found[n]
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "sign" else 0
        if depth < 0 or depth == 0 and (token.text == ";" or token.upper in ("FROM", "VALUES", "ON", "RETURNING")):
            return False
        if depth == 0 and token.text == "*" and (found[n - 1].upper in ("SELECT", "ALL", "DISTINCT") or found[n - 1].text in (",", ".")):
            return True
    return False


def closing(found, at):
    depth = 0
    for n in range(at, len(found)):
        depth += {"(": 1, ")": -1}.get(found[n].text, 0)
        if depth == 0:
            return n
    return len(found)


def main(names):
    problems = [text for name in names for text in Lint(pathlib.Path(name)).run()]
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

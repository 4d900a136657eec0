#!/usr/bin/env bash
# lint.sh BUILD LOGS [PATTERN]: form and static analysis, one check a file and tool: clang-format, clang-tidy, the SQL's own
# (lint_sql.py), shellcheck, pyflakes, and who may include whom (lint_include.py).
# BUILD is a finished build with compile_commands.json. Called by tests/run.sh.
set -u
cd "$(dirname "$0")/.." || exit 2
build=$1
logs=$2
pattern=${3:-}
rm -rf "$logs"
mkdir -p "$logs"

# check TOOL FILE COMMAND...: prints and logs only what fails.
check() {
    local tool=$1 file=$2 log
    shift 2
    log=$logs/$tool-${file//\//_}.log
    if "$@" >"$log" 2>&1; then
        rm -f "$log"
        echo passed
    else
        printf '%s\n' "failed: $tool $file; see $log
$(grep -E 'error:|warning:|^In ' "$log" | head -n 5 | sed 's/^/    /')"
    fi
}
export -f check
export logs build

# Our own compile commands without the cache's launcher, which clang-tidy would take for the compiler.
mkdir -p "$logs/database"
sed -E 's#"command": "[^ "]*ccache #"command": "#' "$build/compile_commands.json" >"$logs/database/compile_commands.json"
export tidy_database=$logs/database
# The analyzer looks at 50,000 states of a function, not at 225,000: a quarter of the time, for our short functions no less found
# (NULL used, memory freed twice or lost were planted; both depths told the same of them).
export tidy_depth='--extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=max-nodes=50000'

files() {
    find "$@" 2>/dev/null | grep -E -- "${pattern:-.}" | sort
}

{
    files deploy hub adapters tests \( -name '*.c' -o -name '*.h' \) |
        xargs -r -I{} -P 2 bash -c 'check clang-format {} clang-format --dry-run -Werror {}'
    files deploy hub adapters -name '*.c' |
        xargs -r -I{} -P 2 bash -c 'check clang-tidy {} clang-tidy --quiet $tidy_depth -p "$tidy_database" {}'
    files schema adapters -name '*.sql' |
        xargs -r -I{} -P 2 bash -c 'check lint_sql {} tests/lint_sql.py {}'
    { files deploy tests -name '*.sh' -not -path '*/node_modules/*'; files .ci/run; } |
        xargs -r -I{} -P 2 bash -c 'check shellcheck {} shellcheck -x -S warning {}'
    # Python by its name, or by its first line.
    { files adapters tests -name '*.py' -not -path '*/node_modules/*'
      grep -rlIE '^#!/usr/bin/(env )?python3' adapters tests --exclude='*.py' --exclude-dir=node_modules | grep -E -- "${pattern:-.}"; } |
        sort -u | xargs -r -I{} -P 2 bash -c 'check pyflakes {} /usr/bin/python3 -m pyflakes {}'
    tests/lint_include.py "${pattern:-.}"
    tests/lint_topic.py "${pattern:-.}"
} >"$logs/results"
grep -v '^passed$' "$logs/results"
passed=$(grep -c '^passed$' "$logs/results")
failed=$(grep -c '^failed: ' "$logs/results")
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

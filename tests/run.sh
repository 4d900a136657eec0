#!/usr/bin/env bash
# run.sh: every test of cityhub, or one part of them.
#     tests/run.sh [lint|unit|schema|integration|web|fuzz|all] [PATTERN]
# PATTERN chooses within a part: a regular expression of ctest names (unit), a part of a file's name (schema, lint), an
# expression of pytest's -k (integration), a regular expression of names (web), a fuzz target. Installs what is missing, builds build/asan with AddressSanitizer
# and UndefinedBehaviorSanitizer, and ends with one line `N passed, N failed`; exit status 0 only if nothing failed.
#     FUZZ_SECONDS        seconds per decoder that is fuzzed (15), four times that for what gateways read, a quarter for the smaller parsers
#     INTEGRATION_WORKERS how many files of integration tests run side by side (three on two processors: a third of the time they wait); 0 = in this process
#     CITYHUB_CHANGES     how many random changes the tiles are held against the database after (50)
#     CITYHUB_LISTENERS   how many clients of the live stream are held against the database (50)
#     CITYHUB_CMAKE_ARGS  more arguments for cmake
set -u
cd "$(dirname "$0")/.." || exit 2
# shellcheck source=deploy/packages.sh
. deploy/packages.sh

[ $# -le 2 ] || { echo "one PATTERN only, not $*" >&2; exit 2; }
part=${1:-all}
pattern=${2:-}
build=$PWD/build/asan
logs=$PWD/build/logs
passed=0
failed=0
jobs=$(nproc)

usage() {
    sed -n '3,4p' "$0" | sed 's/^#  *//' >&2
    exit 2
}

say() {
    printf '\n==> %s\n' "$*"
}

# The one last line, and the exit status that goes with it.
finish() {
    if [ "$failed" -gt 0 ]; then
        printf '\nlogs of what failed: %s\n' "$logs"
    fi
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit
}

# run_part NAME COMMAND...: runs a command whose last line is `N passed, N failed`, shows its output, adds its counts.
# One that ends otherwise, or with a status that its counts do not explain, is one more failure.
run_part() {
    local name=$1 log=$logs/$1.log started=$SECONDS status counts part_passed=0 part_failed=0
    shift
    say "$name"
    "$@" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    counts=$(tail -n 1 "$log" | grep -E '^[0-9]+ passed, [0-9]+ failed$' || true)
    if [ -n "$counts" ]; then
        part_passed=${counts%% *}
        part_failed=${counts#*, }
        part_failed=${part_failed%% *}
    fi
    if [ -z "$counts" ] || { [ "$status" -ne 0 ] && [ "$part_failed" -eq 0 ]; }; then
        echo "$name did not come to its end (exit status $status); see $log"
        part_failed=$((part_failed + 1))
    fi
    passed=$((passed + part_passed))
    failed=$((failed + part_failed))
    echo "--- $name: $part_passed passed, $part_failed failed in $((SECONDS - started)) s"
}

configure_and_build() {
    # shellcheck disable=SC2086 # several arguments
    cmake -G Ninja -S . -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_C_FLAGS_RELWITHDEBINFO=-O2 -g1 -DNDEBUG" -DCITYHUB_SANITIZE=ON -DCITYHUB_TESTS=ON \
        -DCMAKE_C_COMPILER_LAUNCHER=ccache ${CITYHUB_CMAKE_ARGS:-} &&
        ninja -C "$build" -j "$jobs"
}

build_all() {
    say "build with ASan and UBSan in $build"
    configure_and_build 2>&1 | tee "$logs/build.log" | grep -vE '^-- (Found|Checking|  Found)'
    if [ "${PIPESTATUS[0]}" -ne 0 ]; then
        echo "the build failed; see $logs/build.log"
        failed=$((failed + 1))
        finish
    fi
}

part_lint() {
    tests/lint.sh "$build" "$logs/lint" "$pattern"
}

# What lint, begun by begin_beside, has printed.
part_lint_beside() {
    cat "$logs/lint-beside.log"
    return "$(cat "$logs/lint-beside.status")"
}

# The fuzz targets' build may fail here: part_fuzz builds again, and tells.
begin_beside() {
    rm -f "$logs"/lint-beside.*
    (
        renice -n 19 "$BASHPID" >/dev/null
        part_lint >"$logs/lint-beside.log" 2>&1
        echo $? >"$logs/lint-beside.status"
        tests/fuzz/run.sh build >/dev/null 2>&1
    ) &
    beside=$!
    trap 'kill "$beside" 2>/dev/null' EXIT
}

part_unit() {
    ctest --test-dir "$build" --output-on-failure --no-tests=error -j "$jobs" -R "${pattern:-.}" --output-junit "$logs/unit.xml"
    local status=$?
    /usr/bin/python3 tests/harness/junit.py "$logs/unit.xml" || true
    return "$status"
}

part_schema() {
    /usr/bin/python3 tests/schema/run "$pattern"
}

part_integration() {
    rm -f "$logs/integration.xml"
    CITYHUB_BUILD=$build CITYHUB_TEST_LOGS=$logs /usr/bin/python3 -m pytest -c tests/pytest.ini tests/integration \
        -n "${INTEGRATION_WORKERS:-$((jobs + jobs / 2))}" --dist loadfile --durations=10 --junitxml="$logs/integration.xml" ${pattern:+-k "$pattern"}
    local status=$?
    /usr/bin/python3 tests/harness/junit.py "$logs/integration.xml" || true
    return "$status"
}

part_web() {
    CITYHUB_BUILD=$build CITYHUB_TEST_LOGS=$logs tests/web/run ${pattern:+"$pattern"}
}

part_fuzz() {
    tests/fuzz/run.sh "${FUZZ_SECONDS:-15}" ${pattern:+"$pattern"}
}

case $part in
lint | unit | schema | integration | web | fuzz) parts=("$part") ;;
all)
    parts=(unit schema integration web lint_beside fuzz)
    pattern=
    ;;
*) usage ;;
esac
mkdir -p "$logs"
if ! install_packages build run test; then
    failed=1
    finish
fi
build_all
export CITYHUB_BUILD=$build CITYHUB_TEST_LOGS=$logs
if [ "$part" = all ]; then
    begin_beside
fi
for one in "${parts[@]}"; do
    if [ "$one" = lint_beside ]; then
        wait "$beside"
    fi
    run_part "$one" "part_$one"
done
finish

#!/usr/bin/env bash
# run.sh SECONDS|build [TARGET]: the fuzz targets of tests/fuzz, or those whose names have TARGET in them. Builds them with
# clang in build/fuzz, runs each over its committed corpus, then lets it search: a decoder for SECONDS, what a gateway reads from
# the Internet for four times that, a smaller parser for a quarter, as many at a time as there are processors. What is found stays in build/fuzz/found/<target> and is
# searched on from the next time. `build` only builds them. Called by tests/run.sh; ends with `N passed, N failed`.
set -u
cd "$(dirname "$0")/../.." || exit 2
seconds=${1:-60}
pattern=${2:-}
build=$PWD/build/fuzz
logs=$build/logs
if ! [[ $seconds =~ ^([1-9][0-9]*|build)$ ]]; then
    echo "usage: tests/fuzz/run.sh SECONDS|build [TARGET]" >&2
    exit 2
fi
mkdir -p "$logs"

names=()
for file in tests/fuzz/fuzz_*.c; do
    name=$(basename "$file" .c)
    [[ $name == *"$pattern"* ]] && names+=("$name")
done
if [ ${#names[@]} -eq 0 ]; then
    echo "no fuzz target has \"$pattern\" in its name"
    echo "0 passed, 1 failed"
    exit 1
fi

if ! { cmake -G Ninja -S . -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_C_FLAGS_RELWITHDEBINFO=-O2 -g1 -DNDEBUG" \
    -DCMAKE_C_COMPILER=clang -DCITYHUB_FUZZ=ON -DCITYHUB_TESTS=OFF -DCMAKE_C_COMPILER_LAUNCHER=ccache && ninja -C "$build" -j "$(nproc)" "${names[@]}"; } \
    >"$logs/build.log" 2>&1; then
    tail -n 30 "$logs/build.log"
    echo "the build of the fuzz targets failed; see $logs/build.log"
    echo "0 passed, 1 failed"
    exit 1
fi

if [ "$seconds" = build ]; then
    exit 0
fi

# One input may take 10 s and 512 MB at the most, under the sanitizers.
limits=(-timeout=10 -rss_limit_mb=512 -malloc_limit_mb=256)

# complain WHAT TARGET LOG: what to look at.
complain() {
    local what=$1 name=$2 log=$3 input
    input=$(grep -oE 'tests/fuzz/crash-[^ ]*|Running: .*' "$log" | tail -n 1 | sed 's/^Running: //')
    printf '%s\n' "failed: $what $name; see $log
$(grep -E 'does not hold|ERROR: |SUMMARY: |runtime error: ' "$log" | head -n 5 | sed 's/^/    /')
    again: build/fuzz/tests/$name ${input:-tests/fuzz/corpus/$name/*}"
}

# run_one TARGET SECONDS: prints `passed` or a complaint, once for the corpus and once for the search.
run_one() {
    local name=$1 time=$2 program=$build/tests/$1 log found=$build/found/$1 options=()
    log=$logs/$name-corpus.log
    if [ ! -d "tests/fuzz/corpus/$name" ]; then
        echo "failed: corpus $name; tests/fuzz/corpus/$name is missing"
    elif "$program" "${limits[@]}" tests/fuzz/corpus/"$name"/* >"$log" 2>&1; then
        echo passed
    else
        complain corpus "$name" "$log"
    fi
    log=$logs/$name.log
    mkdir -p "$found"
    [ -f "tests/fuzz/$name.dict" ] && options=("-dict=tests/fuzz/$name.dict")
    if "$program" "${limits[@]}" ${options[@]+"${options[@]}"} -max_len=8192 -max_total_time="$time" \
        -artifact_prefix="tests/fuzz/crash-$name-" "$found" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
        echo passed
        echo "$name: $(grep -oE 'Done [0-9]+ runs in [0-9]+ second' "$log")s," \
            "$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1 | grep -oE '[0-9]+') edges"
    else
        complain search "$name" "$log"
    fi
}

small=$((seconds / 4 > 5 ? seconds / 4 : seconds < 5 ? seconds : 5))
rm -f "$logs"/*.result
# The long ones first, so that the short ones fill the gap.
seconds_of() {
    case $1 in
    *hj212* | *jt808* | *mapping* | *speech*) echo $((4 * seconds)) ;;
    *decode* | *intake*) echo "$seconds" ;;
    *) echo "$small" ;;
    esac
}

for name in $(for one in "${names[@]}"; do echo "$(seconds_of "$one") $one"; done | sort -k1,1nr -k2,2 | cut -d ' ' -f 2); do
    time=$(seconds_of "$name")
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
        wait -n
    done
    run_one "$name" "$time" >"$logs/$name.result" 2>&1 &
done
wait
cat "$logs"/*.result | grep -v '^passed$'
passed=$(cat "$logs"/*.result | grep -c '^passed$')
failed=$(cat "$logs"/*.result | grep -c '^failed: ')
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

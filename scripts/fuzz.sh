#!/usr/bin/env bash
# Feeds every decoder with what libFuzzer makes of the inputs in Tests/FuzzCorpus: `make fuzz`.
#
#   scripts/fuzz.sh                     every target for 20 s
#   TIME=600 scripts/fuzz.sh stun ice   these targets for 600 s each
#   SEED=1 scripts/fuzz.sh              the same inputs as every time, as far as the machine gets
#   scripts/fuzz.sh stun FILE...        the target with these inputs only, to repeat a finding
#   scripts/fuzz.sh --build             builds, and no more
#
# Ends at the first finding, with the command that repeats it. What is found is kept in .build-fuzz/findings/TARGET;
# once mended, the input belongs into Tests/FuzzCorpus/TARGET, where the unit tests read it. New inputs that reach more
# code are kept in .build-fuzz/corpus/TARGET, and used by the next run.
set -euo pipefail
cd "$(dirname "$0")/.."

time=${TIME:-20}
# Where libFuzzer's chance begins; 0 is elsewhere each time.
seed=${SEED:-0}
scratch=.build-fuzz
# The largest input, in bytes; limits of more are for unit tests.
largest=4096

only_build=
if [ "${1:-}" = --build ]; then
    only_build=yes
    shift
fi
targets=()
inputs=()
for argument in "$@"; do
    if [ -d "Tests/FuzzCorpus/$argument" ]; then
        targets+=("$argument")
    elif [ -f "$argument" ]; then
        inputs+=("$argument")
    else
        echo "fuzz: \"$argument\" is neither a target nor a file; targets: $(ls Tests/FuzzCorpus | tr '\n' ' ')" >&2
        exit 64
    fi
done
if [ ${#inputs[@]} -gt 0 ] && [ ${#targets[@]} -ne 1 ]; then
    echo "fuzz: files are for one target" >&2
    exit 64
fi
if [ ${#targets[@]} -eq 0 ]; then mapfile -t targets < <(ls Tests/FuzzCorpus); fi

build=(swift build --scratch-path "$scratch" -c release --sanitize fuzzer --sanitize address -Xswiftc -enable-testing)
export RTUN_FUZZ=1
# The linker names each function of AddressSanitizer that it does not export.
"${build[@]}" --product rtun-fuzz 2> >(grep -v 'Cannot export local symbol' >&2)
[ -z "$only_build" ] || exit 0
program=$("${build[@]}" --show-bin-path)/rtun-fuzz

# Swift's own report of a crash would keep libFuzzer from writing its input. Swift keeps other bits in pointers, which
# LeakSanitizer does not see through; memory that grows meets the limit.
export SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=16
# Nothing may take more memory than its input deserves, or long.
limits=(-rss_limit_mb=512 -malloc_limit_mb=64 -timeout=10)

if [ ${#inputs[@]} -gt 0 ]; then
    RTUN_FUZZ_TARGET=${targets[0]} exec "$program" "${limits[@]}" "${inputs[@]}"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
for target in "${targets[@]}"; do
    corpus=$scratch/corpus/$target
    findings=$scratch/findings/$target
    mkdir -p "$corpus" "$findings"
    if ! RTUN_FUZZ_TARGET=$target "$program" "${limits[@]}" -seed="$seed" -max_total_time="$time" -max_len="$largest" \
        -artifact_prefix="$findings/" -print_final_stats=1 "$corpus" "Tests/FuzzCorpus/$target" >"$log" 2>&1; then
        grep -vE '^#[0-9]+|NEW_FUNC|^\s+NEW' "$log" | tail -n 40 >&2
        found=$(ls -t "$findings" | head -n 1)
        echo "fuzz: $target has a finding; again with: scripts/fuzz.sh $target $findings/$found" >&2
        exit 1
    fi
    awk -v target="$target" '
        /stat::number_of_executed_units/ { runs = $2 }
        /stat::average_exec_per_sec/ { rate = $2 }
        /stat::peak_rss_mb/ { memory = $2 }
        END { printf "fuzz: %-16s %9d runs, %6d a second, %3d MB\n", target, runs, rate, memory }' "$log"
done

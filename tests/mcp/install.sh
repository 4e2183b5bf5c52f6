#!/usr/bin/env bash
# Installs the MCP Inspector from npm into a folder outside of the repository, once, and prints its program.
set -euo pipefail
VERSION=${MCP_INSPECTOR_VERSION:-1.0.3}
FOLDER=${CLAWFILES_MCP_INSPECTOR:-${XDG_CACHE_HOME:-$HOME/.cache}/clawfiles-mcp-inspector}
if [ "$(cat "$FOLDER/installed" 2>/dev/null)" != "$VERSION" ]; then # a stamp: a broken one is made again
  echo "installing @modelcontextprotocol/inspector $VERSION into $FOLDER" >&2
  mkdir -p "$FOLDER"
  npm install --ignore-scripts --no-audit --no-fund --loglevel=error --prefix "$FOLDER" \
    "@modelcontextprotocol/inspector@$VERSION" >&2
  echo "$VERSION" >"$FOLDER/installed"
fi
echo "$FOLDER/node_modules/.bin/mcp-inspector"

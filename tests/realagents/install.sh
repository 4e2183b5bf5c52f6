#!/usr/bin/env bash
# Installs Claude Code, Codex, Gemini CLI and two programs that speak ACP from npm into a folder outside of the
# repository, once, and prints it: those that are neither on the PATH nor in CLAWFILES_REAL_AGENTS, if that names a folder.
set -euo pipefail
FOLDER=${CLAWFILES_REAL_AGENTS:-${XDG_CACHE_HOME:-$HOME/.cache}/clawfiles-agents}
mkdir -p "$FOLDER"
has() { [ -x "$FOLDER/node_modules/.bin/$1" ] || [ -x "$FOLDER/$1" ] || command -v "$1" >/dev/null; }
while read -r program package; do
  has "$program" && continue
  echo "installing $package into $FOLDER" >&2
  npm install --no-audit --no-fund --loglevel=error --prefix "$FOLDER" "$package" >&2
done <<END
claude @anthropic-ai/claude-code@2.1.197
codex @openai/codex@0.169.0
gemini @google/gemini-cli@0.61.0
claude-agent-acp @agentclientprotocol/claude-agent-acp@0.49.0
codex-acp @agentclientprotocol/codex-acp@2.6.0
END
echo "$FOLDER"

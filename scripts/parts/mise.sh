# shellcheck shell=bash
# mise, which runs the tasks of mise.toml. Sourced by scripts/real-parts.sh, which brings $real, note and lacks.
readonly mise_version=2026.9.15

# A folder of its own: npm removes what it did not install in the same run.
mise_parts() {
  local place="$real/mise"
  local stamp="$place/.mise-$mise_version"
  if [[ -x "$real/bin/mise" && -e "$stamp" ]]; then
    note mise "$mise_version, already there"
  elif ! command -v npm >/dev/null; then
    lacks mise "needs Node 20 or newer with npm on the PATH"
  elif rm -rf "$place" && mkdir -p "$place" \
    && npm install --prefix "$place" --no-audit --no-fund --no-save "mise@$mise_version" >"$real/log/mise" 2>&1 \
    && "$place/node_modules/.bin/mise" --version >>"$real/log/mise" 2>&1; then
    ln -sf ../mise/node_modules/.bin/mise "$real/bin/mise"
    touch "$stamp"
    note mise "$mise_version, installed"
  else
    lacks mise "npm install of mise@$mise_version failed, see .cache/real/log/mise"
  fi
}

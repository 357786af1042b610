# shellcheck shell=bash
# act, which runs the workflow files, and the wheels that they install the bot from.
# Read by scripts/real-parts.sh, which brings $real, note, lacks and go_tool.
readonly act_version=v0.2.89

act_parts() {
  go_tool act github.com/nektos/act "$act_version"
  wheelhouse
}

# What action.yml installs from, for the Python that runs the tests; made again when something of it changes.
wheelhouse() {
  local stamp locks=(requirements/runtime.txt requirements/release.txt)
  stamp="$real/wheels/.$( (python -VV && cat "${locks[@]}") | sha256sum | cut -c -16)"
  if [[ -e "$stamp" ]]; then
    note wheels "already there"
  elif rm -rf "$real/wheels" && python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes "${locks[@]/#/--requirement=}" -d "$real/wheels" >"$real/log/wheels" 2>&1; then
    touch "$stamp"
    note wheels "downloaded"
  else
    lacks wheels "pip download of ${locks[*]} failed, see .cache/real/log/wheels"
  fi
}

# shellcheck shell=bash
# GitHub's description of its REST API, by which the requests of the bot are judged. Sourced by scripts/real-parts.sh.
readonly openapi_version=23.0.2

# The package holds 400 MB of descriptions; one of them is kept.
openapi_parts() {
  local place="$real/openapi" file=package/generated/api.github.com.json
  local stamp="$place/.openapi-$openapi_version"
  if [[ -s "$place/api.github.com.json" && -e "$stamp" ]]; then
    note openapi "$openapi_version, already there"
  elif ! command -v npm >/dev/null; then
    lacks openapi "needs Node 20 or newer with npm on the PATH"
  elif rm -rf "$place" && mkdir -p "$place" \
    && npm pack --pack-destination "$place" "@octokit/openapi@$openapi_version" >"$real/log/openapi" 2>&1 \
    && tar -xzf "$place/octokit-openapi-$openapi_version.tgz" -C "$place" --strip-components=2 "$file" \
      2>>"$real/log/openapi"; then
    rm -f "$place/octokit-openapi-$openapi_version.tgz"
    touch "$stamp"
    note openapi "$openapi_version, unpacked"
  else
    lacks openapi "npm pack of @octokit/openapi@$openapi_version failed, see .cache/real/log/openapi"
  fi
}

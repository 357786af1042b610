# shellcheck shell=bash
# A registry with the referrers API, whose tags may be immutable and whose room may end. Sourced by
# scripts/real-parts.sh.

registry_parts() {
  local source="$PWD/tests/real/registry" stamp
  stamp="$real/bin/.oci-registry-$(cat "$source"/* | sha256sum | cut -c -16)"
  if [[ -x "$real/bin/oci-registry" && -e "$stamp" ]]; then
    note oci-registry "already there"
  elif ! command -v go >/dev/null; then
    lacks oci-registry "needs Go 1.26 or newer on the PATH"
  elif (cd "$source" && CGO_ENABLED=0 go build -o "$real/bin/oci-registry" .) >"$real/log/oci-registry" 2>&1; then
    rm -f "$real/bin/.oci-registry-"*
    touch "$stamp"
    note oci-registry "built"
  else
    lacks oci-registry "go build in tests/real/registry failed, see .cache/real/log/oci-registry"
  fi
}

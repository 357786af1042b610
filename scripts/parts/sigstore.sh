# shellcheck shell=bash
# A Sigstore of the tests' own, and the two cosigns that they judge by.
# Read by scripts/real-parts.sh, which brings $real, note and lacks.

readonly cosign_version=v3.1.3 cosign2_version=v2.6.5 fulcio_version=v1.8.5 timestamp_version=v2.0.3
readonly rekor_version=v2.2.0 rekor1_version=v1.5.3

# go_tool_as NAME MODULE VERSION: a Go program under a name of our own.
go_tool_as() {
  local stamp="$real/bin/.$1-$3" made="$real/go/$1"
  if [[ -x "$real/bin/$1" && -e "$stamp" ]]; then
    note "$1" "$3, already there"
  elif ! command -v go >/dev/null; then
    lacks "$1" "needs Go 1.26 or newer on the PATH"
  elif rm -rf "$made" && GOBIN="$made" go install "$2@$3" >"$real/log/$1" 2>&1; then
    mv -f "$made"/* "$real/bin/$1"
    rm -rf "$made" "$real/bin/.$1-"*
    touch "$stamp"
    note "$1" "$3, installed"
  else
    lacks "$1" "go install $2@$3 failed, see .cache/real/log/$1"
  fi
}

# The mains of tests/real/sigstore, built again when one of its Go files has changed.
sigstore_logs() {
  local source="$PWD/tests/real/sigstore" version stamp
  version=$(cd "$source" && cat go.mod go.sum ./*/main.go | sha256sum | cut -c1-12)
  stamp="$real/bin/.sigstore-logs-$version"
  if [[ -x "$real/bin/ctlog" && -x "$real/bin/memorylog" && -e "$stamp" ]]; then
    note sigstore-logs "already there"
  elif ! command -v go >/dev/null; then
    lacks sigstore-logs "needs Go 1.26 or newer on the PATH"
  elif (cd "$source" && go build -trimpath -o "$real/bin/" ./ctlog ./memorylog) >"$real/log/sigstore-logs" 2>&1; then
    rm -f "$real/bin/.sigstore-logs-"*
    touch "$stamp"
    note sigstore-logs "built"
  else
    lacks sigstore-logs "go build failed, see .cache/real/log/sigstore-logs"
  fi
}

# Eight minutes on two cores from nothing. Rekor v1 is there for the legacy format only.
sigstore_parts() {
  local sigstore=github.com/sigstore
  go_tool_as cosign3 "$sigstore/cosign/v3/cmd/cosign" "$cosign_version"
  go_tool_as cosign2 "$sigstore/cosign/v2/cmd/cosign" "$cosign2_version"
  go_tool_as fulcio "$sigstore/fulcio" "$fulcio_version"
  go_tool_as timestamp-server "$sigstore/timestamp-authority/v2/cmd/timestamp-server" "$timestamp_version"
  go_tool_as rekor-posix "$sigstore/rekor-tiles/v2/cmd/rekor-server/posix" "$rekor_version"
  go_tool_as rekor-server "$sigstore/rekor/cmd/rekor-server" "$rekor1_version"
  sigstore_logs
  if ! unshare -rnm true 2>"$real/log/unshare"; then
    lacks network-namespace "unshare -rnm is not allowed here: allow user namespaces, or run as root"
  fi
}

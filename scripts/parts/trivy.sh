# shellcheck shell=bash
# Trivy, and the maker of the vulnerability databases that its tests use. Sourced by scripts/real-parts.sh.
readonly trivy_version=v0.68.2

trivy_parts() {
  trivy
  trivy_database
}

# Built from the module's own folder: `go install` would not set the version that Trivy reports.
trivy() {
  local stamp="$real/bin/.trivy-$trivy_version" source="$real/trivy-source" module
  if [[ -x "$real/bin/trivy" && -e "$stamp" ]]; then
    note trivy "$trivy_version, already there"
  elif ! command -v go >/dev/null; then
    lacks trivy "needs Go 1.26 or newer on the PATH"
  elif module=$(cd "$real" && go mod download -json "github.com/aquasecurity/trivy@$trivy_version" 2>"$real/log/trivy" \
      | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",$/\1/p') && [[ -n "$module" ]] \
    && rm -rf "$source" && cp -r "$module" "$source" && chmod -R u+w "$source" \
    && (cd "$source" && GOEXPERIMENT=jsonv2 CGO_ENABLED=0 go build -o "$real/bin/trivy" \
      -ldflags "-s -w -X github.com/aquasecurity/trivy/pkg/version/app.ver=${trivy_version#v}" ./cmd/trivy) \
      >>"$real/log/trivy" 2>&1; then
    rm -rf "$source"
    rm -f "$real/bin/.trivy-v"*
    touch "$stamp"
    note trivy "$trivy_version, built"
  else
    lacks trivy "go build of Trivy $trivy_version failed, see .cache/real/log/trivy"
  fi
}

trivy_database() {
  local source="$PWD/tests/real/trivy_db" stamp
  stamp="$real/bin/.trivy-db-$(cat "$source"/* | sha256sum | cut -c -16)"
  if [[ -x "$real/bin/trivy-db" && -e "$stamp" ]]; then
    note trivy-db "already there"
  elif ! command -v go >/dev/null; then
    lacks trivy-db "needs Go 1.26 or newer on the PATH"
  elif (cd "$source" && go build -o "$real/bin/trivy-db" .) >"$real/log/trivy-db" 2>&1; then
    rm -f "$real/bin/.trivy-db-"*
    touch "$stamp"
    note trivy-db "built"
  else
    lacks trivy-db "go build in tests/real/trivy_db failed, see .cache/real/log/trivy-db"
  fi
}

#!/usr/bin/env bash
# Installs the real parts that `make test-real` talks to, into .cache/real of this checkout:
# crane and actionlint (Go), Debian's docker-registry and skopeo (apt), a GitHub emulator (npm), and by scripts/parts
# a Sigstore with two cosigns, Trivy with the maker of its databases (Go), a Docker Engine (apt), act (Go), mise and
# GitHub's description of its API (npm), AWS's command line and a stand-in for its services (pip), and a registry that
# refuses to move tags (Go).
# A quarter of an hour from nothing on two cores. Quick when everything is there; says what is missing and how to get
# it, and then exits with 1.
set -euo pipefail

cd "$(dirname "$0")/.."
readonly real="$PWD/.cache/real"
readonly crane_version=v0.22.1 actionlint_version=v1.7.12 node_version=24 emulate_version=0.12.2
missing=()
mkdir -p "$real/bin" "$real/npm" "$real/log"

# note PART TEXT: one line of progress.
note() { printf '%-16s %s\n' "$1" "$2" >&2; }

# lacks PART REASON: remembers that a part could not be had.
lacks() {
  missing+=("$1")
  note "$1" "MISSING: $2"
}

# go_tool NAME MODULE VERSION
go_tool() {
  local stamp="$real/bin/.$1-$3"
  if [[ -x "$real/bin/$1" && -e "$stamp" ]]; then
    note "$1" "$3, already there"
  elif ! command -v go >/dev/null; then
    lacks "$1" "needs Go 1.26 or newer on the PATH"
  elif GOBIN="$real/bin" go install "$2@$3" >"$real/log/$1" 2>&1; then
    rm -f "$real/bin/.$1-"*
    touch "$stamp"
    note "$1" "$3, installed"
  else
    lacks "$1" "go install $2@$3 failed, see .cache/real/log/$1"
  fi
}

updated=no
apt_update() {
  if [[ $updated == no && $(id -u) == 0 ]]; then
    apt-get update >"$real/log/apt-update" 2>&1 || note apt "apt-get update failed, see .cache/real/log/apt-update"
  fi
  updated=yes
}

# Unpacked, not installed: the installed package would start a registry of its own.
docker_registry() {
  if command -v docker-registry >/dev/null || [[ -x "$real/bin/docker-registry" ]]; then
    note docker-registry "already there"
    return
  fi
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    lacks docker-registry "needs Debian's apt-get and dpkg-deb"
    return
  fi
  apt_update
  local unpacked="$real/docker-registry"
  rm -rf "$unpacked" && mkdir -p "$unpacked"
  if (cd "$unpacked" && apt-get download docker-registry && dpkg-deb -x docker-registry_*.deb .) \
    >"$real/log/docker-registry" 2>&1; then
    ln -sf ../docker-registry/usr/bin/docker-registry "$real/bin/docker-registry"
    note docker-registry "unpacked"
  else
    lacks docker-registry "apt-get download failed (run apt-get update as root first), see .cache/real/log/docker-registry"
  fi
}

skopeo() {
  if type -P skopeo >/dev/null; then # a function has its name too
    note skopeo "already there"
  elif ! command -v apt-get >/dev/null; then
    lacks skopeo "needs Debian's apt-get"
  elif [[ $(id -u) != 0 ]]; then
    lacks skopeo "run as root: apt-get update && apt-get install skopeo"
  else
    apt_update
    if DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends skopeo >"$real/log/skopeo" 2>&1; then
      note skopeo "installed"
    else
      lacks skopeo "apt-get install skopeo failed, see .cache/real/log/skopeo"
    fi
  fi
}

# The emulator needs Node 24, which the npm package `node` brings.
emulator() {
  local stamp="$real/npm/.emulate-$emulate_version-node-$node_version"
  if [[ -e "$stamp" ]]; then
    note emulate "$emulate_version, already there"
  elif ! command -v npm >/dev/null; then
    lacks emulate "needs Node 20 or newer with npm on the PATH"
  elif npm install --prefix "$real/npm" --no-audit --no-fund --no-save \
    "node@$node_version" "emulate@$emulate_version" >"$real/log/emulate" 2>&1 \
    && "$real/npm/node_modules/node/bin/node" --version >>"$real/log/emulate" 2>&1; then
    touch "$stamp"
    note emulate "$emulate_version, installed"
  else
    lacks emulate "npm install failed, see .cache/real/log/emulate"
  fi
}

terraform() {
  if type -P terraform >/dev/null; then
    note terraform "already there"
  else
    lacks terraform "needs Terraform 1.9 or newer on the PATH"
  fi
}

for part in act aws engine mise openapi registry sigstore trivy; do
  # shellcheck source=/dev/null
  source "scripts/parts/$part.sh"
done

go_tool crane github.com/google/go-containerregistry/cmd/crane "$crane_version"
go_tool actionlint github.com/rhysd/actionlint/cmd/actionlint "$actionlint_version"
docker_registry
skopeo
emulator
openapi_parts
registry_parts
act_parts
aws_parts
mise_parts
terraform
engine_parts
trivy_parts
sigstore_parts

if ((${#missing[@]})); then
  note "" "not all parts are here: ${missing[*]}"
  exit 1
fi

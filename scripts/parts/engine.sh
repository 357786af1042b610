# shellcheck shell=bash
# A Docker Engine of the tests' own, and the stand-in for the gateway's program that runs in it.
# Read by scripts/real-parts.sh, which brings $real, note, lacks and apt_update.

engine_parts() {
  docker_engine
  gateway_standin
}

# Unpacked, not installed: the installed package would start a daemon of its own. The tests start theirs, as root, on a
# socket and with folders of their own.
docker_engine() {
  local unpacked="$real/docker-engine" program
  if [[ -x "$real/bin/dockerd" ]] && "$real/bin/dockerd" --version >"$real/log/docker-engine" 2>&1; then
    note docker-engine "already there"
    return
  fi
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    lacks docker-engine "needs Debian's apt-get and dpkg-deb"
    return
  fi
  apt_update
  rm -rf "$unpacked" && mkdir -p "$unpacked"
  if ! (cd "$unpacked" && apt-get download docker.io containerd runc && for program in ./*.deb; do
    dpkg-deb -x "$program" .
  done && rm -f ./*.deb) >"$real/log/docker-engine" 2>&1; then
    lacks docker-engine "apt-get download failed (run apt-get update as root first), see .cache/real/log/docker-engine"
    return
  fi
  for program in usr/sbin/dockerd usr/bin/containerd usr/bin/containerd-shim-runc-v2 usr/sbin/runc; do
    ln -sf "../docker-engine/$program" "$real/bin/${program##*/}"
  done
  if ldd "$unpacked/usr/sbin/dockerd" | grep -q 'not found' && [[ $(id -u) == 0 ]]; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends libdevmapper1.02.1 libsystemd0 \
      >>"$real/log/docker-engine" 2>&1 || true
  fi
  if "$real/bin/dockerd" --version >>"$real/log/docker-engine" 2>&1; then
    note docker-engine "unpacked"
  else
    lacks docker-engine "dockerd does not start, see .cache/real/log/docker-engine"
  fi
}

# Two versions of the stand-in, each for two platforms; Go builds again only what changed.
gateway_standin() {
  local version architecture
  if ! command -v go >/dev/null; then
    lacks standin "needs Go 1.21 or newer on the PATH"
    return
  fi
  for version in v1.3.1 v1.4.1; do
    for architecture in amd64 arm64; do
      if ! (cd tests/real/standin && CGO_ENABLED=0 GOOS=linux GOARCH="$architecture" go build -trimpath \
        -ldflags "-s -w -buildid= -X main.version=$version" \
        -o "$real/standin/$version/$architecture/agentgateway" .) >"$real/log/standin" 2>&1; then
        lacks standin "go build failed, see .cache/real/log/standin"
        return
      fi
    done
  done
  note standin "built"
}

# shellcheck shell=bash
# The AWS CLI, and a server that answers it as AWS does. Read by scripts/real-parts.sh, which brings $real, note and lacks.
readonly awscli_version=1.46.3 moto_version=5.2.5

# An environment of their own: what they need is not what the project locks.
aws_parts() {
  local place="$real/aws"
  local stamp="$place/.awscli-$awscli_version-moto-$moto_version"
  if [[ -x "$place/bin/aws" && -x "$place/bin/moto_server" && -e "$stamp" ]]; then
    note aws "$awscli_version with moto $moto_version, already there"
  elif rm -rf "$place" && {
    python -m venv "$place" \
      && "$place/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
        "awscli==$awscli_version" "moto[server]==$moto_version" \
      && "$place/bin/aws" --version && "$place/bin/moto_server" --help
  } >"$real/log/aws" 2>&1; then
    touch "$stamp"
    note aws "$awscli_version with moto $moto_version, installed"
  else
    lacks aws "pip install of awscli $awscli_version and moto[server] $moto_version failed, see .cache/real/log/aws"
  fi
}

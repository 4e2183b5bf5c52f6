#!/usr/bin/env bash
# Installs what some tests need beside Python, where it is missing: from Debian, as root. Without it they are skipped.
set -eu
missing=()
need() { command -v "$1" >/dev/null || [ -e "${3:-/nowhere}" ] || missing+=("$2"); }
need strace strace
need setpriv util-linux
need bwrap bubblewrap
need npm npm
need curl curl
need openssl openssl
need nginx nginx-light /usr/sbin/nginx
need node nodejs
need systemd-analyze systemd /lib/systemd/systemd
ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || missing+=(libfaketime)
if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
  missing+=(postgresql)
  mkdir -p /etc/postgresql-common  # the tests start servers of their own; Debian would start one, too
  echo "create_main_cluster = false" >>/etc/postgresql-common/createcluster.conf
fi
[ ${#missing[@]} -eq 0 ] && exit 0
apt-get update -qq
UCF_FORCE_CONFFOLD=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null

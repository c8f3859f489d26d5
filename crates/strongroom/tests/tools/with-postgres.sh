#!/usr/bin/env bash
# with-postgres.sh [--for-keys] FOLDER DATABASE COMMAND...: runs the command with `--database URL --password-file FILE`
# behind it, or `--key-database URL --key-password-file FILE`. The server is a private one on a port of its own; its data
# stay in FOLDER, and DATABASE is made where it is not there.
set -euo pipefail

kind=
if [[ $1 == --for-keys ]]; then
  kind=key-
  shift
fi
folder=$1 database=$2
shift 2
programs=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1)
[[ -n "$programs" ]] || { echo "there is no PostgreSQL: \`apt-get install postgresql\`" >&2; exit 1; }
programs=$(dirname "$programs")

# The server refuses to run as root, and its owner has to get through to the folder.
as_owner() {
  if [[ $(id -u) -eq 0 ]]; then
    (cd / && setpriv --reuid postgres --regid postgres --init-groups -- "$@")
  else
    "$@"
  fi
}

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
if [[ ! -e "$folder/data" ]]; then
  rm -rf "$folder/making"
  mkdir "$folder/making"
  (umask 077 && head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$folder/password")
  install -m 600 "$folder/password" "$folder/making.password"
  [[ $(id -u) -ne 0 ]] || chown postgres "$folder" "$folder/making" "$folder/making.password"
  as_owner "$programs/initdb" -D "$folder/making" -U postgres -E UTF8 --locale=C -A scram-sha-256 \
    --pwfile="$folder/making.password" >/dev/null
  rm "$folder/making.password"
  mv "$folder/making" "$folder/data"
fi
stop() { as_owner "$programs/pg_ctl" -D "$folder/data" -m fast -w stop >/dev/null 2>&1 || true; }
# One that was left behind by a run that was killed goes first.
stop
trap stop EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
as_owner "$programs/pg_ctl" -D "$folder/data" -l "$folder/log" -w -t 600 start \
  -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=" >/dev/null
PGPASSWORD=$(cat "$folder/password")
export PGPASSWORD
ask() { psql -h 127.0.0.1 -p "$port" -U postgres -Atqc "$1"; }
[[ -n $(ask "SELECT 1 FROM pg_database WHERE datname = '$database'") ]] || ask "CREATE DATABASE $database"
unset PGPASSWORD
"$@" "--${kind}database" "postgres://postgres@127.0.0.1:$port/$database" "--${kind}password-file" "$folder/password"

#!/bin/bash
# Makes the data directory when there is none, then becomes the server.
# As in the official image: POSTGRES_USER, POSTGRES_PASSWORD(_FILE), POSTGRES_DB, POSTGRES_INITDB_ARGS, /docker-entrypoint-initdb.d
set -euo pipefail

case "${1:-postgres}" in
  -*) set -- postgres "$@" ;;
esac
if [ "$1" != postgres ]; then exec "$@"; fi

if [ "$(id -u)" = 0 ]; then
  chown -R postgres:postgres "$PGDATA" /var/run/postgresql
  chmod 0700 "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
password=${POSTGRES_PASSWORD:-}
if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then password=$(< "$POSTGRES_PASSWORD_FILE"); fi

initialise() {
  if [ -z "$password" ]; then
    echo "POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE has to be set" >&2
    exit 1
  fi
  # shellcheck disable=SC2086 - the arguments are several words on purpose
  initdb --username="$user" --pwfile=<(printf '%s\n' "$password") ${POSTGRES_INITDB_ARGS:-}
  printf '\nhost all all all scram-sha-256\n' >> "$PGDATA/pg_hba.conf"
  printf "\nlisten_addresses = '*'\n" >> "$PGDATA/postgresql.conf"

  # Only on its unix socket, so that nobody takes it for the real one.
  pg_ctl --wait --options="-c listen_addresses='' -p 5432" start
  export PGPASSWORD=$password PGPORT=5432
  if [ "$database" != postgres ]; then createdb --username="$user" "$database"; fi
  for script in /docker-entrypoint-initdb.d/*.sh; do
    # shellcheck source=/dev/null
    if [ -f "$script" ]; then . "$script"; fi
  done
  for script in /docker-entrypoint-initdb.d/*.sql; do
    if [ -f "$script" ]; then
      psql --no-psqlrc --username="$user" --dbname="$database" --set=ON_ERROR_STOP=1 --file="$script"
    fi
  done
  unset PGPASSWORD PGPORT
  pg_ctl --wait --mode=fast stop
}

if [ ! -s "$PGDATA/PG_VERSION" ]; then initialise; fi
exec "$@"

#!/bin/bash
# Puts CASSANDRA_<SETTING> into cassandra.yaml (the same ones as the official image), then becomes the server as its own account.
set -euo pipefail

case "${1:-cassandra}" in
  -*) set -- cassandra "$@" ;;
esac
if [ "$1" != cassandra ]; then exec "$@"; fi

if [ "$(id -u)" = 0 ]; then
  chown -R cassandra:cassandra /etc/cassandra /var/lib/cassandra
  exec setpriv --reuid=cassandra --regid=cassandra --clear-groups "$0" "$@"
fi

file=/etc/cassandra/cassandra.yaml
address=$(hostname -i | cut -d' ' -f1)
CASSANDRA_LISTEN_ADDRESS=${CASSANDRA_LISTEN_ADDRESS:-$address}
CASSANDRA_BROADCAST_ADDRESS=${CASSANDRA_BROADCAST_ADDRESS:-$CASSANDRA_LISTEN_ADDRESS}
CASSANDRA_RPC_ADDRESS=${CASSANDRA_RPC_ADDRESS:-0.0.0.0}
CASSANDRA_BROADCAST_RPC_ADDRESS=${CASSANDRA_BROADCAST_RPC_ADDRESS:-$CASSANDRA_BROADCAST_ADDRESS}

change() { # change SETTING VALUE: also where it is commented out
  sed -i -E "s|^(# *)?($1):.*|\2: $2|" "$file"
}
sed -i -E "s|(- seeds:).*|\1 \"${CASSANDRA_SEEDS:-$CASSANDRA_BROADCAST_ADDRESS}\"|" "$file"
for setting in broadcast_address broadcast_rpc_address cluster_name endpoint_snitch listen_address num_tokens rpc_address; do
  variable=CASSANDRA_${setting^^}
  if [ -n "${!variable:-}" ]; then change "$setting" "${!variable}"; fi
done
exec "$@"

#!/bin/sh
# Becomes the server as its own account; options, or a configuration file, alone are meant for the server.
set -e

case "${1:-}" in
  -* | *.conf) set -- valkey-server "$@" ;;
esac
if [ "$1" = valkey-server ] && [ "$(id -u)" = 0 ]; then
  exec setpriv --reuid=valkey --regid=valkey --init-groups "$@"
fi
exec "$@"

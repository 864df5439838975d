#!/bin/sh
# Becomes the server as its own account; options, or a configuration file, alone are meant for the server.
set -e

case "${1:-}" in
  -* | *.conf) set -- valkey-server "$@" ;;
esac
# As in the official image: whoever publishes no port needs no protection from other containers. A file or an option decides otherwise.
if [ "$1" = valkey-server ]; then
  case "$*" in
    *.conf* | *--protected-mode*) ;;
    *) set -- "$@" --protected-mode no ;;
  esac
fi
if [ "$1" = valkey-server ] && [ "$(id -u)" = 0 ]; then
  exec setpriv --reuid=valkey --regid=valkey --init-groups "$@"
fi
exec "$@"

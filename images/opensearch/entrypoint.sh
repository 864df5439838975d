#!/bin/bash
# Every variable whose name has a dot is a setting of the node.
set -euo pipefail

case "${1:-opensearch}" in
  -*) set -- opensearch "$@" ;;
esac
if [ "$1" != opensearch ]; then exec "$@"; fi

settings=()
while IFS='=' read -r -d '' name value; do
  case "$name" in
    plugins.security.*) ;; # of a plug-in that is not here: the node would refuse it
    [a-z]*.*) settings+=("-E$name=$value") ;;
  esac
done < /proc/self/environ
exec "$@" "${settings[@]}"

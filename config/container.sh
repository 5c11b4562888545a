#!/bin/sh
# What the container runs: fetch the models that this deployment needs, then be the host.
set -eu
for model in ${JOTA_MODELS:-}; do
	jota models pull "$model" || echo "Jota starts without $model; what needs it waits." >&2
done
exec jota run -c "$JOTA_CONFIG" "$@"

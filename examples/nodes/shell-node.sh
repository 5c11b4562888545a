#!/usr/bin/env bash
# A node in a shell: ./shell-node.sh kitchen "What is the boiler code?"
# Needs mosquitto-clients. BROKER, PORT, MQTT_USER and MQTT_PASSWORD say where the broker is.
set -euo pipefail

id=${1:?the id of the node, a-z, 0-9 and -} text=${2:?what to ask}
root="jota/v1/nodes/$id"
args=(-h "${BROKER:-127.0.0.1}" -p "${PORT:-1883}")
[[ -n ${MQTT_USER:-} ]] && args+=(-u "$MQTT_USER" -P "${MQTT_PASSWORD:-}")

# The answer is waited for before the question is asked, so that it cannot be missed.
exec 3< <(mosquitto_sub "${args[@]}" -q 1 -C 1 -W "${WAIT_S:-60}" -t "$root/res/final" -t "$root/res/error")
sleep 0.5
mosquitto_pub "${args[@]}" -q 1 -t "$root/req/text" -m "$text"
cat <&3

#!/bin/sh
# rabbitmq-vendors.sh FILE: makes RabbitMQ know the vendors' logins and rights that `cityhub vendor` has written to FILE, the
# [mqtt] vendor_definitions_file; [mqtt] vendor_reload_command calls it. Whoever has lost or changed something since the last
# time is disconnected, as RabbitMQ asks for rights when a client comes. Run it as root, or as user rabbitmq.
#     RABBITMQCTL  the program (rabbitmqctl)
set -eu
export LC_ALL=C
file=$1
last=$1.known
ctl=${RABBITMQCTL:-rabbitmqctl}

"$ctl" -q import_definitions "$file"
touch "$last"
# Each entry is a line; all but the first of a list begin with a comma.
entries() {
    sed -n 's/^,\{0,1\}\({.*}\)$/\1/p' "$1" | sort
}
(umask 077 && entries "$file" >"$last.new")
# As a list of Erlang's: <<"acme">>,<<"beta">>. Names of vendors have no sign with a meaning there.
changed=$(comm -3 "$last" "$last.new" | sed -n 's/^\t\{0,1\}{"\(name\|user\)":"\([a-z0-9_-]*\)".*/<<"\2">>/p' | sort -u | paste -sd ,)
if [ -n "$changed" ]; then
    # close_all_user_connections of RabbitMQ 3.10 does not find those of MQTT.
    "$ctl" -q eval "[rabbit_mqtt_reader:close_connection(Client, \"its rights have changed\") ||
                        {_, Client} <- rabbit_mqtt_collector:list(),
                        [{user, User}] <- [(catch rabbit_mqtt_reader:info(Client, [user]))],
                        lists:member(User, [$changed])]." >/dev/null
fi
mv "$last.new" "$last"

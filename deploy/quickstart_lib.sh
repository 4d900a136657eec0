# shellcheck shell=bash
# quickstart_lib.sh: processes, ports and folders of deploy/quickstart.sh, which sources it. Knows nothing of what it starts.
# Whatever runs is known by process id and start time, so that never another process is stopped in its place.

var=${var:?the folder that everything is kept in}
action=run # what is asked for: run, bench, status, stop or clean
postgres_port=
broker_port=
http_port=
gateway_port=
hj212_port=
jt808_port=
# In the order in which they start; they stop in the opposite one.
services=(postgres mosquitto serve gateway simulate)
follower=

say() {
    printf '==> %s\n' "$*"
}

fail() {
    printf 'quickstart: %s\n' "$*" >&2
    exit 1
}

# fail_log MESSAGE LOG: with the log's end, which mostly says it.
fail_log() {
    {
        printf 'quickstart: %s; the end of %s:\n' "$1" "$2"
        tail -n 15 "$2" | sed 's/^/    /'
    } >&2
    exit 1
}

# Shows lines in place on a terminal; elsewhere the last one.
progress() {
    local line last=
    while IFS= read -r line; do
        last=$line
        [ -t 1 ] && printf '\r\033[K%.100s' "$line"
    done
    if [ -t 1 ]; then printf '\r\033[K'; else printf '%s\n' "$last"; fi
}

# A sleep that a signal ends at once.
pause() {
    sleep "$1" 9>&- &
    wait $!
}

# ---- places and users ----

# PostgreSQL does not run as root: as root, servers run as the users that Debian's packages have made.
set_places() {
    server_user=
    broker_user=
    if [ "$(id -u)" -eq 0 ]; then
        server_user=postgres
        broker_user=mosquitto
    fi
    run=$var/run
    logs=$var/log
    mkdir -p "$var" "$run" "$logs" || fail "$var cannot be made"
    chmod 755 "$var" "$run" "$logs"
    data=$var/data
    if [ -e "$var/data_folder" ]; then
        data=$(cat "$var/data_folder")
    fi
    set_data_paths
}

set_data_paths() {
    secrets=$data/secrets
    config=$data/cityhub.ini
    # shellcheck disable=SC2034 # quickstart.sh writes and reads it
    gateway_config=$data/gateway.ini
    program=$data/cityhub
    socket=$data/socket
    # A socket's name has at most 107 bytes (unix(7)), with PostgreSQL's own "/.s.PGSQL.65535.lock".
    if [ ${#socket} -gt 85 ] || [ -e "$var/socket_folder" ]; then
        [ -e "$var/socket_folder" ] && socket=$(cat "$var/socket_folder")
        if [ ${#socket} -gt 85 ]; then
            socket=/tmp/cityhub-$(id -u)-$(printf %s "$var" | cksum | cut -d ' ' -f 1)
        fi
    fi
}

# The servers' user must get to its files: not below /root or another closed folder. Then they go to /var/lib.
make_places() {
    if [ -n "$server_user" ] && [ ! -e "$data" ]; then
        if ! as_user "$server_user" test -x "$var"; then
            data=/var/lib/cityhub-quickstart-$(printf %s "$var" | cksum | cut -d ' ' -f 1)
            say "user $server_user cannot get to $var: the data goes to $data"
            printf '%s\n' "$data" >"$var/data_folder"
        fi
        set_data_paths
    fi
    mkdir -p "$data" "$data/postgres" "$data/mosquitto" "$data/secrets" || fail "$data cannot be made"
    chmod 755 "$data"
    chmod 700 "$data/postgres" "$data/mosquitto" "$data/secrets"
    give "$data/postgres" "$server_user"
    give "$data/mosquitto" "$broker_user"
    give "$data/secrets" "$server_user"
    make_socket_folder
}

# In /tmp anybody could have made it before us: it must be ours and nobody else's.
make_socket_folder() {
    if [ ! -d "$socket" ]; then
        mkdir -m 700 "$socket" || fail "$socket cannot be made"
        give "$socket" "$server_user"
    fi
    local owner=${server_user:-$(id -un)}
    [ ! -L "$socket" ] && [ "$(stat -c '%U %a' "$socket")" = "$owner 700" ] ||
        fail "$socket must be a folder of user $owner with mode 700: who made it?"
    case $socket in /tmp/*) printf '%s\n' "$socket" >"$var/socket_folder" ;; esac
}

give() {
    [ -z "$2" ] || chown "$2:" "$1"
}

# as_user USER COMMAND...: as that user if we are root, else as ourselves.
as_user() {
    local user=$1
    shift
    if [ -n "$user" ]; then
        setpriv --reuid "$user" --regid "$user" --init-groups --inh-caps=-all env -C / HOME=/ "$@"
    else
        "$@"
    fi
}

# How a person would do the same.
as_text() {
    [ -z "$1" ] || printf 'runuser -u %s -- ' "$1"
}

hub() {
    "$program" --config "$config" "$@" 9>&-
}

# new_secret NAME OWNER: a password file, if it is not there yet.
new_secret() {
    local file=$secrets/$1.password
    if [ ! -s "$file" ]; then
        (umask 077 && head -c 24 /dev/urandom | base64 | tr '+/' '-_' >"$file") || fail "$file cannot be written"
        give "$file" "$2"
    fi
}

check_room() {
    make_places
    local free_kb
    free_kb=$(df -P -k "$data" | awk 'NR == 2 { print $4 }')
    [ "$free_kb" -ge 1048576 ] || fail "$data has only $((free_kb / 1024)) MiB of free disk; 1024 MiB are needed"
}

# ---- ports ----

# Somebody listens on this port (state 0A in /proc/net/tcp), or a connection goes out by it (01, 02), on whatever address: neither
# leaves it free. Connections that end (TIME_WAIT and the like) do.
port_taken() {
    local hex
    hex=$(printf '%04X' "$1")
    awk -v port=":$hex" '$4 ~ /^0[12A]$/ && substr($2, length($2) - 4) == port { found = 1 } END { exit !found }' \
        /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

port_answers() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

chosen_ports=

# choose_port VARIABLE DEFAULT WHAT: the remembered or the usual port, or the next one that nobody listens on and nothing here was given.
choose_port() {
    local name=$1 port=$2 what=$3 remembered
    remembered=$(sed -n "s/^$name=\([0-9]\{1,5\}\)$/\1/p" "$var/ports" 2>/dev/null)
    [ -n "$remembered" ] && port=$remembered
    local wanted=$port
    while port_taken "$port" || [[ $chosen_ports == *" $port "* ]]; do
        port=$((port + 1))
        [ "$port" -lt "$((wanted + 200))" ] || fail "no free port for $what from $wanted to $port"
    done
    [ "$port" -eq "$wanted" ] || say "port $wanted is taken: $what uses $port"
    printf -v "$name" %s "$port"
    chosen_ports+=" $port "
}

choose_ports() {
    choose_port postgres_port 54330 PostgreSQL
    choose_port broker_port 18830 mosquitto
    choose_port http_port 8080 "the hub"
    choose_port gateway_port 8090 "the gateway"
    choose_port hj212_port 9001 "the gateway's HJ 212"
    choose_port jt808_port 9002 "the gateway's JT/T 808"
    printf '%s\n' "postgres_port=$postgres_port" "broker_port=$broker_port" "http_port=$http_port" "gateway_port=$gateway_port" \
        "hj212_port=$hj212_port" "jt808_port=$jt808_port" >"$var/ports"
}

# ---- processes ----

# Field 22 of /proc/PID/stat: when it started. The name in field 2 may hold blanks.
start_time() {
    sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
}

# start NAME USER LOG COMMAND...: in a session of its own, so that the terminal's Ctrl-C reaches this script alone.
start() {
    local name=$1 user=$2 log=$3 pid
    shift 3
    [ -n "$user" ] && set -- setpriv --reuid "$user" --regid "$user" --init-groups --inh-caps=-all env -C / HOME=/ "$@"
    setsid "$@" >"$log" 2>&1 </dev/null 9>&- &
    pid=$!
    printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$run/$name.pid"
}

# Not one that has ended and was not waited for.
running() {
    [ -e "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

alive() {
    local pid started
    read -r pid started 2>/dev/null <"$run/$1.pid" || return 1
    [ -n "$started" ] && [ "$(start_time "$pid")" = "$started" ] && running "$pid"
}

# await NAME SECONDS WHAT LOG COMMAND...: until the command succeeds; fails if the process ends before.
await() {
    local name=$1 until=$((SECONDS + $2)) what=$3 log=$4
    shift 4
    until "$@" >/dev/null 2>&1; do
        alive "$name" || fail_log "$name has ended instead of starting" "$log"
        [ "$SECONDS" -lt "$until" ] || fail_log "waited in vain until $what" "$log"
        pause 0.2
    done
}

# stop_one NAME SIGNAL SECONDS: what does not end in time is killed.
stop_one() {
    local name=$1 signal=$2 until=$((SECONDS + $3)) pid
    if alive "$name"; then
        read -r pid _ <"$run/$name.pid"
        kill "-$signal" "$pid" 2>/dev/null
        while alive "$name" && [ "$SECONDS" -lt "$until" ]; do
            sleep 0.1
        done
        if alive "$name"; then
            echo "quickstart: $name does not end and is killed (log: $logs/$name.log)" >&2
            kill -KILL "$pid" 2>/dev/null
        fi
    fi
    rm -f "$run/$name.pid"
}

# Vendors and devices first, so that the hub can store what it has; the broker saves the rest; the database last. INT is PostgreSQL's
# fast shutdown.
stop_services() {
    stop_one simulate TERM 15
    stop_one gateway TERM 20
    stop_one serve TERM 30
    stop_one mosquitto TERM 20
    stop_one postgres INT 60
}

# Not `wait`: a Ctrl-C that comes just when the shell has heard of a child's end makes it forget that, and wait for ever.
stop_follower() {
    local until=$((SECONDS + 5))
    kill "$follower" 2>/dev/null
    while running "$follower" && [ "$SECONDS" -lt "$until" ]; do
        sleep 0.1
    done
}

stop_everything() {
    local status=$?
    trap '' INT TERM HUP
    trap - EXIT
    [ -z "$follower" ] || stop_follower
    if any_alive; then
        printf '\n'
        say "stopping"
    fi
    stop_services
    [ "$action" != bench ] || remove_data
    exit "$status"
}

# Only what this script makes.
remove_data() {
    rm -rf "$data" "$socket" "$run" "$logs" "${var:?}/bulletin" "${var:?}/bin"
    rm -f "$var/environment" "$var/demo.password" "$var/admin.password" "$var/ports" "$var/data_folder" "$var/socket_folder" "$var/lock"
    rmdir "$var" 2>/dev/null
}

any_alive() {
    local name
    for name in "${services[@]}"; do
        alive "$name" && return 0
    done
    return 1
}

# A start that was killed has left them behind.
stop_leftovers() {
    if any_alive; then
        say "stopping what an earlier start has left behind"
    fi
    stop_services
}

# ---- one at a time ----

take_lock() {
    exec 9>>"$var/lock"
    if ! flock -n 9; then
        fail "it runs already (process $(cat "$run/quickstart.pid" 2>/dev/null)): --status shows it, --stop stops it"
    fi
    printf '%s\n' "$$" >"$run/quickstart.pid"
}

show_status() {
    any_alive || fail "nothing runs here ($var)"
    hub status
}

# Whoever holds the lock is asked to stop; what a killed one left is stopped here.
stop_other() {
    exec 9>>"$var/lock"
    if ! flock -n 9; then
        say "asking process $(cat "$run/quickstart.pid") to stop"
        kill -TERM "$(cat "$run/quickstart.pid")" 2>/dev/null
        flock -w 150 9 || fail "it does not stop"
        return
    fi
    any_alive || say "nothing runs here"
    stop_services
}

# clean YES: asks first, unless YES is true.
clean() {
    local answer=
    if [ "$1" != true ]; then
        printf 'Stop what runs and delete all data in %s%s? [y/N] ' "$var" "$([ "$data" = "$var/data" ] || printf ' and %s' "$data")"
        read -r answer
        case $answer in y | Y | yes) ;; *) fail "nothing is stopped, nothing is deleted" ;; esac
    fi
    stop_other
    remove_data
    say "deleted"
}

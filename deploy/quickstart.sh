#!/usr/bin/env bash
# quickstart.sh: cityhub at work on one machine, in one command: a private PostgreSQL and a private mosquitto under var/, the
# hub, a gateway, a synthetic county whose vendors and devices send to them, and a month of its cases with the ranking that came of them.
#     deploy/quickstart.sh               start everything and show the live status; Ctrl-C stops what it started
#     deploy/quickstart.sh --seconds N   the same without a person: ends after N seconds with exit code 0 if records of all
#                                        subsystems were stored, else 1
#     deploy/quickstart.sh --no-cases    without the month of cases (also with --seconds)
#     deploy/quickstart.sh --bench       what this machine carries: `cityhub bench` on a database, broker and hub of its own,
#                                        which are deleted afterwards (with --seconds N: batches and singles so long)
#     deploy/quickstart.sh --status      the status of what runs
#     deploy/quickstart.sh --stop        stop what runs
#     deploy/quickstart.sh --clean       stop it and delete its data (asks first; --clean --yes does not)
# For a fresh Debian 12, as root or as somebody who may use sudo (for missing packages only). Starting again goes on with the
# data. Never touches a database or broker that is there already. Environment:
#     CITYHUB_VAR    where everything is kept (var/ beside this folder)
#     CITYHUB_BUILD  a finished build to use instead of making build/release
#     CITYHUB_SPEED  how many times as often as usual the county's devices report (1)
set -u
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
var=${CITYHUB_VAR:-$root/var}
# shellcheck source=deploy/packages.sh
. "$root/deploy/packages.sh"
# shellcheck source=deploy/quickstart_lib.sh
. "$root/deploy/quickstart_lib.sh"

usage() {
    sed -n '4,12p' "$root/deploy/quickstart.sh" | sed 's/^# \{0,5\}//'
}

# ---- the steps of a start ----

build_program() {
    if [ -n "${CITYHUB_BUILD:-}" ]; then
        build=$CITYHUB_BUILD
        program=$build/cityhub
        [ -x "$program" ] && [ -e "$build/cityhub_guard.so" ] || fail "CITYHUB_BUILD=$build has no program cityhub, or no cityhub_guard.so"
        return
    fi
    local log=$logs/build.log
    build=$root/build/release
    program=$build/cityhub
    say "building (log: $log)"
    local options=(-G Ninja -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release -DCITYHUB_TESTS=OFF)
    if command -v ccache >/dev/null; then
        options+=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
    fi
    cmake "${options[@]}" >"$log" 2>&1 || fail_log "cmake cannot configure the build" "$log"
    # Its output goes to the log; the last line of progress to the terminal.
    NINJA_STATUS='[%f/%t] ' ninja -C "$build" cityhub cityhub_guard 2>&1 | tee -a "$log" | progress
    [ "${PIPESTATUS[0]}" -eq 0 ] || fail_log "the build failed" "$log"
    # npm's registry may be out of reach where Debian's mirror is not: the rest works without the page.
    say "building the page"
    ninja -C "$build" web >>"$log" 2>&1 || say "the page cannot be built, going on without it (log: $log)"
}

start_postgres() {
    local folder=$data/postgres log=$logs/postgres.log bin=/usr/lib/postgresql/15/bin
    [ -x "$bin/postgres" ] || fail "PostgreSQL 15 is not installed ($bin/postgres is missing)"
    if [ ! -s "$folder/PG_VERSION" ]; then
        say "making a PostgreSQL 15 cluster in $folder"
        find "$folder" -mindepth 1 -delete # what an initdb that was stopped has left
        as_user "$server_user" "$bin/initdb" -D "$folder" -U postgres -E UTF8 --locale=C.UTF-8 \
            --auth-local=trust --auth-host=scram-sha-256 >"$logs/initdb.log" 2>&1 ||
            fail_log "initdb failed" "$logs/initdb.log"
    fi
    # Local connections need no password, but only the cluster's own user can open the socket's folder.
    cat >"$folder/quickstart.conf" <<END
listen_addresses = '127.0.0.1'
port = $postgres_port
unix_socket_directories = '$socket'
unix_socket_permissions = 0700
max_connections = 60
max_locks_per_transaction = 512
shared_buffers = 128MB
max_wal_size = 2GB
wal_compression = on
jit = off
timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
END
    give "$folder/quickstart.conf" "$server_user"
    grep -q "^include 'quickstart.conf'" "$folder/postgresql.conf" || echo "include 'quickstart.conf'" >>"$folder/postgresql.conf"
    say "starting PostgreSQL on port $postgres_port"
    start postgres "$server_user" "$log" "$bin/postgres" -D "$folder"
    await postgres 60 "PostgreSQL answers" "$log" \
        pg_isready -q -h "$socket" -p "$postgres_port" -U postgres -d postgres
}

sql() {
    psql -X -q -A -t -v ON_ERROR_STOP=1 -h "$socket" -p "$postgres_port" -U postgres -d "${database:-cityhub}" "$@"
}

# The roles of a real installation: an owner for the schema, a login for the hub that has the hub's rights and no others.
make_database() {
    local log=$logs/migrate.log database=postgres
    if [ "$(sql -c "SELECT count(*) FROM pg_database WHERE datname = 'cityhub'")" != 1 ]; then
        say "making the database"
        # CREATE DATABASE cannot be within a transaction, hence several -c.
        sql -c "DO \$\$ BEGIN
                    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cityhub_owner') THEN
                        CREATE ROLE cityhub_owner LOGIN CREATEROLE;
                    END IF;
                END \$\$" \
            -c "CREATE DATABASE cityhub OWNER cityhub_owner" >"$log" 2>&1 || fail_log "the database cannot be made" "$log"
    fi
    database=cityhub
    sql -c "SET client_min_messages = warning" -c "CREATE EXTENSION IF NOT EXISTS postgis SCHEMA public" >"$log" 2>&1 || fail_log "PostGIS cannot be installed" "$log"
    say "migrating the database"
    hub migrate --simulation >>"$log" 2>&1 || fail_log "the migration failed" "$log"
    # The simulated month of cases is history.
    sql -c "GRANT cityhub_history TO cityhub_owner" >>"$log" 2>&1 || fail_log "the owner may not load history" "$log"
    sql -c "DO \$\$ BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cityhub_daemon') THEN
                    CREATE ROLE cityhub_daemon LOGIN IN ROLE cityhub_hub;
                END IF;
            END \$\$" >>"$log" 2>&1 || fail_log "the hub's login cannot be made" "$log"
    import_once onemap.department "$root/config/departments.csv" "$log" departments import
    import_once onemap.case_category "$root/config/case_catalogue.csv" "$log" import
    [ "$action" != bench ] || return 0
    hub simulate --prepare >>"$log" 2>&1 || fail_log "the synthetic county cannot be set up" "$log"
}

# import_once TABLE FILE LOG ACTION...: the file as shipped, unless something is there already.
import_once() {
    local table=$1 file=$2 log=$3
    shift 3
    if [ "$(sql -c "SELECT count(*) FROM $table")" = 0 ]; then
        hub catalogue "$@" "$file" >>"$log" 2>&1 || fail_log "$file cannot be imported" "$log"
    fi
}

# own_login NAME: a login of the product itself at the broker, which does not run yet.
own_login() {
    local file=$data/mosquitto/passwords
    new_secret "$1" "$server_user"
    grep -q "^$1:" "$file" 2>/dev/null && return
    (umask 077 && printf '%s:%s\n' "$1" "$(cat "$secrets/$1.password")" >"$file.new") &&
        mosquitto_passwd -U "$file.new" >"$logs/mosquitto.log" 2>&1 && (umask 077 && cat "$file.new" >>"$file") && rm "$file.new" ||
        fail_log "the broker's password file cannot be made" "$logs/mosquitto.log"
}

start_broker() {
    local folder=$data/mosquitto log=$logs/mosquitto.log program
    program=$(PATH=$PATH:/usr/sbin command -v mosquitto) || fail "mosquitto is not installed"
    own_login hub
    own_login gateway
    # One of an earlier build may not know gateways: make_logins writes the vendors' part anew.
    grep -q '^user gateway$' "$folder/acl" 2>/dev/null || cp "$root/deploy/mosquitto.acl" "$folder/acl"
    install_copy "$build/cityhub_guard.so" "$folder/cityhub_guard.so"
    cat >"$folder/mosquitto.conf" <<END
listener $broker_port 127.0.0.1
set_tcp_nodelay true
allow_anonymous false
password_file $folder/passwords
acl_file $folder/acl
plugin $folder/cityhub_guard.so
plugin_opt_trusted hub gateway
auto_id_prefix auto-
persistence true
persistence_location $folder/
autosave_interval 600
max_inflight_messages 20000
max_queued_messages 2147483647
max_queued_bytes 0
max_packet_size 8388608
persistent_client_expiration 14d
log_dest stderr
log_type error
log_type warning
log_type notice
log_timestamp_format %Y-%m-%dT%H:%M:%S
END
    # One vendor alone says what the machine carries: no bound of a login's is in its way.
    [ "$action" != bench ] || printf 'plugin_opt_%s 1000000000000\n' messages_per_s bytes_per_s >>"$folder/mosquitto.conf"
    chmod 600 "$folder/passwords" "$folder/acl"
    give "$folder/passwords" "$broker_user"
    give "$folder/acl" "$broker_user"
    give "$folder/mosquitto.conf" "$broker_user"
    say "starting mosquitto on port $broker_port"
    start mosquitto "$broker_user" "$log" env "$(sed -n 's/^Environment=//p' "$root/deploy/mosquitto.service.conf")" \
        "$program" -c "$folder/mosquitto.conf"
    await mosquitto 20 "mosquitto answers" "$log" port_answers "$broker_port"
}

# `sim` plays a vendor of every subsystem; `demo` is a login of dust for whoever wants to try.
make_logins() {
    local vendor
    for vendor in sim demo; do
        new_secret "$vendor" "$server_user"
        if ! grep -q "^$vendor:" "$data/mosquitto/passwords"; then
            hub vendor add --subsystem dust --vendor "$vendor" --password-file "$secrets/$vendor.password" \
                >>"$logs/migrate.log" 2>&1 || fail_log "the login $vendor cannot be made" "$logs/migrate.log"
        fi
    done
    hub vendor sync >>"$logs/migrate.log" 2>&1 || fail_log "the broker's files cannot be written" "$logs/migrate.log"
}

# Who looks at the map over HTTP. The password is shown once, when it is made.
make_admin() {
    [ "$(sql -c "SELECT count(*) FROM onemap.account WHERE login = 'admin'")" = 0 ] || return 0
    new_secret admin "$server_user"
    hub user add admin --name 管理员 --posts admin --password-file "$secrets/admin.password" \
        >>"$logs/migrate.log" 2>&1 || fail_log "the login admin cannot be made" "$logs/migrate.log"
    say "login admin over HTTP: password $(cat "$secrets/admin.password") (kept in $var/admin.password)"
}

write_config() {
    cat >"$config" <<END
; Written by deploy/quickstart.sh at every start.
[hub]
instance = quickstart
data_dir = $root
[database]
conninfo = host=$socket port=$postgres_port user=cityhub_daemon dbname=cityhub
migrate_conninfo = host=$socket port=$postgres_port user=cityhub_owner dbname=cityhub
[mqtt]
host = 127.0.0.1
port = $broker_port
username = hub
password_file = $secrets/hub.password
vendor_password_file = $data/mosquitto/passwords
vendor_acl_file = $data/mosquitto/acl
vendor_reload_command = kill -HUP \$(cut -d ' ' -f 1 $run/mosquitto.pid)
[http]
listen = 127.0.0.1
port = $http_port
page = $data/web
attachments = $data/attachments
END
    give "$config" "$server_user"
    mkdir -p "$data/attachments" && give "$data/attachments" "$server_user"
}

write_gateway_config() {
    cat >"$gateway_config" <<END
; Written by deploy/quickstart.sh at every start.
[hub]
instance = quickstart-gateway
data_dir = $root
[mqtt]
host = 127.0.0.1
port = $broker_port
username = gateway
password_file = $secrets/gateway.password
[http]
listen = 127.0.0.1
port = $gateway_port
[gateway]
listen = 127.0.0.1
hj212_port = $hj212_port
jt808_port = $jt808_port
state_dir = $data/gateway
END
    give "$gateway_config" "$server_user"
    mkdir -p "$data/gateway" && give "$data/gateway" "$server_user"
}

# What a newcomer types beside it: `. var/environment` names the program, its configuration and the broker.
write_environment() {
    mkdir -p "$var/bin" && ln -sfn "$program" "$var/bin/cityhub" && ln -sfn "$secrets/demo.password" "$var/demo.password" &&
        ln -sfn "$secrets/admin.password" "$var/admin.password" ||
        fail "$var cannot be written"
    cat >"$var/environment" <<END
# Written by deploy/quickstart.sh at every start; to be sourced. What is set already stays.
export PATH="$var/bin:\$PATH" CITYHUB_CONFIG="\${CITYHUB_CONFIG:-$config}"
export CITYHUB_HOST="\${CITYHUB_HOST:-127.0.0.1}" CITYHUB_PORT="\${CITYHUB_PORT:-$broker_port}"
END
}

# install_copy FILE COPY: which the servers' users can read wherever the tree is, and which a new build does not change under them.
install_copy() {
    if ! cmp -s "$1" "$2"; then
        cp "$1" "$2.new" && chmod 755 "$2.new" && mv -f "$2.new" "$2" || fail "$2 cannot be written"
    fi
}

# Likewise for the page's files.
install_page() {
    [ -e "$root/web/dist/index.html" ] || return 0
    rm -rf "$data/web" && cp -r "$root/web/dist" "$data/web" && chmod -R a+rX "$data/web" || fail "$data/web cannot be written"
}

start_hub() {
    say "starting the hub on http://127.0.0.1:$http_port"
    start serve "$server_user" "$logs/serve.log" "$program" --config "$config" serve
    await serve 60 "the hub is ready" "$logs/serve.log" curl -sf -o /dev/null --max-time 5 "http://127.0.0.1:$http_port/readyz"
}

# Some of the county's devices speak HJ 212 and JT/T 808: the gateway knows them before they call.
start_gateway() {
    local log=$logs/gateway.log
    write_gateway_config
    hub simulate --list-terminals >"$run/terminals.csv" && hub terminal import "$run/terminals.csv" >>"$logs/migrate.log" 2>&1 ||
        fail_log "the terminals cannot be registered" "$logs/migrate.log"
    say "starting the gateway: HJ 212 on port $hj212_port, JT/T 808 on port $jt808_port, http://127.0.0.1:$gateway_port"
    start gateway "$server_user" "$log" "$program" --config "$gateway_config" gateway serve
    await gateway 60 "the gateway is ready" "$log" curl -sf -o /dev/null --max-time 5 "http://127.0.0.1:$gateway_port/readyz"
}

start_simulation() {
    say "starting the synthetic county (log: $logs/simulate.log)"
    start simulate "$server_user" "$logs/simulate.log" "$program" --config "$config" simulate \
        --password-file "$secrets/sim.password" --speed "${CITYHUB_SPEED:-1}" \
        --gateway-hj212 "127.0.0.1:$hj212_port" --gateway-jt808 "127.0.0.1:$jt808_port"
}

# Some of the cases are devices' alarms: their inventory comes first.
await_devices() {
    local until=$((SECONDS + 30))
    until [ "$(sql -c "SELECT count(*) FROM onemap.subsystem s WHERE NOT EXISTS (
                           SELECT FROM onemap.device d WHERE d.subsystem = s.key AND d.vendor = 'sim' AND d.status = 'active')")" = 0 ]; do
        [ "$SECONDS" -lt "$until" ] || return 0
        pause 0.3
    done
}

# The month that was published last, or else the one that was played; empty if there is none.
ranking_month() {
    sql -c "SELECT coalesce((SELECT pg_catalog.to_char(pg_catalog.max(p.month), 'YYYY-MM') FROM onemap.assessment_publication p),
        (SELECT pg_catalog.max(a.detail->>'month') FROM onemap.audit_log a WHERE a.action = 'simulate_cases'))"
}

# On the first start the last full month is played and published; later ones show what is stored.
show_ranking() {
    local log=$logs/cases.log
    month=$(ranking_month) || fail "the database does not answer"
    if [ -z "$month" ]; then
        [ "$with_cases" = true ] || return 0
        await_devices
        say "playing last month's cases (log: $log)"
        hub simulate --cases 2>&1 | tee "$log" | progress
        [ "${PIPESTATUS[0]}" -eq 0 ] || fail_log "the cases cannot be played" "$log"
        month=$(ranking_month) || fail "the database does not answer"
    fi
    local bulletin=$var/bulletin/$month-bulletin
    hub score publish --month "$month" --author 模拟发布人 --out "$var/bulletin" >>"$log" 2>&1 ||
        fail_log "month $month cannot be published" "$log"
    say "the ranking of $month (bulletin: $bulletin.html, $bulletin.xlsx)"
    hub score compute --month "$month" | sed -n '/^Assessment/,$p'
}

start_hub_and_all_it_needs() {
    install_packages build run || exit 1
    check_room
    build_program
    choose_ports
    install_copy "$program" "$data/cityhub"
    program=$data/cityhub
    install_page
    write_config
    write_environment
    start_postgres
    make_database
    start_broker
    make_logins
    make_admin
    sql -c "SELECT pg_catalog.clock_timestamp()" >"$run/started_at" || fail "the database does not answer"
    start_hub
}

start_all() {
    start_hub_and_all_it_needs
    start_gateway
    start_simulation
    show_ranking
}

# A place of its own beside that of the county, which may run meanwhile; stop_everything deletes it.
run_bench() {
    start_hub_and_all_it_needs
    [ "$seconds" -gt 0 ] || seconds=10
    say "measuring: about $((3 * seconds + 10)) seconds"
    hub bench --vendor demo --password-file "$secrets/demo.password" --seconds "$seconds"
}

# ---- while it runs ----

# Fails if something that was started has ended by itself.
check_all() {
    local name
    for name in "${services[@]}"; do
        alive "$name" || fail_log "$name has ended by itself" "$logs/$name.log"
    done
}

# How many subsystems have had records stored since this start, and how many there are.
subsystems_stored() {
    sql -v started="$(cat "$run/started_at")" <<'END'
SELECT count(*) FILTER (WHERE EXISTS (
           SELECT FROM onemap.device d JOIN onemap.observation o ON o.device_id = d.id
           WHERE d.subsystem = s.key AND d.vendor = 'sim' AND o.observed_at >= :'started' AND o.received_at >= :'started')),
       count(*) FROM onemap.subsystem s
END
}

# Of each protocol: how many terminals there are, and of how many something has been stored since this start.
show_gateway() {
    sql -F ' ' -v started="$(cat "$run/started_at")" <<'END' | sed 's/^/gateway: /'
SELECT t.protocol, count(*), 'terminals, records stored of', count(*) FILTER (WHERE EXISTS (
           SELECT FROM onemap.device d JOIN onemap.observation o ON o.device_id = d.id
           WHERE d.subsystem = t.subsystem AND d.vendor = t.vendor AND d.code = t.device_code AND o.received_at >= :'started'))
FROM onemap.terminal t WHERE t.vendor = 'sim' GROUP BY 1 ORDER BY 1
END
    hub terminal list --gateways
}

run_seconds() {
    local until=$((SECONDS + seconds)) counts stored all
    while [ "$SECONDS" -lt "$until" ]; do
        check_all
        pause 1
    done
    hub status || fail_log "the hub does not tell its status" "$logs/serve.log"
    counts=$(subsystems_stored) || fail "the database does not answer"
    IFS='|' read -r stored all <<<"$counts"
    show_gateway
    echo "records of $stored of $all subsystems were stored"
    [ "$stored" -eq "$all" ]
}

run_for_a_person() {
    cat <<END

cityhub is at work. Ctrl-C stops it; the data stays for the next start.
  PAGE     http://127.0.0.1:$http_port/   login admin, password in $var/admin.password (docs/page.md)
  status   http://127.0.0.1:$http_port/api/v1/status   metrics http://127.0.0.1:$http_port/metrics
  SQL      $(as_text "$server_user")psql -h $socket -p $postgres_port -U postgres cityhub     e.g. SELECT * FROM onemap.dust LIMIT 5;
  gateway  HJ 212 on port $hj212_port, JT/T 808 on port $jt808_port, pushes and metrics on http://127.0.0.1:$gateway_port
           $program --config $config terminal list     its terminals and when they were heard (docs/gateway.md)
  a vendor of your own (login demo, password in $secrets/demo.password):
           mosquitto_pub -V mqttv5 -q 1 -h 127.0.0.1 -p $broker_port -u demo -P "\$(cat $secrets/demo.password)" \\
               -t cityhub/v1/dust/demo/telemetry \\
               -m '{"device_code":"mine-1","observed_at_ms":'\$(date +%s%3N)',"pm25_ug_m3":35.2}'
  try it   . $var/environment     then: cityhub case list, and README.md, "A vendor in five minutes"
  why so   $program --config $config score explain --month ${month:-M} --department huanwei
  logs     $logs/

END
    "$program" --config "$config" status --follow 9>&- & # itself, not a shell that runs it and is all that would be stopped
    follower=$!
    while kill -0 "$follower" 2>/dev/null; do
        check_all
        pause 1
    done
    wait "$follower"
    follower=
    fail_log "the status has ended: the hub does not answer" "$logs/serve.log"
}

main() {
    local yes=false result=0
    seconds=0
    with_cases=true
    month=
    while [ $# -gt 0 ]; do
        case $1 in
        --seconds)
            seconds=${2:-}
            [[ $seconds =~ ^[1-9][0-9]{0,6}$ ]] || { echo "--seconds needs a number" >&2; exit 2; }
            shift
            ;;
        --stop | --status | --clean | --bench) action=${1#--} ;;
        --yes) yes=true ;;
        --no-cases) with_cases=false ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
        esac
        shift
    done
    [ "$action" != bench ] || var=$var-bench
    set_places
    case $action in
    status) show_status; exit ;;
    stop) stop_other; exit ;;
    clean) clean "$yes"; exit ;;
    esac
    take_lock
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    trap stop_everything EXIT
    stop_leftovers
    if [ "$action" = bench ]; then
        run_bench
        exit
    fi
    start_all
    if [ "$seconds" -gt 0 ]; then
        run_seconds || result=1
    else
        run_for_a_person
    fi
    exit "$result"
}

main "$@"

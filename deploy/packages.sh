# shellcheck shell=bash
# packages.sh: the Debian 12 packages that cityhub is built, run and tested with. Source it, then call
#     install_packages build|run|test|peers [...]
# Installs only what is missing (a second call takes well under a second), never starts a service and never makes
# Debian's own PostgreSQL cluster: the quickstart and the tests run servers of their own on ports of their own.

packages_build=(
    build-essential cmake ninja-build pkg-config ccache
    protobuf-compiler protobuf-c-compiler libprotobuf-c-dev
    libmosquitto-dev mosquitto-dev libpq-dev libuv1-dev libcjson-dev libmicrohttpd-dev libcurl4-openssl-dev
    libinih-dev libssl-dev libsodium-dev libxlsxwriter-dev zlib1g-dev libdeflate-dev uthash-dev
)
packages_run=(
    postgresql-15 postgresql-15-postgis-3 postgresql-client-15 mosquitto mosquitto-clients
    ca-certificates curl procps
    libvips-tools util-linux
)
packages_test=(
    libcmocka-dev openssl clang clang-format clang-tidy llvm libclang-rt-14-dev shellcheck pyflakes3 man-db mandoc
    postgresql-15-pgtap postgresql-15-plpgsql-check libtap-parser-sourcehandler-pgtap-perl
    python3-pytest python3-pytest-xdist python3-paho-mqtt python3-psycopg2 python3-protobuf python3-requests
    python3-jsonschema
    wrk gdal-bin rabbitmq-server chromium fonts-noto-cjk nginx-light libnginx-mod-stream
)
# What tests/bench measures the hub against; no test needs them.
packages_peers=(python3-paho-mqtt python3-psycopg2 cgi-mapserver spawn-fcgi nginx-light libnginx-mod-nchan)
# Whoever has Node.js from elsewhere keeps it: Debian's npm would not go with it.
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    packages_build+=(nodejs npm)
    packages_peers+=(nodejs npm)
fi

# Prints those of its arguments that are not installed, one a line.
packages_missing() {
    # dpkg-query names what it does not know on standard error and exits with 1: that is an answer here, not a fault.
    comm -23 <(printf '%s\n' "$@" | sort -u) \
        <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' | sort -u)
}

# Runs its arguments as root.
packages_as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

packages_apt() {
    packages_as_root env DEBIAN_FRONTEND=noninteractive apt-get -q \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "$@"
}

# The package's own cluster on port 5432 is not wanted: tell Debian before postgresql-15 comes. Whoever has set this
# already, or has PostgreSQL 15 already, keeps what there is.
packages_no_main_cluster() {
    local folder=/etc/postgresql-common/createcluster.d
    packages_apt install -y --no-install-recommends postgresql-common || return
    if pg_conftool /etc/postgresql-common/createcluster.conf show -bs create_main_cluster >/dev/null 2>&1; then
        return 0
    fi
    printf '%s\n' '# Written by cityhub: it runs a cluster of its own and needs none on port 5432.' \
        'create_main_cluster = false' |
        packages_as_root sh -c "mkdir -p $folder && cat >$folder/cityhub.conf"
}

# Debian starts a freshly installed broker (mosquitto, RabbitMQ and the epmd that it brings), and nginx. policy-rc.d is Debian's way to
# forbid it (invoke-rc.d(8)); it answers for these alone and asks whatever policy was there for all other services.
packages_policy_put() {
    # shellcheck disable=SC2016 # expanded by the shell that runs as root
    packages_as_root sh -c '
        policy=/usr/sbin/policy-rc.d
        if [ -e $policy ] && [ ! -e $policy.before-cityhub ]; then mv $policy $policy.before-cityhub; fi
        cat >$policy <<"END"
#!/bin/sh
# Written by cityhub for the time of one apt-get run.
[ "$1" = --quiet ] && shift
case ${1%.s*} in mosquitto | rabbitmq-server | epmd | nginx) exit 101 ;; esac
if [ -x /usr/sbin/policy-rc.d.before-cityhub ]; then exec /usr/sbin/policy-rc.d.before-cityhub "$@"; fi
exit 0
END
        chmod 755 $policy'
}

packages_policy_restore() {
    # shellcheck disable=SC2016
    packages_as_root sh -c '
        policy=/usr/sbin/policy-rc.d
        rm -f $policy
        if [ -e $policy.before-cityhub ]; then mv $policy.before-cityhub $policy; fi'
}

# install_packages GROUP...: makes sure that all packages of the groups are there.
install_packages() {
    local group wanted=() missing=() services=() status=0
    for group in "$@"; do
        case $group in
        build) wanted+=("${packages_build[@]}") ;;
        run) wanted+=("${packages_run[@]}") ;;
        test) wanted+=("${packages_test[@]}") ;;
        peers) wanted+=("${packages_peers[@]}") ;;
        *)
            echo "install_packages: no group '$group' (build, run, test, peers)" >&2
            return 2
            ;;
        esac
    done
    mapfile -t missing < <(packages_missing "${wanted[@]}")
    if [ "${#missing[@]}" -eq 0 ]; then
        return 0
    fi
    echo "==> installing ${#missing[@]} Debian packages: ${missing[*]}"
    if ! command -v apt-get >/dev/null; then
        echo "apt-get is missing: cityhub is built and tested on Debian 12" >&2
        return 1
    fi
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        echo "these packages need root: run this as root, or install sudo, or let an administrator run" >&2
        echo "    apt-get install --no-install-recommends ${missing[*]}" >&2
        return 1
    fi
    packages_apt update || {
        echo "apt-get update failed: see above; is the package mirror reachable?" >&2
        return 1
    }
    if [[ " ${missing[*]} " == *" postgresql-15 "* ]]; then
        packages_no_main_cluster || return 1
    fi
    if [[ " ${missing[*]} " == *" mosquitto "* ]]; then
        services+=(mosquitto.service)
    fi
    if [[ " ${missing[*]} " == *" rabbitmq-server "* ]]; then
        services+=(rabbitmq-server.service epmd.service epmd.socket)
    fi
    if [[ " ${missing[*]} " == *" nginx-light "* ]]; then
        services+=(nginx.service)
    fi
    # A subshell, so that the policy is taken back however this ends.
    (
        if [ "${#services[@]}" -gt 0 ]; then
            trap packages_policy_restore EXIT
            packages_policy_put || exit 1
        fi
        packages_apt install -y --no-install-recommends "${missing[@]}"
    ) || status=1
    if [ "${#services[@]}" -gt 0 ]; then
        # Nor shall it come with the next boot.
        if command -v systemctl >/dev/null && [ -d /run/systemd/system ]; then
            packages_as_root systemctl disable --quiet "${services[@]}" || true
        fi
    fi
    if [ "$status" -ne 0 ]; then
        echo "apt-get install failed: see above" >&2
    fi
    return "$status"
}

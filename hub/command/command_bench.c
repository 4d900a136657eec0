/* command_bench.c: `cityhub bench`: what this machine carries, measured before it has a county. It runs on a database
 * and a broker of its own (deploy/quickstart.sh --bench makes them, and deletes them); it must never write into a
 * county's. */
#include <math.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/base/clock.h"
#include "hub/base/copy.h"
#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/cli/arguments.h"
#include "hub/cli/database.h"
#include "hub/command/bench_tiles.h"
#include "hub/command/bench_vendor.h"
#include "hub/command/commands.h"
#include "hub/know/rollup.h"

enum {
    COMMITS = 300,
    COPY_ROWS = 100000,
    COPY_RUNS = 3,
    WRITTEN_DEVICES = 5000, /* whose states and hours are written at a time: about as many as the hub writes */
    WRITTEN_RUNS = 3,
    BATCH_WINDOW = 40,
    SINGLE_WINDOW = 2000,
    PAST_MS = 20 * 3600 * 1000, /* records begin so long ago, and all are of the past */
    STATEMENT_S = 120,
    DEVICES_TRIED = 1000000, /* more than so many no hub has had */
    MARGIN = 2,              /* a machine is planned at half of what it can do: peaks, vacuum, people's questions */
};

struct figures {
    double commit_ms, commit_ms_p99;
    double copy_rows_s;
    double batch_records_s, single_records_s;
    double states_s, hours_s; /* of devices, each by the one connection that writes them */
    /* A device's state and hour are written so often at the most; of more devices than are kept an hour with each
     * record. */
    double state_interval_s, hour_interval_s, hours_kept;
    double bytes_per_record, values_per_record;
    double tiles_s; /* 0 = not measured: with [http] port 0 only the log tells where the hub answers */
};

/* ---- the database ---- */

static int compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* How long one who commits waits for the disk: an empty record in the log, so that nothing else is measured. */
static int measure_commits(PGconn *connection, struct figures *figures) {
    double times[COMMITS];
    for (int i = 0; i < COMMITS; i++) {
        int64_t started = clock_steady_us();
        if (database_run(connection, "SELECT pg_catalog.pg_logical_emit_message(true, 'bench', '')", 0, NULL) != 0) {
            return CH_EDATABASE;
        }
        times[i] = (double)(clock_steady_us() - started) / 1000;
    }
    qsort(times, COMMITS, sizeof times[0], compare);
    figures->commit_ms = times[COMMITS / 2];
    figures->commit_ms_p99 = times[COMMITS * 99 / 100];
    return 0;
}

static void copy_rows(struct buffer *rows, int values, int64_t start_us) {
    double readings[ADAPTER_METRICS_MAX];
    for (int i = 0; i < values; i++) {
        readings[i] = i + 0.5;
    }
    copy_header(rows);
    for (int n = 0; n < COPY_ROWS; n++) {
        buffer_int16(rows, 4);
        copy_int4(rows, n % BENCH_DEVICES + 1);
        copy_time(rows, start_us + (int64_t)(n / BENCH_DEVICES) * 1000000);
        copy_time(rows, start_us);
        copy_readings(rows, (UINT64_C(1) << values) - 1, readings);
    }
    copy_trailer(rows);
}

/* One COPY of the rows into an empty table like the hub's, rolled back: nothing of it stays. */
static int copy_once(PGconn *connection, const struct buffer *rows, double *seconds) {
    int code = database_run(connection, "BEGIN", 0, NULL);
    if (code == 0) {
        code = database_run(connection, "CREATE TABLE onemap.bench_copy (LIKE onemap.observation_raw INCLUDING ALL)", 0,
                            NULL);
    }
    int64_t started = clock_steady_us();
    PGresult *result =
        code != 0 ? NULL
                  : PQexec(connection, "COPY onemap.bench_copy (device_id, observed_at, received_at, readings) "
                                       "FROM STDIN (FORMAT binary)");
    if (PQresultStatus(result) != PGRES_COPY_IN || PQputCopyData(connection, rows->data, (int)rows->length) != 1 ||
        PQputCopyEnd(connection, NULL) != 1) {
        code = CH_EDATABASE;
    }
    PQclear(result);
    for (PGresult *end; (end = PQgetResult(connection)) != NULL; PQclear(end)) {
        if (PQresultStatus(end) != PGRES_COMMAND_OK) {
            database_complain(connection, end);
            code = CH_EDATABASE;
        }
    }
    *seconds = (double)(clock_steady_us() - started) / 1e6;
    database_run(connection, "ROLLBACK", 0, NULL);
    return code;
}

/* The owner may make a table; the hub's login may not. */
static int measure_copy(const struct config *config, int values, struct figures *figures) {
    const char *owner = config->database_migrate_conninfo;
    PGconn *connection = database_open(owner == NULL || owner[0] == '\0' ? config->database_conninfo : owner,
                                       config->database_connect_timeout_s, STATEMENT_S, "cityhub bench");
    struct buffer rows = {0};
    double seconds[COPY_RUNS] = {0};
    int code = connection == NULL ? CH_EDATABASE : 0;
    copy_rows(&rows, values, clock_now_us());
    for (int run = 0; run < COPY_RUNS && code == 0; run++) {
        code = rows.failed ? CH_EMEMORY : copy_once(connection, &rows, &seconds[run]);
    }
    buffer_free(&rows);
    PQfinish(connection);
    qsort(seconds, COPY_RUNS, sizeof seconds[0], compare);
    figures->copy_rows_s = code == 0 ? COPY_ROWS / seconds[COPY_RUNS / 2] : 0;
    return code;
}

/* The second time and later a device is there already, as it is in a county. Nothing of it stays. */
static int measure_writing(PGconn *connection, int values, const char *stage, const char *write, double *per_s) {
    char readings[12], devices[12];
    snprintf(readings, sizeof readings, "%d", values);
    snprintf(devices, sizeof devices, "%d", WRITTEN_DEVICES);
    const char *const parameters[] = {readings, devices};
    double seconds[WRITTEN_RUNS];
    int code = database_run(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ", 0, NULL);
    code = code != 0 ? code : database_run(connection, "SELECT onemap.stage_create()", 0, NULL);
    for (int run = -1; run < WRITTEN_RUNS && code == 0; run++) {
        code = database_run(connection, stage, 2, parameters);
        int64_t started = clock_steady_us();
        char *written = code != 0 ? NULL : database_text(connection, write, 0, NULL);
        if (run >= 0) {
            seconds[run] = (double)(clock_steady_us() - started) / 1e6;
        }
        if (code == 0 && (written == NULL || atoi(written) < WRITTEN_DEVICES)) {
            code = written == NULL
                       ? CH_EDATABASE
                       : command_fail("the database wrote %s of %d devices: see its log", written, WRITTEN_DEVICES);
        }
        free(written);
    }
    database_run(connection, "ROLLBACK", 0, NULL);
    if (code == 0) {
        qsort(seconds, WRITTEN_RUNS, sizeof seconds[0], compare);
        *per_s = WRITTEN_DEVICES / seconds[WRITTEN_RUNS / 2];
    }
    return code;
}

/* A county's readings are of many devices: what is written for each of them beside its record counts for more than the
 * record. The numbers of these are no device's. */
#define DEVICES_OF_IT "pg_catalog.generate_series(-$2::int, -1) n"
#define HOURS_TURN "(pg_catalog.hashtext('onemap.rollup_run'))"
static int measure_devices(PGconn *connection, int values, struct figures *figures) {
    /* The hub writes hours, too, and one at a time does: its run is waited for. */
    int code = database_run(connection, "SET lock_timeout = '60s'", 0, NULL);
    code = code != 0 ? code : database_run(connection, "SELECT pg_catalog.pg_advisory_lock" HOURS_TURN, 0, NULL);
    if (code != 0) {
        return code;
    }
    code = measure_writing(
        connection, values,
        "INSERT INTO pg_temp.device_state_stage (device_id, observed_at, last_seen_at, readings, reading_times) SELECT n,"
        " t, t, pg_catalog.array_fill(1.5::float8, ARRAY[$1::int]), pg_catalog.array_fill(t, ARRAY[$1::int])"
        " FROM (SELECT pg_catalog.clock_timestamp() AS t OFFSET 0) now, " DEVICES_OF_IT,
        "SELECT onemap.device_state_merge()", &figures->states_s);
    code = code != 0
               ? code
               : measure_writing(
                     connection, values,
                     "INSERT INTO onemap.rollup_stage (device_id, hour, records, last_at, counts, minima, maxima,"
                     " sums, rests, firsts, lasts, first_ms, last_ms, flagged_above, flagged_below) SELECT n,"
                     " pg_catalog.date_trunc('hour', pg_catalog.now(), 'UTC'), 1, pg_catalog.now(), i.a, f.a, f.a,"
                     " f.a, f.a, f.a, f.a, i.a, i.a, '{}', '{}' FROM"
                     " pg_catalog.array_fill(1, ARRAY[$1::int]) i (a),"
                     " pg_catalog.array_fill(1.5::float8, ARRAY[$1::int]) f (a), " DEVICES_OF_IT,
                     "SELECT onemap.rollup_run('{}', '{}')", &figures->hours_s);
    database_run(connection, "SELECT pg_catalog.pg_advisory_unlock" HOURS_TURN, 0, NULL);
    database_run(connection, "RESET lock_timeout", 0, NULL);
    return code;
}

/* Bytes and rows of what is stored, by the database's own figures. */
static int stored(PGconn *connection, double *bytes, double *rows) {
    PGresult *result = database_query(
        connection,
        "SELECT coalesce(sum(pg_catalog.pg_total_relation_size(t.relid)), 0), (SELECT count(*) FROM onemap.observation_raw) "
        "FROM pg_catalog.pg_partition_tree('onemap.observation_raw') t WHERE t.isleaf",
        0, NULL);
    if (result == NULL) {
        return CH_EDATABASE;
    }
    *bytes = strtod(PQgetvalue(result, 0, 0), NULL);
    *rows = strtod(PQgetvalue(result, 0, 1), NULL);
    PQclear(result);
    return 0;
}

static int county_refused(PGconn *connection, const char *vendor) {
    const char *const parameters[] = {vendor};
    char *devices = database_text(
        connection, "SELECT count(*) FROM (SELECT FROM onemap.device d WHERE d.vendor <> $1 LIMIT 1000) d", 1,
        parameters);
    int code = devices == NULL ? EXIT_FAILED : EXIT_DONE;
    if (devices != NULL && strcmp(devices, "0") != 0) {
        code = command_fail(
            "this database has devices of a county, and bench would fill it with what it makes up; give it a "
            "database and a broker of its own: deploy/quickstart.sh --bench makes both and deletes them");
    }
    free(devices);
    return code;
}

/* ---- the hub ---- */

static int measure_hub(PGconn *connection, struct bench_vendor *vendor, int64_t run_ms, struct figures *figures) {
    struct bench_load load = {
        .records = BENCH_DEVICES, .window = BATCH_WINDOW, .start_ms = clock_now_ms() - PAST_MS, .run_ms = run_ms / 10};
    struct bench_rate rate;
    double bytes_before, rows_before, bytes, rows;
    /* The devices become known, and caches warm. */
    int code = bench_vendor_run(vendor, &load, &rate);
    code = code != 0 ? code : stored(connection, &bytes_before, &rows_before);
    if (code == 0) {
        load.start_ms = rate.last_ms + 1000;
        load.run_ms = run_ms;
        code = bench_vendor_run(vendor, &load, &rate);
        figures->batch_records_s = (double)rate.records / rate.seconds;
    }
    code = code != 0 ? code : stored(connection, &bytes, &rows);
    if (code == 0) {
        figures->bytes_per_record = (bytes - bytes_before) / (rows - rows_before);
        load = (struct bench_load){
            .records = 1, .window = SINGLE_WINDOW, .start_ms = rate.last_ms + 1000, .run_ms = run_ms};
        code = bench_vendor_run(vendor, &load, &rate);
        figures->single_records_s = (double)rate.records / rate.seconds;
    }
    return code;
}

/* In the middle of China; it has no other meaning. */
static const double PLACE_LON = 105, PLACE_LAT = 35, PLACE_STEP = 0.002;

static int measure_tiles(const struct config *config, PGconn *connection, struct bench_vendor *vendor, int64_t run_ms,
                         struct figures *figures) {
    if (config->http_port == 0) {
        return 0;
    }
    int code = bench_vendor_place(vendor, PLACE_LON, PLACE_LAT, PLACE_STEP);
    return code != 0 ? code : bench_tiles_run(config, connection, PLACE_LON, PLACE_LAT, run_ms, &figures->tiles_s);
}

/* ---- what is told ---- */

static void print_machine(PGconn *connection) {
    char *server = database_text(connection, "SHOW server_version", 0, NULL);
    double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGE_SIZE) / (1024 * 1024 * 1024);
    printf("this machine    %ld processors, %.1f GiB of memory, PostgreSQL %s\n", sysconf(_SC_NPROCESSORS_ONLN), memory,
           server == NULL ? "?" : server);
    free(server);
}

/* A number of devices as a plan has it: two digits count, with commas; beyond DEVICES_TRIED it says only that. */
static const char *rounded(double number, char text[static 32]) {
    char digits[24];
    double step = 1;
    int used = 0;
    if (number > DEVICES_TRIED) {
        text[used++] = '>';
        number = DEVICES_TRIED;
    }
    while (number / step >= 100) {
        step *= 10;
    }
    int length = snprintf(digits, sizeof digits, "%.0f", floor(number / step) * step);
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            text[used++] = ',';
        }
        text[used++] = digits[i];
    }
    text[used] = '\0';
    return text;
}

/* How many devices with a record each `interval` keep the machine busy, all of it or one of the two connections that
 * write states and hours. */
static double devices_busy(const struct figures *figures, double records_s, double interval, double hour_interval) {
    double processors = (double)sysconf(_SC_NPROCESSORS_ONLN);
    double states = 1 / (figures->states_s * fmax(interval, figures->state_interval_s));
    double hours = 1 / (figures->hours_s * fmax(interval, hour_interval));
    double machine = 1 / (records_s * interval) + (states + hours) / processors;
    return 1 / fmax(machine, fmax(states, hours));
}

static double devices_carried(const struct figures *figures, double records_s, double interval) {
    double few = devices_busy(figures, records_s, interval, figures->hour_interval_s) / MARGIN;
    double many = devices_busy(figures, records_s, interval, 0) / MARGIN;
    return fmax(fmin(few, figures->hours_kept), many);
}

static void print_devices(const struct figures *figures) {
    static const int intervals[] = {1, 10, 30, 60, 300, 900};
    printf("\nDevices that it carries, at half of that (the other half is for peaks, vacuum and people's questions):\n"
           "%12s %28s %28s %22s\n",
           "one record", "when platforms send batches", "when each device sends alone", "1,000 devices store");
    for (size_t i = 0; i < COUNT_OF(intervals); i++) {
        char batches[32], singles[32];
        double interval = intervals[i];
        printf("%7s %3d s %28s %28s %15.2f GB a day\n", "each", intervals[i],
               rounded(devices_carried(figures, figures->batch_records_s, interval), batches),
               rounded(devices_carried(figures, figures->single_records_s, interval), singles),
               figures->bytes_per_record * 86400 / interval * 1000 / 1e9);
    }
}

static void print(PGconn *connection, const struct figures *figures) {
    print_machine(connection);
    printf(
        "disk            a commit is safe after %.2f ms, 99 of 100 within %.2f ms (%.0f a second, one after the other)\n",
        figures->commit_ms, figures->commit_ms_p99, 1000 / figures->commit_ms);
    printf("COPY            %.0f records of %.0f values a second by one connection: the bare limit\n",
           figures->copy_rows_s, figures->values_per_record);
    printf("hub, batches    %.0f records a second, %d a message (JSON), from vendor to receipt; %.2f of COPY\n",
           figures->batch_records_s, BENCH_DEVICES, figures->batch_records_s / figures->copy_rows_s);
    printf("hub, singles    %.0f records a second, one a message\n", figures->single_records_s);
    printf("hub, devices    the states of %.0f a second are written, the hourly figures of %.0f\n", figures->states_s,
           figures->hours_s);
    printf("storage         %.0f bytes a record as it comes\n", figures->bytes_per_record);
    if (figures->tiles_s > 0) {
        printf("tiles           %.0f map tiles (瓦片) a second to %d clients of this machine, which share it\n",
               figures->tiles_s, BENCH_CLIENTS);
    }
    print_devices(figures);
}

static int print_as_json(const struct figures *figures) {
    cJSON *root = cJSON_CreateObject();
    const struct {
        const char *name;
        double value;
    } members[] = {{"commit_ms", figures->commit_ms},
                   {"commit_ms_p99", figures->commit_ms_p99},
                   {"copy_records_s", figures->copy_rows_s},
                   {"batch_records_s", figures->batch_records_s},
                   {"single_records_s", figures->single_records_s},
                   {"device_states_s", figures->states_s},
                   {"device_hours_s", figures->hours_s},
                   {"bytes_per_record", figures->bytes_per_record},
                   {"values_per_record", figures->values_per_record},
                   {"tiles_s", figures->tiles_s}};
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        cJSON_AddNumberToObject(root, members[i].name, members[i].value);
    }
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (text == NULL) {
        return command_fail("memory is out");
    }
    puts(text);
    free(text);
    return EXIT_DONE;
}

/* ---- the command ---- */

static int values_of(const struct adapter *adapter) {
    int values = 0;
    for (size_t i = 0; i < adapter->metric_count; i++) {
        values += adapter->metrics[i].kind == METRIC_GAUGE || adapter->metrics[i].kind == METRIC_COUNTER;
    }
    return values;
}

static int measure(const struct config *config, PGconn *connection, const struct arguments *arguments,
                   const char *password) {
    const struct adapter *adapter = adapter_find(argument_text(arguments, "subsystem"));
    struct figures figures = {.values_per_record = values_of(adapter),
                              .state_interval_s = (double)config->jobs_device_state_s,
                              .hour_interval_s = (double)config->jobs_rollup_s,
                              .hours_kept = (double)rollups_kept(adapter->metric_count)};
    int64_t run_ms = argument_number(arguments, "seconds") * 1000;
    struct bench_vendor *vendor = bench_vendor_open(config, adapter, argument_text(arguments, "vendor"), password);
    int code = vendor == NULL ? CH_EBROKER : measure_commits(connection, &figures);
    code = code != 0 ? code : measure_copy(config, (int)figures.values_per_record, &figures);
    code = code != 0 ? code : measure_hub(connection, vendor, run_ms, &figures);
    code = code != 0 ? code : measure_devices(connection, (int)figures.values_per_record, &figures);
    code = code != 0 ? code : measure_tiles(config, connection, vendor, run_ms, &figures);
    bench_vendor_close(vendor);
    if (code != 0) {
        return EXIT_FAILED;
    }
    if (argument_given(arguments, "json")) {
        return print_as_json(&figures);
    }
    print(connection, &figures);
    return EXIT_DONE;
}

static int run(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    const char *file = argument_text(arguments, "password-file");
    char *password = file == NULL ? NULL : config_secret(file);
    int code = file != NULL && password == NULL ? command_fail("%s: the password cannot be read", file)
                                                : county_refused(connection, argument_text(arguments, "vendor"));
    if (code == EXIT_DONE) {
        code = measure(config, connection, arguments, password);
    }
    if (password != NULL) {
        OPENSSL_cleanse(password, strlen(password));
        free(password);
    }
    return code;
}

static const struct command_option options[] = {
    {.name = "vendor", .argument = "NAME", .kind = OPTION_TEXT, .initial = "bench", .help = "the login at the broker"},
    {.name = "password-file",
     .argument = "FILE",
     .kind = OPTION_FILE,
     .help = "the login's password, on the first line; without it the login is anonymous"},
    {.name = "subsystem",
     .argument = "KEY",
     .kind = OPTION_SUBSYSTEM,
     .initial = "dust",
     .help = "whose records are sent"},
    {.name = "seconds",
     .argument = "N",
     .kind = OPTION_NUMBER,
     .minimum = 1,
     .maximum = 600,
     .initial = "10",
     .unit = "seconds",
     .help = "how long batches are sent, then singles, then tiles asked for"},
    {.name = "json", .kind = OPTION_FLAG, .help = "as JSON, for programs"},
    {0},
};

const struct command command_bench = {
    .name = "bench",
    .summary = "measure what this machine carries, before it has a county",
    .text =
        "For whoever buys the server: measures how long the disk takes to make a commit safe, how many records bare COPY stores, "
        "and how many the hub stores of a vendor that sends batches, and of one that sends each record alone, from the vendor to "
        "its receipt, of how many devices a second it writes what is known of them now and by the hour, and how many tiles of the map it gives (瓦片); then says how many devices at which interval this machine carries.\n\n"
        "The hub must be running on this configuration, whose database has no county yet: what is sent stays in it. "
        "`deploy/quickstart.sh --bench` does all of it: database, broker and hub of its own, and nothing left behind.",
    .options = options,
    .work = run,
    .examples = "cityhub bench --seconds 30 --password-file bench.password\n",
    .more = "docs/deploy.md",
};

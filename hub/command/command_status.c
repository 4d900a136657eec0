/* command_status.c: `cityhub status`: asks the running hub over HTTP how it is, and shows it, once or again and again.
 * Must never wait without an end for a hub that does not answer. */
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "hub/base/buffer.h"
#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/cli/arguments.h"
#include "hub/cli/hub_url.h"
#include "hub/cli/print_table.h"
#include "hub/command/commands.h"

enum {
    CONNECT_TIMEOUT_S = 3,
    ANSWER_TIMEOUT_S = 5,
    ANSWER_BYTES_MAX = 1024 * 1024,
    GIVE_UP_S = 30, /* --follow: so long may a hub that has answered be away, e.g. for a restart */
    COLUMNS = 12,
    ROWS_MAX = 32,
    CELL_BYTES = 48,
};

struct reading {
    cJSON *status;
    double at_s; /* monotonic */
};

struct watch {
    char url[HUB_URL_BYTES];
    bool follow, json, terminal;
    int64_t interval_s;
    struct reading now, before; /* status NULL = none */
    int lines_drawn;            /* of the block on the terminal that is to be drawn over */
    char problem[CURL_ERROR_SIZE + 64];
};

static double monotonic_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- asking ---- */

static size_t on_bytes(char *bytes, size_t size, size_t count, void *user) {
    struct buffer *answer = user;
    if (answer->length + size * count > ANSWER_BYTES_MAX) {
        return 0; /* makes curl give up */
    }
    buffer_bytes(answer, bytes, size * count);
    return size * count;
}

/* The hub's answer as text; false with watch->problem. */
static bool fetch(struct watch *watch, struct buffer *answer) {
    char reason[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURL *curl = curl_easy_init();
    CURLcode code = CURLE_FAILED_INIT;
    if (curl != NULL) {
        curl_easy_setopt(curl, CURLOPT_URL, watch->url);
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ANSWER_TIMEOUT_S);
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
        code = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_cleanup(curl);
    }
    if (code != CURLE_OK) {
        snprintf(watch->problem, sizeof watch->problem, "%s", reason[0] != '\0' ? reason : curl_easy_strerror(code));
    } else if (status != 200) {
        snprintf(watch->problem, sizeof watch->problem, "HTTP status %ld instead of an answer", status);
    }
    return code == CURLE_OK && status == 200;
}

/* Takes a new reading; the last one becomes `before`. False with watch->problem, then nothing is changed. */
static bool watch_read(struct watch *watch) {
    struct buffer answer = {0};
    cJSON *status = NULL;
    if (fetch(watch, &answer)) {
        const char *text = buffer_string(&answer);
        status = text == NULL ? NULL : cJSON_Parse(text);
        if (!cJSON_IsArray(member_get(status, "subsystems"))) {
            snprintf(watch->problem, sizeof watch->problem, "what answers is no hub");
            cJSON_Delete(status);
            status = NULL;
        }
    }
    buffer_free(&answer);
    if (status == NULL) {
        return false;
    }
    cJSON_Delete(watch->before.status);
    watch->before = watch->now;
    watch->now = (struct reading){.status = status, .at_s = monotonic_s()};
    return true;
}

/* ---- reading an answer ---- */

/* Records committed a second since the reading before; NAN without one, or if the hub was started in between. */
static double rate(const struct watch *watch, const cJSON *subsystem) {
    const cJSON *before = watch->before.status;
    double elapsed_s = watch->now.at_s - watch->before.at_s;
    if (before == NULL || elapsed_s <= 0 ||
        strcmp(member_text(before, "started_at"), member_text(watch->now.status, "started_at")) != 0) {
        return NAN;
    }
    const cJSON *then = member_find(member_get(before, "subsystems"), "key", member_text(subsystem, "key"));
    double grown = member_number(subsystem, "records_committed", 0) - member_number(then, "records_committed", 0);
    return grown < 0 ? NAN : grown / elapsed_s;
}

static double rate_sum(const struct watch *watch) {
    double sum = 0;
    const cJSON *subsystem;
    cJSON_ArrayForEach(subsystem, member_get(watch->now.status, "subsystems")) {
        sum += rate(watch, subsystem);
    }
    return sum;
}

/* ---- showing ---- */

struct table {
    char texts[ROWS_MAX * COLUMNS][CELL_BYTES];
    const char *cells[ROWS_MAX * COLUMNS];
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void table_add(struct table *table, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(table->texts[table->used], CELL_BYTES, format, arguments);
    va_end(arguments);
    table->cells[table->used] = table->texts[table->used];
    table->used++;
}

static void table_add_rate(struct table *table, double value) {
    if (isnan(value)) {
        table_add(table, "-");
    } else {
        table_add(table, value >= 10 ? "%.0f" : "%.1f", value);
    }
}

/* Counts that make columns, in their order. */
static const char *const count_names[] = {"records_committed", "records_duplicate", "records_merged",
                                          "records_revised",   "records_rejected",  "messages_quarantined",
                                          "queue_records"};
enum { COUNTS = sizeof count_names / sizeof count_names[0] };

static void print_subsystems(FILE *out, const struct watch *watch) {
    static const struct print_column columns[COLUMNS] = {
        {"subsystem", false}, {"", false},           {"lanes", true},  {"records/s", true},
        {"committed", true},  {"duplicate", true},   {"merged", true}, {"revised", true},
        {"rejected", true},   {"quarantined", true}, {"queued", true}, {"lag s", true},
    };
    static struct table table;
    double sums[COUNTS] = {0};
    table.used = 0;
    const cJSON *subsystem;
    cJSON_ArrayForEach(subsystem, member_get(watch->now.status, "subsystems")) {
        if (table.used / COLUMNS >= ROWS_MAX - 1) {
            break;
        }
        table_add(&table, "%s", member_text(subsystem, "key"));
        table_add(&table, "%s", member_text(subsystem, "name_zh"));
        table_add(&table, "%.0f/%.0f", member_number(subsystem, "connected", 0), member_number(subsystem, "lanes", 0));
        table_add_rate(&table, rate(watch, subsystem));
        for (size_t i = 0; i < COUNTS; i++) {
            double count = member_number(subsystem, count_names[i], 0);
            sums[i] += count;
            table_add(&table, "%.0f", count);
        }
        table_add(&table, "%.2f", member_number(subsystem, "lag_s", 0));
    }
    table_add(&table, "all");
    table_add(&table, "合计");
    table_add(&table, " ");
    table_add_rate(&table, rate_sum(watch));
    for (size_t i = 0; i < COUNTS; i++) {
        table_add(&table, "%.0f", sums[i]);
    }
    table_add(&table, " ");
    print_cells(out, columns, COLUMNS, table.cells, table.used / COLUMNS);
}

static void print_duration(FILE *out, double seconds) {
    long long all = (long long)seconds;
    if (all >= 86400) {
        fprintf(out, "%lld d %lld h", all / 86400, all / 3600 % 24);
    } else if (all >= 3600) {
        fprintf(out, "%lld h %lld min", all / 3600, all / 60 % 60);
    } else if (all >= 60) {
        fprintf(out, "%lld min %lld s", all / 60, all % 60);
    } else {
        fprintf(out, "%lld s", all);
    }
}

static void print_counts(FILE *out, const cJSON *status) {
    fprintf(out, "%.0f of %.0f devices online, %.0f alarms open, %.0f messages in quarantine, %.0f receipts to send",
            member_number(status, "devices_online", 0), member_number(status, "devices", 0),
            member_number(status, "alarms_open", 0), member_number(status, "quarantine_waiting", 0),
            member_number(status, "outbox_waiting", 0));
}

static void print_last_problem(FILE *out, const cJSON *status) {
    const cJSON *problem = member_get(status, "last_problem");
    fputs("last problem: ", out);
    if (cJSON_IsObject(problem)) {
        fprintf(out, "%s ", member_text(problem, "at"));
        print_text(out, member_text(problem, "text"));
    } else {
        fputs("none", out);
    }
}

static void print_ready(FILE *out, const cJSON *status) {
    if (member_true(status, "ready")) {
        fputs("ready", out);
    } else {
        fputs("NOT READY: ", out);
        print_text(out, member_text(status, "why"));
    }
}

static void print_gateways(FILE *out, const cJSON *status) {
    const cJSON *gateway;
    cJSON_ArrayForEach(gateway, member_get(status, "gateways")) {
        fputs("gateway ", out);
        print_text(out, member_text(gateway, "gateway"));
        fprintf(
            out,
            ": %s%.0f connections, %.0f messages waiting, %.0f frames stored, %.0f refused, %.0f unsure, %.0f broken,"
            " %.0f unknown",
            member_true(gateway, "silent") ? "SILENT, last said: " : "", member_number(gateway, "connections", 0),
            member_number(gateway, "waiting", 0), member_number(gateway, "frames_stored", 0),
            member_number(gateway, "frames_refused", 0), member_number(gateway, "frames_unsure", 0),
            member_number(gateway, "frames_broken", 0), member_number(gateway, "frames_unknown", 0));
        if (member_is_number(gateway, "acknowledge_p99_s")) {
            fprintf(out, ", 99 of 100 acknowledged within %g s", member_number(gateway, "acknowledge_p99_s", 0));
        }
        fprintf(out, ", %.0f pushes stored\n", member_number(gateway, "pushes_stored", 0));
    }
}

static void print_block(FILE *out, const struct watch *watch) {
    const cJSON *status = watch->now.status;
    const cJSON *database = member_get(status, "database");
    fputs("cityhub ", out);
    print_text(out, member_text(status, "version"));
    fputs(" ", out);
    print_text(out, member_text(status, "instance"));
    fputs(", up ", out);
    print_duration(out, member_number(status, "uptime_s", 0));
    fputs(", ", out);
    print_ready(out, status);
    fputs("\n\n", out);
    print_subsystems(out, watch);
    fputs("\n", out);
    print_counts(out, status);
    fprintf(out, "\ndatabase %s, %.0f writers, %.0f batches waiting\n",
            member_true(database, "connected") ? "connected" : "AWAY", member_number(database, "writers_connected", 0),
            member_number(database, "writer_queue", 0));
    print_gateways(out, status);
    print_last_problem(out, status);
    fputs("\n", out);
    static const char *const warnings[][2] = {
        {"calendar", "calendar"}, {"terminal_keys", "terminals' keys"}, {"database_settings", "database settings"}};
    for (size_t i = 0; i < COUNT_OF(warnings); i++) {
        if (member_text(status, warnings[i][0])[0] != '\0') {
            fprintf(out, "%s: ", warnings[i][1]);
            print_text(out, member_text(status, warnings[i][0]));
            fputs("\n", out);
        }
    }
}

/* One line with everything that changes. */
static void print_line(FILE *out, const struct watch *watch) {
    char stamp[32];
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(stamp, sizeof stamp, "%H:%M:%S", &local);
    double sum = rate_sum(watch);
    fprintf(out, "%s  ", stamp);
    if (!member_true(watch->now.status, "ready")) {
        print_ready(out, watch->now.status);
        fputs("; ", out);
    }
    if (isnan(sum)) {
        fputs("- records/s", out);
    } else {
        fprintf(out, "%.0f records/s (", sum);
        const char *comma = "";
        const cJSON *subsystem;
        cJSON_ArrayForEach(subsystem, member_get(watch->now.status, "subsystems")) {
            fputs(comma, out);
            print_text(out, member_text(subsystem, "key"));
            fputs(" ", out);
            print_text(out, member_text(subsystem, "name_zh"));
            fprintf(out, " %.0f", rate(watch, subsystem));
            comma = ", ";
        }
        fputs(")", out);
    }
    fputs("; ", out);
    print_counts(out, watch->now.status);
    fputs("; ", out);
    print_last_problem(out, watch->now.status);
    fputs("\n", out);
}

/* Draws `block` over the one drawn before. The terminal cuts long lines meanwhile, so that lines can be counted. A
 * block that is too high for it cannot be drawn over: `line` is shown instead. */
static void draw(struct watch *watch, const char *block, const char *line) {
    struct winsize size = {0};
    int lines = 0;
    for (const char *at = block; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && lines >= size.ws_row) {
        block = line;
        lines = 1;
    }
    if (watch->lines_drawn > 0) {
        printf("\033[%dA\r", watch->lines_drawn);
    }
    printf("\033[J\033[?7l%s\033[?7h", block);
    watch->lines_drawn = lines;
}

static char *rendered(void (*print)(FILE *out, const struct watch *watch), const struct watch *watch) {
    char *shown = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&shown, &size);
    if (out == NULL) {
        return NULL;
    }
    print(out, watch);
    fclose(out);
    return shown;
}

static void show(struct watch *watch) {
    if (watch->json) {
        char *json = cJSON_PrintUnformatted(watch->now.status);
        puts(json == NULL ? "null" : json);
        free(json);
    } else if (!watch->follow) {
        print_block(stdout, watch);
    } else if (watch->terminal) {
        char *block = rendered(print_block, watch);
        char *line = rendered(print_line, watch);
        if (block != NULL && line != NULL) {
            draw(watch, block, line);
        }
        free(block);
        free(line);
    } else if (watch->before.status != NULL) {
        print_line(stdout, watch);
    }
    fflush(stdout);
}

static void show_silence(struct watch *watch, double silent_s) {
    char line[sizeof watch->problem + 64];
    snprintf(line, sizeof line, "no answer for %.0f s: %s\n", silent_s, watch->problem);
    if (watch->json) {
        return; /* its reader wants objects alone */
    }
    if (watch->terminal) {
        draw(watch, line, line);
    } else {
        fputs(line, stdout);
    }
    fflush(stdout);
}

/* ---- running ---- */

static int complain(const struct watch *watch) {
    return command_fail("no hub answers at %s: %s; is `cityhub serve` running with this configuration ([http] listen "
                        "and port)?",
                        watch->url, watch->problem);
}

static int watch_run(struct watch *watch) {
    if (!watch_read(watch)) {
        return complain(watch);
    }
    show(watch);
    while (watch->follow) {
        nanosleep(&(struct timespec){.tv_sec = watch->interval_s}, NULL);
        if (watch_read(watch)) {
            show(watch);
            continue;
        }
        double silent_s = monotonic_s() - watch->now.at_s;
        if (silent_s > GIVE_UP_S + (double)watch->interval_s) {
            return complain(watch);
        }
        show_silence(watch, silent_s);
    }
    return EXIT_DONE;
}

static int run(const struct config *config, const struct arguments *arguments) {
    struct watch watch = {
        .follow = argument_given(arguments, "follow"),
        .json = argument_given(arguments, "json"),
        .interval_s = argument_number(arguments, "interval"),
        .terminal = isatty(STDOUT_FILENO) == 1,
    };
    if (config->http_port == 0) {
        return command_fail("[http] port is 0, so the hub took any free port: set one to be able to ask it");
    }
    hub_url(config, "/api/v1/status", watch.url);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int code = watch_run(&watch);
    cJSON_Delete(watch.now.status);
    cJSON_Delete(watch.before.status);
    curl_global_cleanup();
    return code;
}

static const struct command_option options[] = {
    {.name = "follow",
     .kind = OPTION_FLAG,
     .help = "go on, with records a second: in place on a terminal, else one line an interval"},
    {.name = "interval",
     .argument = "SECONDS",
     .kind = OPTION_NUMBER,
     .minimum = 1,
     .maximum = 3600,
     .unit = "seconds",
     .initial = "2",
     .needs = "follow",
     .help = "how long from one look to the next"},
    {.name = "json", .kind = OPTION_FLAG, .help = "the hub's own answer, one JSON object a line"},
    {0},
};

const struct command command_status = {
    .name = "status",
    .summary = "tell how the running hub is: records a second, devices, alarms, the last problem",
    .text =
        "Shows how the hub is that runs with this configuration ([http] listen and port): per subsystem the records stored and "
        "refused, devices online, open alarms, messages in quarantine, the last error or warning.\n\n"
        "Exit code 1 if the hub does not answer; with --follow if it has not answered for 30 seconds.",
    .options = options,
    .run = run,
    .examples = "cityhub status\n"
                "cityhub status --follow --interval 5\n",
    .more = "docs/deploy.md",
};

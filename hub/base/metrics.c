/* metrics.c: the hub's counters and their Prometheus text. Names and meanings of families are tables here. Must never
 * block: of the process it reads only /proc/self. */
#include "hub/base/metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "hub/base/buffer.h"
#include "hub/base/clock.h"
#include "hub/base/count.h"
#include "hub/base/gateway_metrics.h"

struct hub_metrics hub_metrics;

static struct lane_metrics *lanes[METRICS_LANES_MAX];
static size_t lane_count;
static struct route_metrics *routes[METRICS_ROUTES_MAX];
static size_t route_count;
static struct job_metrics jobs[METRICS_JOBS_MAX];
static size_t job_count;

/* A batch has 5000 records by default and one message may make it larger. */
static const double batch_record_bounds[] = {1, 10, 50, 100, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};
static const double commit_bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};

static const double request_bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};

_Static_assert(COUNT_OF(batch_record_bounds) <= HISTOGRAM_BUCKETS_MAX, "buckets");
_Static_assert(COUNT_OF(commit_bounds) <= HISTOGRAM_BUCKETS_MAX, "buckets");

enum value_kind {
    VALUE_COUNT,   /* uint64_t, a counter: its name ends in _total */
    VALUE_INTEGER, /* int64_t */
    VALUE_MS,      /* int64_t milliseconds, shown in seconds */
    VALUE_REAL,    /* double */
    VALUE_AGE,     /* int64_t milliseconds since 1970, shown in seconds from then on; 0 = 0 */
    VALUE_BOOL,    /* 0 or 1 */
};

struct family {
    const char *name, *help;
    enum value_kind kind;
    size_t offset;
};

#define LANE(name, kind, member, help)                                                                                 \
    { name, help, kind, offsetof(struct lane_metrics, member) }
#define HUB(name, kind, member, help)                                                                                  \
    { name, help, kind, offsetof(struct hub_metrics, member) }

static const struct family lane_families[] = {
    LANE("cityhub_lane_connected", VALUE_BOOL, connected,
         "1 if the broker has accepted the lane and its subscription."),
    LANE("cityhub_lane_connects_total", VALUE_COUNT, connects, "Times the lane was connected and subscribed."),
    LANE("cityhub_messages_received_total", VALUE_COUNT, messages_received, "Messages taken from the broker."),
    LANE("cityhub_bytes_received_total", VALUE_COUNT, bytes_received, "Bytes of payloads taken from the broker."),
    LANE("cityhub_records_received_total", VALUE_COUNT, records_received, "Records in messages, good and bad."),
    LANE("cityhub_records_committed_total", VALUE_COUNT, records_committed, "New records stored."),
    LANE("cityhub_records_merged_total", VALUE_COUNT, records_merged, "Records that added readings to a stored one."),
    LANE("cityhub_records_revised_total", VALUE_COUNT, records_revised, "Records that changed a stored one."),
    LANE("cityhub_records_duplicate_total", VALUE_COUNT, records_duplicate, "Records that were stored already."),
    LANE("cityhub_records_rejected_total", VALUE_COUNT, records_rejected,
         "Bad records; their messages are quarantined."),
    LANE("cityhub_fields_rejected_total", VALUE_COUNT, fields_rejected,
         "Bad fields of records that were stored without them; their messages are quarantined."),
    LANE("cityhub_warnings_total", VALUE_COUNT, warnings,
         "Warnings in receipts: readings out of range, no values, places outside the county, unknown fields."),
    LANE("cityhub_messages_redelivered_total", VALUE_COUNT, messages_redelivered,
         "Messages that the broker delivered again and the hub had already: passed over."),
    LANE("cityhub_messages_quarantined_total", VALUE_COUNT, messages_quarantined, "Messages put into quarantine."),
    LANE("cityhub_batches_committed_total", VALUE_COUNT, batches_committed, "Batches stored."),
    LANE("cityhub_batches_settled_total", VALUE_COUNT, batches_settled,
         "Batches stored by the slow path for duplicates."),
    LANE("cityhub_batch_failures_total", VALUE_COUNT, batch_failures,
         "Tries of a batch that failed and were made again."),
    LANE("cityhub_queue_messages", VALUE_INTEGER, queue_messages, "Messages taken and not stored yet."),
    LANE("cityhub_queue_records", VALUE_INTEGER, queue_records, "Records taken and not stored yet."),
    LANE("cityhub_last_commit_timestamp_seconds", VALUE_MS, committed_at_ms, "Unix time of the last commit, 0 = none."),
    LANE("cityhub_lag_seconds", VALUE_AGE, oldest_at_ms,
         "Seconds since the oldest message arrived that is not stored yet, 0 = none."),
    LANE("cityhub_batch_lag_seconds", VALUE_REAL, batch_lag_s,
         "Last batch: from the arrival of its first message to its commit."),
};

static const struct family hub_families[] = {
    HUB("cityhub_database_connected", VALUE_BOOL, database_connected, "1 if the hub is connected to PostgreSQL."),
    HUB("cityhub_database_losses_total", VALUE_COUNT, database_losses, "Database connections lost."),
    HUB("cityhub_writers_connected", VALUE_INTEGER, writers_connected, "Writers with a database connection."),
    HUB("cityhub_writers_idle", VALUE_INTEGER, writers_idle, "Writers that have nothing to do."),
    HUB("cityhub_writer_queue_batches", VALUE_INTEGER, writer_queue, "Batches that wait for a writer."),
    HUB("cityhub_devices", VALUE_INTEGER, devices, "Devices known to the hub."),
    HUB("cityhub_vendors", VALUE_INTEGER, vendors, "Vendors known to the hub."),
    HUB("cityhub_alarm_rules", VALUE_INTEGER, alarm_rules, "Alarm rules in force."),
    HUB("cityhub_registry_loads_total", VALUE_COUNT, registry_loads, "Times devices, vendors or rules were read anew."),
    HUB("cityhub_devices_online", VALUE_INTEGER, devices_online, "Devices that have reported lately."),
    HUB("cityhub_alarms_open", VALUE_INTEGER, alarms_open, "Open alarms."),
    HUB("cityhub_quarantine_waiting", VALUE_INTEGER, quarantine_waiting,
        "Quarantined messages not replayed yet; 100000 = so many or more."),
    HUB("cityhub_quarantine_dropped_today", VALUE_INTEGER, quarantine_dropped,
        "Messages since midnight UTC that were over their vendor's bytes of a day in quarantine: only counted."),
    HUB("cityhub_outbox_waiting", VALUE_INTEGER, outbox_waiting, "Messages to send that are not confirmed yet."),
    HUB("cityhub_outbox_sent_total", VALUE_COUNT, outbox_sent, "Messages sent and confirmed by the other side."),
    HUB("cityhub_outbox_failures_total", VALUE_COUNT, outbox_failures, "Sendings that failed; they are made again."),
    HUB("cityhub_device_states_dirty", VALUE_INTEGER, state_dirty, "Devices whose last state is not written yet."),
    HUB("cityhub_alarms_opened_total", VALUE_COUNT, alarms_opened, "Alarms opened by threshold rules."),
    HUB("cityhub_alarms_closed_total", VALUE_COUNT, alarms_closed, "Alarms closed by threshold rules."),
    HUB("cityhub_jobs_run_total", VALUE_COUNT, jobs_run, "Periodic jobs run."),
    HUB("cityhub_jobs_failed_total", VALUE_COUNT, jobs_failed, "Periodic jobs that failed."),
    HUB("cityhub_pack_steps_total", VALUE_COUNT, pack_steps, "Steps of packing old days."),
    HUB("cityhub_days_packed_total", VALUE_COUNT, days_packed, "Old days packed, observations and places apart."),
    HUB("cityhub_http_connections", VALUE_INTEGER, http_connections, "Open HTTP connections."),
    HUB("cityhub_http_streams", VALUE_INTEGER, http_streams, "Answers that stream now."),
    HUB("cityhub_http_queue", VALUE_INTEGER, http_queue, "Requests that wait for a connection to the database."),
    HUB("cityhub_http_queries", VALUE_INTEGER, http_queries, "Statements that run for requests."),
    HUB("cityhub_http_cancelled_total", VALUE_COUNT, http_cancelled,
        "Queries given up: the client left or the time was over."),
    HUB("cityhub_http_refused_total", VALUE_COUNT, http_refused, "Requests refused with status 503."),
    HUB("cityhub_http_late_total", VALUE_COUNT, http_late, "Connections closed because their time was over."),
    HUB("cityhub_http_slow_total", VALUE_COUNT, http_slow, "Streams closed because their client did not read."),
    HUB("cityhub_http_logins", VALUE_INTEGER, http_logins, "People whose password is being checked, or waits for it."),
    HUB("cityhub_http_logins_refused_total", VALUE_COUNT, http_logins_refused,
        "Logins refused: too many tries, or too many people at once."),
    HUB("cityhub_http_evicted_total", VALUE_COUNT, http_evicted,
        "Connections closed for others: idle, or half a request."),
    HUB("cityhub_http_crowded_total", VALUE_COUNT, http_crowded,
        "Connections refused because their address had too many."),
    HUB("cityhub_stream_clients", VALUE_INTEGER, stream_clients, "Open live streams."),
    HUB("cityhub_stream_filters", VALUE_INTEGER, stream_filters, "Different filters of live streams."),
    HUB("cityhub_stream_events_total", VALUE_COUNT, stream_events, "Changes sent in live streams, once a client."),
    HUB("cityhub_stream_coalesced_total", VALUE_COUNT, stream_coalesced,
        "Changes that a later one took the place of before they were sent."),
    HUB("cityhub_stream_resyncs_total", VALUE_COUNT, stream_resyncs, "Live streams told to read everything anew."),
    HUB("cityhub_stream_cut_total", VALUE_COUNT, stream_cut,
        "Live streams that the hub ended: not read, or their right over."),
    HUB("cityhub_map_devices", VALUE_INTEGER, map_devices, "Devices that the map has in memory."),
    HUB("cityhub_map_alarms", VALUE_INTEGER, map_alarms, "Open alarms that the map has in memory."),
    HUB("cityhub_map_cases", VALUE_INTEGER, map_cases, "Open cases that the map has in memory."),
    HUB("cityhub_tiles_encoded_total", VALUE_COUNT, tiles_encoded, "Tiles of points made from memory."),
    HUB("cityhub_tiles_warm_total", VALUE_COUNT, tiles_warm, "Tiles sent as they were kept."),
    HUB("cityhub_tiles_unchanged_total", VALUE_COUNT, tiles_unchanged, "Tiles that the client had already: 304."),
    HUB("cityhub_basemap_fetched_total", VALUE_COUNT, basemap_fetched, "Base maps' pictures from their sources."),
    HUB("cityhub_basemap_kept_total", VALUE_COUNT, basemap_kept, "Base maps' pictures from the disk."),
    HUB("cityhub_basemap_failed_total", VALUE_COUNT, basemap_failed,
        "Base maps' pictures that their sources did not give: away, refused, or no picture."),
    HUB("cityhub_basemap_waiting", VALUE_INTEGER, basemap_waiting,
        "Base maps' pictures that are being fetched, or wait."),
    HUB("cityhub_basemap_kept_bytes", VALUE_INTEGER, basemap_kept_bytes, "Bytes of base maps' pictures on the disk."),
};

void histogram_observe(struct histogram *histogram, double value) {
    size_t bucket = 0;
    while (bucket < histogram->bound_count && !(value <= histogram->bounds[bucket])) {
        bucket++;
    }
    histogram->counts[bucket]++;
    if (isfinite(value)) {
        histogram->sum += value;
    }
}

struct lane_metrics *metrics_lane_add(const char *lane, const char *subsystem) {
    struct lane_metrics *metrics = lane_count == METRICS_LANES_MAX ? NULL : calloc(1, sizeof *metrics);
    if (metrics == NULL) {
        return NULL;
    }
    snprintf(metrics->lane, sizeof metrics->lane, "%s", lane);
    metrics->subsystem = subsystem;
    metrics->batch_records =
        (struct histogram){.bounds = batch_record_bounds, .bound_count = COUNT_OF(batch_record_bounds)};
    metrics->commit_s = (struct histogram){.bounds = commit_bounds, .bound_count = COUNT_OF(commit_bounds)};
    lanes[lane_count++] = metrics;
    return metrics;
}

size_t metrics_lane_count(void) {
    return lane_count;
}

struct lane_metrics *metrics_lane_at(size_t index) {
    return index < lane_count ? lanes[index] : NULL;
}

struct histogram metrics_request_s = {.bounds = request_bounds, .bound_count = COUNT_OF(request_bounds)};

struct route_metrics *metrics_route_add(const char *route) {
    struct route_metrics *metrics = route_count == METRICS_ROUTES_MAX ? NULL : calloc(1, sizeof *metrics);
    if (metrics != NULL) {
        snprintf(metrics->route, sizeof metrics->route, "%s", route);
        routes[route_count++] = metrics;
    }
    return metrics;
}

struct job_metrics *metrics_job_add(const char *name) {
    size_t at = 0;
    while (at < job_count && strcmp(jobs[at].name, name) != 0) {
        at++;
    }
    if (at == METRICS_JOBS_MAX) {
        return NULL;
    }
    job_count = at == job_count ? at + 1 : job_count;
    jobs[at] = (struct job_metrics){.name = name, .due_at_ms = clock_now_ms()};
    return &jobs[at];
}

void metrics_free(void) {
    job_count = 0;
    gateway_metrics_free();
    while (route_count > 0) {
        free(routes[--route_count]);
        routes[route_count] = NULL;
    }
    metrics_request_s = (struct histogram){.bounds = request_bounds, .bound_count = COUNT_OF(request_bounds)};
    while (lane_count > 0) {
        free(lanes[--lane_count]);
        lanes[lane_count] = NULL;
    }
}

/* ---- text ---- */

static void put_head(struct buffer *text, const char *name, const char *help, const char *type) {
    buffer_format(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value with what the format wants escaped. */
static void put_label(struct buffer *text, const char *name, const char *value) {
    buffer_format(text, "%s=\"", name);
    for (; *value != '\0'; value++) {
        if (*value == '\n') {
            buffer_text(text, "\\n");
        } else {
            if (*value == '\\' || *value == '"') {
                buffer_text(text, "\\");
            }
            buffer_bytes(text, value, 1);
        }
    }
    buffer_text(text, "\"");
}

static void put_lane_labels(struct buffer *text, const struct lane_metrics *lane) {
    put_label(text, "lane", lane->lane);
    buffer_text(text, ",");
    put_label(text, "subsystem", lane->subsystem);
}

/* Prometheus knows no other spelling of what is not finite. */
static void put_real(struct buffer *text, double value) {
    if (isnan(value)) {
        buffer_text(text, "NaN\n");
    } else if (isinf(value)) {
        buffer_text(text, value > 0 ? "+Inf\n" : "-Inf\n");
    } else {
        buffer_format(text, "%.15g\n", value);
    }
}

/* A clock that was set back makes nothing negative. */
static double age_s(int64_t since_ms) {
    int64_t age_ms = since_ms == 0 ? 0 : clock_now_ms() - since_ms;
    return age_ms < 0 ? 0 : (double)age_ms / 1000;
}

double metrics_lane_lag_s(const struct lane_metrics *lane) {
    return age_s(lane->oldest_at_ms);
}

static void put_value(struct buffer *text, const struct family *family, const void *owner) {
    const void *member = (const char *)owner + family->offset;
    switch (family->kind) {
    case VALUE_COUNT:
        buffer_format(text, "%llu\n", (unsigned long long)*(const uint64_t *)member);
        break;
    case VALUE_INTEGER:
        buffer_format(text, "%lld\n", (long long)*(const int64_t *)member);
        break;
    case VALUE_MS:
        buffer_format(text, "%.3f\n", (double)*(const int64_t *)member / 1000);
        break;
    case VALUE_AGE:
        buffer_format(text, "%.3f\n", age_s(*(const int64_t *)member));
        break;
    case VALUE_REAL:
        put_real(text, *(const double *)member);
        break;
    case VALUE_BOOL:
        buffer_text(text, *(const bool *)member ? "1\n" : "0\n");
        break;
    }
}

static const char *family_type(const struct family *family) {
    return family->kind == VALUE_COUNT ? "counter" : "gauge";
}

static void put_lanes(struct buffer *text) {
    for (size_t i = 0; i < COUNT_OF(lane_families); i++) {
        const struct family *family = &lane_families[i];
        put_head(text, family->name, family->help, family_type(family));
        for (size_t lane = 0; lane < lane_count; lane++) {
            buffer_format(text, "%s{", family->name);
            put_lane_labels(text, lanes[lane]);
            buffer_text(text, "} ");
            put_value(text, family, lanes[lane]);
        }
    }
}

/* `labels`: name="value",... or "" for one of the whole hub. */
static void put_histogram(struct buffer *text, const char *name, const char *labels,
                          const struct histogram *histogram) {
    uint64_t count = 0;
    bool any = *labels != '\0';
    for (size_t i = 0; i <= histogram->bound_count; i++) {
        char bound[32] = "+Inf";
        count += histogram->counts[i];
        if (i < histogram->bound_count) {
            snprintf(bound, sizeof bound, "%g", histogram->bounds[i]);
        }
        buffer_format(text, "%s_bucket{%s%sle=\"%s\"} %llu\n", name, labels, any ? "," : "", bound,
                      (unsigned long long)count);
    }
    const char *open = any ? "{" : "", *close = any ? "}" : "";
    buffer_format(text, "%s_sum%s%s%s ", name, open, labels, close);
    put_real(text, histogram->sum);
    buffer_format(text, "%s_count%s%s%s %llu\n", name, open, labels, close, (unsigned long long)count);
}

/* One of each lane's histograms. */
static void put_lane_histogram(struct buffer *text, const char *name, const struct lane_metrics *lane,
                               const struct histogram *histogram) {
    struct buffer labels = {0};
    put_lane_labels(&labels, lane);
    const char *shown = buffer_string(&labels);
    put_histogram(text, name, shown == NULL ? "" : shown, histogram);
    text->failed = text->failed || shown == NULL;
    buffer_free(&labels);
}

static void put_histograms(struct buffer *text) {
    put_head(text, "cityhub_batch_records", "Records in a batch.", "histogram");
    for (size_t i = 0; i < lane_count; i++) {
        put_lane_histogram(text, "cityhub_batch_records", lanes[i], &lanes[i]->batch_records);
    }
    put_head(text, "cityhub_commit_seconds", "From handing a batch to a writer to its commit.", "histogram");
    for (size_t i = 0; i < lane_count; i++) {
        put_lane_histogram(text, "cityhub_commit_seconds", lanes[i], &lanes[i]->commit_s);
    }
}

static void put_jobs(struct buffer *text) {
    put_head(text, "cityhub_job_overdue_seconds",
             "Since a periodic job should have come through once more, 0 = it has: what it reads or does is that old.",
             "gauge");
    for (size_t i = 0; i < job_count; i++) {
        buffer_format(text, "cityhub_job_overdue_seconds{job=\"%s\"} %.3f\n", jobs[i].name, age_s(jobs[i].due_at_ms));
    }
}

static void put_routes(struct buffer *text) {
    static const char *const classes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    put_head(text, "cityhub_http_requests_total", "Requests by route and class of status; none: closed unanswered.",
             "counter");
    for (size_t i = 0; i < route_count; i++) {
        for (size_t class = 0; class < COUNT_OF(classes); class ++) {
            if (routes[i]->answers[class] > 0) {
                buffer_text(text, "cityhub_http_requests_total{");
                put_label(text, "route", routes[i]->route);
                buffer_format(text, ",class=\"%s\"} %llu\n", classes[class],
                              (unsigned long long)routes[i]->answers[class]);
            }
        }
    }
    put_head(text, "cityhub_http_route_seconds_total", "Seconds that a route's requests took, all together.",
             "counter");
    for (size_t i = 0; i < route_count; i++) {
        buffer_text(text, "cityhub_http_route_seconds_total{");
        put_label(text, "route", routes[i]->route);
        buffer_text(text, "} ");
        put_real(text, routes[i]->seconds);
    }
    put_head(text, "cityhub_http_request_seconds", "From a request's head to its answer's last byte.", "histogram");
    put_histogram(text, "cityhub_http_request_seconds", "", &metrics_request_s);
}

static void put_hub(struct buffer *text) {
    put_head(text, "cityhub_build_info", "1; the label is the version that runs.", "gauge");
    buffer_text(text, "cityhub_build_info{");
    put_label(text, "version", CITYHUB_VERSION);
    buffer_text(text, "} 1\n");
    for (size_t i = 0; i < COUNT_OF(hub_families); i++) {
        put_head(text, hub_families[i].name, hub_families[i].help, family_type(&hub_families[i]));
        buffer_format(text, "%s ", hub_families[i].name);
        put_value(text, &hub_families[i], &hub_metrics);
    }
}

/* ---- the process ---- */

/* The beginning of a file of /proc as text; false if it cannot be read. */
static bool read_file(const char *path, char *text, size_t size) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, size - 1);
    if (file >= 0) {
        close(file);
    }
    text[length < 0 ? 0 : length] = '\0';
    return length > 0;
}

/* proc(5): the second number of /proc/self/statm is the resident set in pages. */
static bool resident_bytes(double *bytes) {
    char text[256];
    char *at = text;
    if (!read_file("/proc/self/statm", text, sizeof text)) {
        return false;
    }
    strtoull(text, &at, 10);
    *bytes = (double)strtoull(at, NULL, 10) * (double)sysconf(_SC_PAGESIZE);
    return true;
}

static bool open_files(double *count) {
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) {
        return false;
    }
    *count = -1; /* the folder's own */
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        *count += entry->d_name[0] != '.';
    }
    closedir(folder);
    return true;
}

/* proc(5): field 22 of /proc/self/stat is the start in ticks since boot; field 2, the name in parentheses, may hold
 * anything, so the count starts behind it. Computed once: later steps of the clock must not move it. */
static bool start_time(double *seconds) {
    static double known;
    char text[1024];
    struct timespec now;
    struct timespec since_boot;
    if (known == 0 && read_file("/proc/self/stat", text, sizeof text)) {
        const char *field = strrchr(text, ')');
        for (int number = 2; field != NULL && number < 22; number++) {
            field = strchr(field + 1, ' ');
        }
        if (field != NULL && clock_gettime(CLOCK_REALTIME, &now) == 0 &&
            clock_gettime(CLOCK_BOOTTIME, &since_boot) == 0) {
            double boot = (double)(now.tv_sec - since_boot.tv_sec) + (double)(now.tv_nsec - since_boot.tv_nsec) / 1e9;
            known = boot + (double)strtoull(field, NULL, 10) / (double)sysconf(_SC_CLK_TCK);
        }
    }
    *seconds = known;
    return known != 0;
}

static bool cpu_seconds(double *seconds) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) {
        return false;
    }
    *seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    return true;
}

static bool most_files(double *count) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return false;
    }
    *count = (double)limit.rlim_cur;
    return true;
}

static void put_process(struct buffer *text) {
    static const struct {
        const char *name, *help, *type;
        bool (*read)(double *value);
    } families[] = {
        {"process_cpu_seconds_total", "User and system CPU time.", "counter", cpu_seconds},
        {"process_resident_memory_bytes", "Resident memory.", "gauge", resident_bytes},
        {"process_open_fds", "Open file descriptors.", "gauge", open_files},
        {"process_max_fds", "File descriptors that may be open.", "gauge", most_files},
        {"process_start_time_seconds", "Unix time of the process's start.", "gauge", start_time},
    };
    for (size_t i = 0; i < COUNT_OF(families); i++) {
        double value;
        if (families[i].read(&value)) {
            put_head(text, families[i].name, families[i].help, families[i].type);
            buffer_format(text, "%s ", families[i].name);
            put_real(text, value);
        }
    }
}

char *metrics_text(void) {
    struct buffer text = {0};
    put_hub(&text);
    put_lanes(&text);
    put_histograms(&text);
    put_jobs(&text);
    put_routes(&text);
    gateway_metrics_text(&text);
    put_process(&text);
    if (buffer_string(&text) == NULL) {
        buffer_free(&text);
        return NULL;
    }
    return text.data;
}

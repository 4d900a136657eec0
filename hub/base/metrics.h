/* metrics.h: what the hub counts: one struct a lane, one for the whole hub, written by whoever does the work and read
 * by /metrics and /api/v1/status. Belongs to the loop's thread; no locks. Counters only grow while the hub runs. */
#ifndef CITYHUB_METRICS_H
#define CITYHUB_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/base/text.h"

enum { HISTOGRAM_BUCKETS_MAX = 16, METRICS_LANES_MAX = 256, METRICS_ROUTES_MAX = 256, METRICS_JOBS_MAX = 16 };

/* Cumulative counts are made when shown: counts[i] has what fell into (bounds[i - 1], bounds[i]], counts[bound_count]
 * the rest. */
struct histogram {
    const double *bounds; /* ascending */
    size_t bound_count;   /* at most HISTOGRAM_BUCKETS_MAX */
    uint64_t counts[HISTOGRAM_BUCKETS_MAX + 1];
    double sum;
};
void histogram_observe(struct histogram *histogram, double value);

/* One lane: the metrics' labels are lane="<subsystem>-<number>" and subsystem="...". */
struct lane_metrics {
    char lane[64];
    const char *subsystem;
    bool connected;             /* the broker has accepted the lane and its subscription */
    uint64_t connects;          /* times that happened */
    uint64_t messages_received; /* by kind is not told apart */
    uint64_t bytes_received;    /* of payloads */
    uint64_t records_received;  /* good and bad */
    uint64_t records_committed; /* new ones, stored */
    uint64_t records_merged, records_revised, records_duplicate;
    uint64_t records_rejected; /* bad ones; their messages are in quarantine */
    uint64_t fields_rejected;  /* bad fields of records that are stored without them */
    uint64_t warnings;         /* readings out of range, no values, places outside, unknown fields */
    uint64_t messages_quarantined;
    uint64_t messages_redelivered;               /* that were committed, or held, already: passed over */
    uint64_t batches_committed, batches_settled; /* settled: of those, through the slow path */
    uint64_t batch_failures;                     /* tries of a batch that failed and were made again */
    int64_t queue_messages, queue_records;       /* in the batch that is not committed yet */
    int64_t committed_at_ms;                     /* when the last batch committed (UTC), 0 = none */
    int64_t oldest_at_ms;           /* when the oldest message arrived that is not stored yet (UTC), 0 = none */
    double batch_lag_s;             /* of the last committed batch: commit time - arrival of its first message */
    char failure[200];              /* why the last try of a batch failed that is not stored yet, "" = none did */
    struct histogram batch_records; /* records a batch */
    struct histogram commit_s;      /* seconds from handing a batch to the writer to its commit */
};

/* One route of the HTTP server: label route="GET /api/v1/status". */
struct route_metrics {
    char route[128];
    uint64_t answers[6]; /* by the status's first digit; [0] = closed without an answer */
    double seconds;      /* from the head's end to the answer's end, of all of them */
};

struct hub_metrics {
    int64_t started_at_ms;
    bool database_connected;
    uint64_t database_losses;                              /* connections lost */
    int64_t writers_idle, writers_connected, writer_queue; /* writer_queue: batches that wait for a writer */
    int64_t devices, vendors, alarm_rules;                 /* in the registry */
    uint64_t registry_loads;
    /* asked of the database now and then */
    int64_t devices_online, alarms_open, quarantine_waiting, outbox_waiting, quarantine_dropped;
    struct words database_advice;  /* which of the server's settings do not fit, and what to do; "" = all do */
    struct words calendar_warning; /* what the calendar lacks for deadlines; "" = nothing */
    struct words key_warning;      /* which terminals' keys are old, likewise */
    uint64_t outbox_sent, outbox_failures;
    int64_t state_dirty;                   /* devices whose state is not written yet */
    uint64_t alarms_opened, alarms_closed; /* by threshold rules */
    uint64_t jobs_run, jobs_failed;
    uint64_t pack_steps, days_packed;
    int64_t http_connections, http_streams; /* open; answers that stream */
    int64_t http_queue, http_queries;       /* requests that wait for a connection to the database; that have one */
    uint64_t http_cancelled;                /* whose client left or whose time was over before PostgreSQL answered */
    uint64_t http_refused;                  /* with 503 */
    uint64_t http_late, http_slow;          /* connections cut: over their time; not read by their client */
    int64_t http_logins;                    /* people whose password is being checked, or waits for it */
    uint64_t http_logins_refused;           /* because of too many tries, or too many people */
    uint64_t http_evicted;                  /* idle, or half a request, for others */
    uint64_t http_crowded;                  /* connections of an address that has too many */
    int64_t stream_clients, stream_filters; /* live streams; different filters of theirs */
    uint64_t stream_events;                 /* changes sent to clients, each counted for each */
    uint64_t stream_coalesced;              /* changes that a later one took the place of before anybody was told */
    uint64_t stream_resyncs;                /* clients told to read anew */
    uint64_t stream_cut;                    /* streams ended by the hub: not read, or their right is over */
    int64_t map_devices, map_alarms, map_cases;          /* points in memory */
    uint64_t tiles_encoded, tiles_warm, tiles_unchanged; /* made; from the cache; 304 */
    uint64_t basemap_fetched, basemap_kept;              /* pictures of base maps: from their sources; from the disk */
    uint64_t basemap_failed;                             /* sources that were away, refused, or gave no picture */
    int64_t basemap_waiting, basemap_kept_bytes;         /* fetches under way or waiting; on the disk */
};
extern struct hub_metrics hub_metrics;

struct job_metrics {
    const char *name;
    int64_t due_at_ms; /* Unix time by which it is to come through once more */
};

/* Seconds since the oldest message arrived that the lane has not stored yet; 0 = there is none. */
double metrics_lane_lag_s(const struct lane_metrics *lane);

/* A new lane's counters, zero, with its histograms' bounds; NULL if there are METRICS_LANES_MAX already or memory is
 * out. They stay until metrics_free. */
struct lane_metrics *metrics_lane_add(const char *lane, const char *subsystem);
size_t metrics_lane_count(void);
struct lane_metrics *metrics_lane_at(size_t index);
/* Likewise for a route. */
struct route_metrics *metrics_route_add(const char *route);
/* Likewise for a periodic job; one of a name. */
struct job_metrics *metrics_job_add(const char *name);
/* Seconds of all requests, by histogram. */
extern struct histogram metrics_request_s;
void metrics_free(void);

/* All of it in the Prometheus text format 0.0.4, plus the process's own (CPU seconds, resident bytes, open files, start
 * time). The caller frees; NULL = out of memory. */
char *metrics_text(void);

#endif

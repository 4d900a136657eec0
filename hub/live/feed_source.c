/* feed_source.c: rows of onemap.feed_changes into the feed. Must never take a change for told of which the answer did
 * not come: the snapshot moves on with the answer's end alone. */
#include "hub/live/feed_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/live/feed_internal.h"

enum {
    ASK_MS = 250,
    STALE_MS = 300000, /* feed_change keeps rows for twice as long */
    CHANGES_MAX = 10000,
    FROM_DATABASE = 1 << FEED_STATE | 1 << FEED_POSITION | 1 << FEED_ALARM | 1 << FEED_CASE | 1 << FEED_SCORE,
};

/* Statements of feed_source_sql, and columns of the last. */
enum { STATEMENT_BEGIN, STATEMENT_SNAPSHOT, STATEMENT_CHANGES };
enum { LAYER, ID, SUBSYSTEM, DEPARTMENT, WAS, LON, LAT, BODY, VENDOR, CODE, ONLINE, LAST_SEEN };

static void text_set(struct buffer *text, const char *bytes, size_t length) {
    enum { KEEP_BYTES = 4096 };
    buffer_reset(text, KEEP_BYTES);
    buffer_bytes(text, bytes, length);
}

void feed_source_begin(struct feed *feed, const char *snapshot, size_t length, uint64_t now_ms) {
    if (feed->kept && feed->snapshot.length == 0) {
        text_set(&feed->snapshot, snapshot, length);
        feed->read_ms = now_ms;
    }
}

bool feed_source_due(const struct feed *feed, uint64_t now_ms) {
    return feed->kept && feed->snapshot.length > 0 && now_ms - feed->asked_ms >= ASK_MS;
}

void feed_source_sql(struct feed *feed, uint64_t now_ms, struct buffer *sql) {
    feed->asked_ms = now_ms;
    feed->rows = 0;
    feed->backwards = false;
    feed->coming.length = 0;
    buffer_text(sql, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SELECT pg_catalog.pg_current_snapshot()::text,"
                     " pg_catalog.pg_snapshot_xmax(s.s) > pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())"
                     " FROM (SELECT ");
    buffer_literal(sql, feed->snapshot.data, feed->snapshot.length);
    buffer_text(sql, "::pg_catalog.pg_snapshot AS s) s; SELECT * FROM onemap.feed_changes(");
    buffer_literal(sql, feed->snapshot.data, feed->snapshot.length);
    buffer_format(sql, ", %d); COMMIT", CHANGES_MAX + 1);
    sql->failed = sql->failed || feed->snapshot.failed;
}

/* ---- rows ---- */

static int number(const PGresult *rows, int row, int column) {
    return PQgetisnull(rows, row, column) ? 0 : atoi(PQgetvalue(rows, row, column));
}

static enum feed_layer layer_of(const char *name) {
    enum feed_layer layer = FEED_STATE;
    while (layer < FEED_SCORE && strcmp(name, feed_layer_names[layer]) != 0) {
        layer++;
    }
    return layer;
}

static void take_left(struct feed *feed, enum feed_layer layer, const PGresult *rows, int row) {
    int64_t id = strtoll(PQgetvalue(rows, row, ID), NULL, 10);
    int now = number(rows, row, DEPARTMENT);
    for (const char *was = PQgetvalue(rows, row, WAS); *was != '\0';
         was += strcspn(was, ",") + (strchr(was, ',') != NULL)) {
        int department = atoi(was);
        if (department != now) {
            feed_left(feed, layer, id, department, now);
        }
    }
}

static void take_device(struct feed *feed, const struct registry *registry, enum feed_layer layer, const PGresult *rows,
                        int row) {
    const struct vendor *vendor =
        registry_vendor(registry, PQgetvalue(rows, row, SUBSYSTEM), PQgetvalue(rows, row, VENDOR));
    struct device *device =
        vendor == NULL ? NULL
                       : vendor_device(vendor, PQgetvalue(rows, row, CODE), (size_t)PQgetlength(rows, row, CODE));
    if (device == NULL || device->id == 0) {
        return;
    }
    int64_t at_ms = strtoll(PQgetvalue(rows, row, LAST_SEEN), NULL, 10);
    device->department = number(rows, row, DEPARTMENT); /* the registry's own answer comes a second later */
    if (layer == FEED_POSITION) {
        feed_place(feed, device, strtod(PQgetvalue(rows, row, LON), NULL), strtod(PQgetvalue(rows, row, LAT), NULL),
                   at_ms);
    } else if (!PQgetisnull(rows, row, ONLINE)) {
        feed_presence(feed, device, PQgetvalue(rows, row, ONLINE)[0] == 't', at_ms);
    }
}

static void take_text(struct feed *feed, enum feed_layer layer, const PGresult *rows, int row) {
    const struct adapter *adapter = adapter_find(PQgetvalue(rows, row, SUBSYSTEM));
    int64_t id = strtoll(PQgetvalue(rows, row, ID), NULL, 10);
    struct feed_where where = {.subsystem = adapter == NULL ? -1 : (int)adapter_index(adapter),
                               .department = number(rows, row, DEPARTMENT),
                               .placed = !PQgetisnull(rows, row, LON)};
    if (where.placed) {
        where.lon = strtod(PQgetvalue(rows, row, LON), NULL);
        where.lat = strtod(PQgetvalue(rows, row, LAT), NULL);
    }
    feed_text(feed, layer, id, &where, PQgetvalue(rows, row, BODY), (size_t)PQgetlength(rows, row, BODY));
}

void feed_source_take(struct feed *feed, const struct registry *registry, int statement, const PGresult *result) {
    if (statement == STATEMENT_SNAPSHOT && PQntuples(result) == 1) {
        text_set(&feed->coming, PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0));
        feed->backwards = PQgetvalue(result, 0, 1)[0] == 't';
    } else if (statement == STATEMENT_CHANGES && feed->kept) {
        feed->rows = (size_t)PQntuples(result);
        for (int row = 0; row < PQntuples(result) && feed->rows <= CHANGES_MAX; row++) {
            enum feed_layer layer = layer_of(PQgetvalue(result, row, LAYER));
            take_left(feed, layer, result, row);
            if (layer == FEED_STATE || layer == FEED_POSITION) {
                take_device(feed, registry, layer, result, row);
            } else {
                take_text(feed, layer, result, row);
            }
        }
    }
}

void feed_source_end(struct feed *feed, bool done) {
    if (!done || !feed->kept || feed->coming.length == 0 || feed->coming.failed) {
        return; /* the next asks from the same snapshot */
    }
    /* Too many at once; rows that may be gone; another database, or one put back: nobody knows what is missing. */
    if (feed->rows > CHANGES_MAX || feed->backwards || feed->asked_ms - feed->read_ms > STALE_MS) {
        feed_lost(feed, FROM_DATABASE);
    }
    feed->read_ms = feed->asked_ms;
    text_set(&feed->snapshot, feed->coming.data, feed->coming.length);
}

void feed_source_counters(struct feed *feed, int64_t devices_online, int64_t alarms_open) {
    static const struct feed_where everywhere = {.subsystem = -1};
    const int64_t now[] = {devices_online, alarms_open};
    if (!feed->kept || (feed->counted && memcmp(now, feed->counters, sizeof now) == 0)) {
        return;
    }
    char text[128];
    int length = snprintf(text, sizeof text, "{\"devices_online\":%lld,\"alarms_open\":%lld}",
                          (long long)devices_online, (long long)alarms_open);
    memcpy(feed->counters, now, sizeof now);
    feed->counted = true;
    feed_text(feed, FEED_COUNTER, 0, &everywhere, text, (size_t)length);
}

/* feed_source.h: what the feed learns from the database: alarms, cases and silent devices, whoever changed them. A job
 * of the hub's (jobs.c) asks, four times a second while somebody listens, for what its last snapshot did not see.
 * Does no I/O itself. */
#ifndef CITYHUB_FEED_SOURCE_H
#define CITYHUB_FEED_SOURCE_H

#include <libpq-fe.h>

#include "hub/base/buffer.h"
#include "hub/live/feed.h"

/* The clients read what this snapshot of PostgreSQL (pg_snapshot as text) sees: from there on they are told. Passed
 * over if the feed has one already. */
void feed_source_begin(struct feed *feed, const char *snapshot, size_t length, uint64_t now_ms);

/* Whether to ask now; the statements, if so. `now_ms`: of a clock that only runs forwards. */
bool feed_source_due(const struct feed *feed, uint64_t now_ms);
void feed_source_sql(struct feed *feed, uint64_t now_ms, struct buffer *sql);
/* One statement's answer, by its place among them; and the end of all, which did take place or did not. */
void feed_source_take(struct feed *feed, const struct registry *registry, int statement, const PGresult *result);
void feed_source_end(struct feed *feed, bool done);

/* Counters of the whole county, for those who see all: one JSON object; passed over if nothing has changed. */
void feed_source_counters(struct feed *feed, int64_t devices_online, int64_t alarms_open);

#endif

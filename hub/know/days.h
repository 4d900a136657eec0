/* days.h: which UTC days have their partitions of observation and track_point: asked of the database, marked as they
 * are made. A day is its number since 1970-01-01. Does no I/O. */
#ifndef CITYHUB_DAYS_H
#define CITYHUB_DAYS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    DAYS_FIRST = -40000, /* remembered from here, before any retention's reach, ... */
    DAYS_MAX = 131072,   /* ... and so many: to the year 2219. What is beyond is never there. */
};

/* Zeroed: none is known. */
struct days {
    uint8_t there[DAYS_MAX / 8];
};

/* Rows of one column, a day each: those, and no others, are there. */
extern const char days_sql[];
void days_take(struct days *days, const PGresult *rows);

bool days_has(const struct days *days, int64_t day);
void days_mark(struct days *days, int64_t day);
void days_forget(struct days *days); /* all */

int64_t days_of(int64_t ms); /* the day of a time, ms since 1970 */

#endif

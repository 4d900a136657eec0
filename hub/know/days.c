/* days.c: a bit a day. Does no I/O. */
#include "hub/know/days.h"

#include <stdlib.h>
#include <string.h>

enum { DAY_MS = 86400000 };

const char days_sql[] = "SELECT d - 'epoch'::date FROM onemap.partition_days() d";

void days_forget(struct days *days) {
    memset(days->there, 0, sizeof days->there);
}

void days_take(struct days *days, const PGresult *rows) {
    days_forget(days);
    for (int row = 0; row < PQntuples(rows); row++) {
        days_mark(days, strtoll(PQgetvalue(rows, row, 0), NULL, 10));
    }
}

bool days_has(const struct days *days, int64_t day) {
    int64_t place = day - DAYS_FIRST;
    return place >= 0 && place < DAYS_MAX && (days->there[place / 8] >> (place % 8) & 1) != 0;
}

void days_mark(struct days *days, int64_t day) {
    int64_t place = day - DAYS_FIRST;
    if (place >= 0 && place < DAYS_MAX) {
        days->there[place / 8] |= (uint8_t)(1U << (place % 8));
    }
}

int64_t days_of(int64_t ms) {
    return ms / DAY_MS - (ms % DAY_MS < 0);
}

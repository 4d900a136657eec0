/* simulate_cases.h: plays a month of cases in the synthetic county's database. */
#ifndef CITYHUB_SIMULATE_CASES_H
#define CITYHUB_SIMULATE_CASES_H

#include "hub/base/config.h"

struct simulate_cases_options {
    const char *month; /* such as 2026-10; NULL: the last full one */
    int count;         /* cases */
    int64_t seed;
};

/* Plays the month in one transaction: all of it is there afterwards, or nothing. Logs in as [database]
 * migrate_conninfo, else conninfo, which must be a member of cityhub_history. Shows its progress and, at the end, how
 * diligent each department was. Returns 0, or a code of error.h after telling why on standard error. */
int simulate_cases(const struct config *config, const struct simulate_cases_options *options);

#endif

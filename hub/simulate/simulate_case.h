/* simulate_case.h: a simulated month of cases: the county as the database tells it, and the life of one case. What a
 * department is like, and whatever else is chance, follows from the seed alone. Times are milliseconds since 1970. */
#ifndef CITYHUB_SIMULATE_CASE_H
#define CITYHUB_SIMULATE_CASE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "hub/base/member.h"
#include "hub/simulate/simulate_random.h"

struct case_department {
    const char *code, *name;
    bool street;
    double diligence;                /* 0 careless to 1 diligent */
    const struct cJSON **conditions; /* of the catalogue that it may be made responsible for */
    int condition_count;
    int cases; /* how many it was given */
};

/* The texts belong to `facts`. */
struct case_county {
    cJSON *facts; /* answer of simulation.month() */
    uint64_t seed;
    int64_t from_ms, to_ms, now_ms, offset_ms;
    struct case_department *departments;
    int department_count;
    const cJSON **cells, **alarms;
    int cell_count, alarm_count, alarm_next; /* alarms before alarm_next have their case */
    bool working[32];                        /* by day of the month */
};

/* Takes the facts over, also when it fails. Returns 0, CH_EINVAL (facts of which no case can be made) or CH_EMEMORY.
 */
int case_county_load(struct case_county *county, cJSON *facts, uint64_t seed);
void case_county_free(struct case_county *county);

/* Index of the department with this code, -1 if there is none. */
int case_county_department(const struct case_county *county, const char *code);

struct simulated_case {
    struct simulate_random random;
    int number;
    const cJSON *condition, *cell, *alarm; /* alarm: NULL unless the source is one */
    const char *source;
    int target, department; /* whose it is, and who has it (-1: nobody) */

    /* What the database last answered. */
    char code[40], state[16];
    int version;
    int64_t last_ms, deadline_ms;

    /* What comes next; action NULL: nothing more. */
    const char *action, *role;
    const char *reason;
    int64_t at_ms;
    int give_to;                       /* dispatch: department */
    const struct simulated_case *into; /* merge: the case that is kept */

    /* The department's plans. */
    int64_t span_ms, finish_ms;
    int reworks, returns;
    bool verified, refuted, planned, called, flagged;
    bool will_extend, extension_asked, will_suspend, suspension_asked, will_remind, will_supervise;
};

/* A case that is about to be reported. */
void case_life_begin(struct simulated_case *one, struct case_county *county, int number);

/* Takes in the answer to the action that was due, and decides what comes next. */
void case_life_answer(struct simulated_case *one, const struct case_county *county, const cJSON *answer);

/* The request of the action that is due, for onemap.case_report() (action "report") or onemap.case_do(). The caller
 * deletes. */
cJSON *case_life_request(struct simulated_case *one, const struct case_county *county);

/* Entries for the county's assessment of the month: {entries: [...], awards: [...]} for onemap.assessment_enter() and
 * onemap.assessment_award_enter(). `assessed`: rows of onemap.assessment_compute(). The caller deletes. */
cJSON *case_scores(const struct case_county *county, const cJSON *assessed);

#endif

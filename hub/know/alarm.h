/* alarm.h: threshold rules, judged record by record. Knows rules and conditions (who is beyond which limit since when);
 * what comes of a record is appended to the batch that holds it and becomes true in the database with that batch. Does
 * no I/O; onemap.alarm_apply() takes its operations. */
#ifndef CITYHUB_ALARM_H
#define CITYHUB_ALARM_H

#include <libpq-fe.h>

#include "hub/decode/decode.h"
#include "hub/know/registry.h"

struct alarms;

/* One change, in the order of records. `device` may have no id yet. */
struct alarm_operation {
    const struct device *device;
    int rule_id;
    enum alarm_action { ALARM_OPEN, ALARM_CLOSE, ALARM_PEND, ALARM_DROP } action;
    int64_t at_ms;
    double value;
};
extern const char *const alarm_action_names[]; /* the words of onemap.alarm_apply */

struct alarms *alarms_new(void); /* NULL = out of memory */
void alarms_free(struct alarms *alarms);

/* Rules, then the conditions that hold: all is forgotten and read anew. Between the two no record is judged, as both
 * come in one call of the loop. Before the database is asked, alarms_reading() is called: its answer may lack changes
 * that are not committed yet, or were committed meanwhile; for those, what is known here stands. Return 0 or
 * CH_EMEMORY. */
extern const char alarms_rules_sql[];
extern const char alarms_conditions_sql[];
void alarms_reading(struct alarms *alarms);
int alarms_take_rules(struct alarms *alarms, const PGresult *rows);
int alarms_take_conditions(struct alarms *alarms, const struct registry *registry, const PGresult *rows);
size_t alarms_rule_count(const struct alarms *alarms);

/* Judges one record. Calls `changed` for each change. A record older than one that was judged already, and readings
 * with a quality flag, are left out. Returns 0 or CH_EMEMORY. */
typedef void alarm_changed(void *user, const struct alarm_operation *operation);
int alarms_judge(struct alarms *alarms, struct device *device, const struct record *record, alarm_changed *changed,
                 void *user);

/* The batch with these operations is committed. */
void alarms_settled(struct alarms *alarms, const struct alarm_operation *operations, size_t count);

#endif

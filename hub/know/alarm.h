/* alarm.h: threshold rules, judged record by record. Knows rules and conditions (who is beyond which limit since when);
 * what comes of a record is appended to the batch that holds it and becomes true in the database with that batch. Does
 * no I/O; onemap.alarm_apply() takes its operations. */
#ifndef CITYHUB_ALARM_H
#define CITYHUB_ALARM_H

#include <libpq-fe.h>

#include "hub/decode/decode.h"
#include "hub/know/registry.h"

struct alarms;

/* Of a device and a rule: within its limit, beyond it but not yet for the rule's duration, an alarm is open. */
enum alarm_state { ALARM_STATE_NORMAL, ALARM_STATE_PENDING, ALARM_STATE_OPEN };

/* One change, in the order of records. `device` may have no id yet. */
struct alarm_operation {
    struct device *device;
    int rule_id;
    /* MARK: an open alarm stays open, and now a reading was beyond the instrument's range */
    enum alarm_action { ALARM_OPEN, ALARM_CLOSE, ALARM_PEND, ALARM_DROP, ALARM_MARK } action;
    int64_t at_ms;
    double value;
    bool out_of_range;    /* the value is beyond the metric's physical range */
    uint32_t message;     /* the batch's: the message that it comes of, and is refused with */
    enum alarm_state was; /* before, and since when it was pending, and what its alarm said: for alarms_undo */
    int64_t was_since_ms;
    bool was_out_of_range;
};
extern const char *const alarm_action_names[]; /* the words of onemap.alarm_apply */

struct alarms *alarms_new(void); /* NULL = out of memory */
void alarms_free(struct alarms *alarms);

/* Rules, then the conditions that hold: what is here gives way to what the database says. Between the two no record is
 * judged, as both come in one call of the loop. Before the database is asked, alarms_reading() is called: its answer
 * may lack changes that are not committed yet, or were committed meanwhile; for those, what is known here stands.
 * Return 0, or CH_EMEMORY: then what was known before stands. */
extern const char alarms_rules_sql[];
extern const char alarms_conditions_sql[];
void alarms_reading(struct alarms *alarms);
int alarms_take_rules(struct alarms *alarms, const PGresult *rows);
int alarms_take_conditions(struct alarms *alarms, const struct registry *registry, const PGresult *rows);
size_t alarms_rule_count(const struct alarms *alarms);

/* Judges one record. Calls `changed` for each change, which is made only if that returns 0. A record older than one
 * that was judged already is left out. A reading outside the metric's range is judged by the rules whose danger lies on
 * that side; on the others it has no effect, be an alarm open or not. Returns 0 or CH_EMEMORY: then a part of it may
 * have been judged. */
typedef int alarm_changed(void *user, const struct alarm_operation *operation);
int alarms_judge(struct alarms *alarms, struct device *device, const struct record *record, alarm_changed *changed,
                 void *user);

/* The last of all changes, none of them committed, are taken back. */
void alarms_undo(struct alarms *alarms, const struct alarm_operation *operations, size_t count);

/* The batch with these operations is committed. */
void alarms_settled(struct alarms *alarms, const struct alarm_operation *operations, size_t count);

#endif

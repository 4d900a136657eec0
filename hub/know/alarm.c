/* alarm.c: threshold rules. A condition that is normal is kept only while a change of it is not committed. Does no I/O;
 * must never open a second alarm of a device and rule. */
#include "hub/know/alarm.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"

enum comparison { COMPARISON_ABOVE, COMPARISON_BELOW, COMPARISON_EQUALS };

struct rule {
    int id;
    unsigned bit; /* metric's ordinal - 1 */
    int kind;     /* place in the adapter's kinds, -1 = every kind */
    enum comparison comparison;
    double threshold, clear;
    double min; /* of the metric's physical range */
    int64_t duration_ms;
    int window_from, window_to; /* minutes of the local day; -1 = always */
};

struct rule_list {
    struct rule *rules;
    size_t count;
    uint64_t bits; /* metrics that any of them judges */
};

struct condition_key {
    struct device *device;
    int64_t rule_id;
};

struct condition {
    struct condition_key key;
    enum alarm_state state;
    bool fresh;         /* a change was committed while conditions were being read */
    bool out_of_range;  /* of an open one: its alarm says that a reading was beyond the instrument */
    uint32_t unsettled; /* changes that are not committed */
    int64_t since_ms;   /* of a pending one */
    UT_hash_handle hh;
};

struct alarms {
    struct rule_list *lists; /* one an adapter, in the order of adapters[] */
    struct condition *conditions;
    bool reading;            /* the database has been asked for conditions */
    int64_t local_offset_ms; /* county's time - UTC */
    size_t rule_count;
};

const char *const alarm_action_names[] = {[ALARM_OPEN] = "open",
                                          [ALARM_CLOSE] = "close",
                                          [ALARM_PEND] = "pend",
                                          [ALARM_DROP] = "drop",
                                          [ALARM_MARK] = "mark"};

/* The county's offset from UTC is read with the rules: China has no summer time. A county that had would be off until
 * the rules are read again, which the hub does every hour. */
const char alarms_rules_sql[] =
    "SELECT r.id, r.subsystem, m.ordinal, r.device_kind, r.comparison, r.threshold, r.clear_threshold, r.duration_s,"
    " pg_catalog.date_part('epoch', r.window_from)::int / 60, pg_catalog.date_part('epoch', r.window_to)::int / 60,"
    " pg_catalog.date_part('epoch', (now() AT TIME ZONE onemap.setting('time_zone')) - (now() AT TIME ZONE 'UTC'))::int"
    " FROM onemap.alarm_rule r JOIN onemap.metric m ON m.subsystem = r.subsystem AND m.key = r.metric"
    " WHERE r.enabled AND r.kind = 'threshold' AND m.kind <> 'text' ORDER BY r.id";

const char alarms_conditions_sql[] =
    "SELECT d.subsystem, d.vendor, d.code, c.rule_id, c.open, (pg_catalog.date_part('epoch', c.since) * 1000)::bigint,"
    " c.out_of_range FROM ("
    "SELECT a.device_id, a.rule_id, true AS open, a.opened_at AS since, a.detail ? 'out_of_range' AS out_of_range"
    " FROM onemap.alarm a WHERE a.closed_at IS NULL"
    " UNION ALL SELECT p.device_id, p.rule_id, false, p.since, false FROM onemap.alarm_pending p) c"
    " JOIN onemap.alarm_rule r ON r.id = c.rule_id AND r.kind = 'threshold' AND r.enabled"
    " JOIN onemap.device d ON d.id = c.device_id ORDER BY c.open DESC";

struct alarms *alarms_new(void) {
    struct alarms *alarms = calloc(1, sizeof *alarms);
    if (alarms != NULL && (alarms->lists = calloc(adapter_count, sizeof *alarms->lists)) == NULL) {
        free(alarms);
        return NULL;
    }
    return alarms;
}

static void condition_remove(struct alarms *alarms, struct condition *condition) {
    condition->key.device->conditions--;
    HASH_DEL(alarms->conditions, condition);
    free(condition);
}

static void lists_free(struct rule_list *lists) {
    for (size_t i = 0; lists != NULL && i < adapter_count; i++) {
        free(lists[i].rules);
    }
    free(lists);
}

/* The database knows of it all that is known here. */
static bool is_settled(const struct condition *condition) {
    return condition->unsettled == 0 && !condition->fresh;
}

/* A normal condition of which the database knows is as good as none. */
static void condition_tidy(struct alarms *alarms, struct condition *condition) {
    if (condition->state == ALARM_STATE_NORMAL && is_settled(condition)) {
        condition_remove(alarms, condition);
    }
}

void alarms_free(struct alarms *alarms) {
    if (alarms != NULL) {
        struct condition *next;
        struct condition *condition = alarms->conditions;
        HASH_CLEAR(hh, alarms->conditions); /* the conditions stay, in their order */
        for (; condition != NULL; condition = next) {
            next = condition->hh.next;
            condition->key.device->conditions--;
            free(condition);
        }
        lists_free(alarms->lists);
        free(alarms);
    }
}

static int minute_of(const PGresult *rows, int row, int column) {
    return PQgetisnull(rows, row, column) ? -1 : atoi(PQgetvalue(rows, row, column));
}

static struct rule rule_of(const struct adapter *adapter, const PGresult *rows, int row) {
    const char *comparison = PQgetvalue(rows, row, 4);
    struct rule rule = {
        .id = atoi(PQgetvalue(rows, row, 0)),
        .bit = (unsigned)atoi(PQgetvalue(rows, row, 2)) - 1,
        .kind = adapter_kind(adapter, PQgetvalue(rows, row, 3)),
        .comparison = strcmp(comparison, "above") == 0   ? COMPARISON_ABOVE
                      : strcmp(comparison, "below") == 0 ? COMPARISON_BELOW
                                                         : COMPARISON_EQUALS,
        .threshold = strtod(PQgetvalue(rows, row, 5), NULL),
        .duration_ms = strtoll(PQgetvalue(rows, row, 7), NULL, 10) * 1000,
        .window_from = minute_of(rows, row, 8),
        .window_to = minute_of(rows, row, 9),
    };
    for (size_t i = 0; i < adapter->metric_count; i++) {
        if (adapter->metrics[i].ordinal == (int)rule.bit + 1) {
            rule.min = adapter->metrics[i].min;
        }
    }
    rule.clear = PQgetisnull(rows, row, 6) ? rule.threshold : strtod(PQgetvalue(rows, row, 6), NULL);
    return rule;
}

void alarms_reading(struct alarms *alarms) {
    alarms->reading = true;
}

int alarms_take_rules(struct alarms *alarms, const PGresult *rows) {
    struct rule_list *lists = calloc(adapter_count, sizeof *lists);
    size_t rule_count = 0;
    for (int row = 0; lists != NULL && row < PQntuples(rows); row++) {
        const struct adapter *adapter = adapter_find(PQgetvalue(rows, row, 1));
        if (adapter == NULL) {
            continue;
        }
        struct rule_list *list = &lists[adapter_index(adapter)];
        struct rule *grown = realloc(list->rules, (list->count + 1) * sizeof *grown);
        if (grown == NULL) {
            lists_free(lists);
            return CH_EMEMORY;
        }
        list->rules = grown;
        struct rule rule = rule_of(adapter, rows, row);
        list->rules[list->count++] = rule;
        list->bits |= UINT64_C(1) << (rule.bit & 63);
        rule_count++;
        alarms->local_offset_ms = strtoll(PQgetvalue(rows, row, 10), NULL, 10) * 1000;
    }
    if (lists == NULL) {
        return CH_EMEMORY;
    }
    lists_free(alarms->lists);
    alarms->lists = lists;
    alarms->rule_count = rule_count;
    return 0;
}

static struct condition *condition_find(const struct alarms *alarms, struct device *device, int rule_id) {
    struct condition_key key = {.device = device, .rule_id = rule_id};
    struct condition *found;
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): the key has no padding, all of it is set */
    HASH_FIND(hh, alarms->conditions, &key, sizeof key, found);
    return found;
}

static struct condition *condition_add(struct alarms *alarms, struct device *device, int rule_id) {
    struct condition *condition = calloc(1, sizeof *condition);
    if (condition != NULL) {
        condition->key = (struct condition_key){.device = device, .rule_id = rule_id};
        HASH_ADD(hh, alarms->conditions, key, sizeof condition->key, condition);
        if (condition->hh.tbl == NULL) {
            free(condition);
            return NULL;
        }
        device->conditions++;
    }
    return condition;
}

/* The condition that a row names, NULL if the device is not known here. */
static struct condition *condition_of(const struct alarms *alarms, const struct registry *registry,
                                      const PGresult *rows, int row, struct device **device) {
    const struct vendor *vendor = registry_vendor(registry, PQgetvalue(rows, row, 0), PQgetvalue(rows, row, 1));
    *device =
        vendor == NULL ? NULL : vendor_device(vendor, PQgetvalue(rows, row, 2), (size_t)PQgetlength(rows, row, 2));
    return *device == NULL ? NULL : condition_find(alarms, *device, atoi(PQgetvalue(rows, row, 3)));
}

int alarms_take_conditions(struct alarms *alarms, const struct registry *registry, const PGresult *rows) {
    struct condition *condition, *next;
    struct device *device;
    /* First all that needs memory: normal ones that nothing depends on yet. */
    for (int row = 0; row < PQntuples(rows); row++) {
        condition = condition_of(alarms, registry, rows, row, &device);
        if (condition == NULL && device != NULL &&
            condition_add(alarms, device, atoi(PQgetvalue(rows, row, 3))) == NULL) {
            return CH_EMEMORY;
        }
    }
    HASH_ITER(hh, alarms->conditions, condition, next) {
        condition->state = is_settled(condition) ? ALARM_STATE_NORMAL : condition->state;
    }
    for (int row = 0; row < PQntuples(rows); row++) {
        condition = condition_of(alarms, registry, rows, row, &device);
        if (condition != NULL && is_settled(condition) && condition->state == ALARM_STATE_NORMAL) {
            condition->state = PQgetvalue(rows, row, 4)[0] == 't' ? ALARM_STATE_OPEN : ALARM_STATE_PENDING;
            condition->since_ms = strtoll(PQgetvalue(rows, row, 5), NULL, 10);
            condition->out_of_range = PQgetvalue(rows, row, 6)[0] == 't';
        }
    }
    alarms->reading = false;
    HASH_ITER(hh, alarms->conditions, condition, next) {
        condition->fresh = false;
        condition_tidy(alarms, condition);
    }
    return 0;
}

void alarms_undo(struct alarms *alarms, const struct alarm_operation *operations, size_t count) {
    for (size_t i = count; i > 0; i--) {
        const struct alarm_operation *operation = &operations[i - 1];
        struct condition *condition = condition_find(alarms, operation->device, operation->rule_id);
        condition->state = operation->was;
        condition->since_ms = operation->was_since_ms;
        condition->out_of_range = operation->was_out_of_range;
        condition->unsettled--;
        condition_tidy(alarms, condition);
    }
}

void alarms_settled(struct alarms *alarms, const struct alarm_operation *operations, size_t count) {
    for (size_t i = 0; i < count && alarms->conditions != NULL; i++) { /* what is not settled is not forgotten */
        struct condition *condition = condition_find(alarms, operations[i].device, operations[i].rule_id);
        condition->unsettled--;
        condition->fresh = condition->fresh || alarms->reading;
        condition_tidy(alarms, condition);
    }
}

size_t alarms_rule_count(const struct alarms *alarms) {
    return alarms->rule_count;
}

static bool within_window(const struct alarms *alarms, const struct rule *rule, int64_t at_ms) {
    if (rule->window_from < 0) {
        return true;
    }
    int64_t day_ms = INT64_C(86400000);
    int64_t of_day = ((at_ms + alarms->local_offset_ms) % day_ms + day_ms) % day_ms;
    int minute = (int)(of_day / 60000);
    return rule->window_from <= rule->window_to ? minute >= rule->window_from && minute < rule->window_to
                                                : minute >= rule->window_from || minute < rule->window_to;
}

static bool is_beyond(const struct rule *rule, double value) {
    return rule->comparison == COMPARISON_ABOVE   ? value > rule->threshold
           : rule->comparison == COMPARISON_BELOW ? value < rule->threshold
                                                  : fabs(value - rule->threshold) < 1e-9;
}

/* Between threshold and clear an open alarm stays open. */
static bool is_over(const struct rule *rule, double value) {
    return rule->comparison == COMPARISON_ABOVE   ? value <= rule->clear
           : rule->comparison == COMPARISON_BELOW ? value >= rule->clear
                                                  : !is_beyond(rule, value);
}

static bool is_flagged(const struct rule *rule, const struct record *record) {
    return (record->quality >> rule->bit & 1) != 0;
}

/* A reading beyond the instrument's range is the worst moment of what the rule is for if it is beyond on the rule's
 * side: what it says is the least that is true. A flagged one that is not below the metric's range is above it, or
 * above the instrument's as the sender says. One that is out on the other side says nothing. */
static bool is_judged(const struct rule *rule, const struct record *record) {
    double value = record->values[rule->bit];
    return !is_flagged(rule, record) || (rule->comparison == COMPARISON_ABOVE   ? value >= rule->min
                                         : rule->comparison == COMPARISON_BELOW ? value < rule->min
                                                                                : false);
}

static struct alarm_operation operation_of(const struct condition *condition, const struct rule *rule,
                                           const struct record *record, enum alarm_action action) {
    return (struct alarm_operation){.device = condition->key.device,
                                    .rule_id = rule->id,
                                    .action = action,
                                    .at_ms = record->observed_at_ms,
                                    .value = record->values[rule->bit],
                                    .out_of_range = is_flagged(rule, record),
                                    .was = condition->state,
                                    .was_since_ms = condition->since_ms,
                                    .was_out_of_range = condition->out_of_range};
}

/* An open alarm that stays open: the first reading beyond the instrument's range is written into it. */
static int mark(struct condition *condition, const struct rule *rule, const struct record *record,
                alarm_changed *changed, void *user) {
    struct alarm_operation operation = operation_of(condition, rule, record, ALARM_MARK);
    if (!operation.out_of_range || condition->out_of_range) {
        return 0;
    }
    if (changed(user, &operation) != 0) {
        return CH_EMEMORY;
    }
    condition->out_of_range = true;
    condition->unsettled++;
    return 0;
}

static int judge_rule(struct alarms *alarms, const struct rule *rule, struct device *device,
                      const struct record *record, alarm_changed *changed, void *user) {
    double value = record->values[rule->bit];
    struct condition *condition = device->conditions == 0 ? NULL : condition_find(alarms, device, rule->id);
    enum alarm_state was = condition == NULL ? ALARM_STATE_NORMAL : condition->state;
    bool within = within_window(alarms, rule, record->observed_at_ms);
    bool beyond = within && is_beyond(rule, value);
    bool unsure = within && !beyond && is_flagged(rule, record); /* what is true may be beyond the limit */
    if (was == ALARM_STATE_OPEN && within && (unsure || !is_over(rule, value))) {
        return mark(condition, rule, record, changed, user);
    }
    if (unsure || (was == ALARM_STATE_NORMAL && !beyond)) {
        return 0; /* it stays as it is */
    }
    if (condition == NULL && (condition = condition_add(alarms, device, rule->id)) == NULL) {
        return CH_EMEMORY;
    }
    enum alarm_state becomes = ALARM_STATE_NORMAL;
    int64_t since_ms = condition->since_ms;
    struct alarm_operation operation = operation_of(condition, rule, record, ALARM_DROP);
    if (was == ALARM_STATE_OPEN || !beyond) {
        operation.action = was == ALARM_STATE_OPEN ? ALARM_CLOSE : ALARM_DROP;
    } else {
        since_ms = was == ALARM_STATE_NORMAL ? record->observed_at_ms : since_ms;
        bool lasts = record->observed_at_ms - since_ms >= rule->duration_ms;
        if (was == ALARM_STATE_PENDING && !lasts) {
            return 0;
        }
        operation.action = lasts ? ALARM_OPEN : ALARM_PEND;
        becomes = lasts ? ALARM_STATE_OPEN : ALARM_STATE_PENDING;
    }
    if (changed(user, &operation) != 0) {
        condition_tidy(alarms, condition);
        return CH_EMEMORY;
    }
    condition->state = becomes;
    condition->since_ms = since_ms;
    condition->out_of_range = becomes == ALARM_STATE_OPEN && operation.out_of_range;
    condition->unsettled++;
    return 0;
}

int alarms_judge(struct alarms *alarms, struct device *device, const struct record *record, alarm_changed *changed,
                 void *user) {
    if (record->observed_at_ms < device->evaluated_ms) {
        return 0;
    }
    device->evaluated_ms = record->observed_at_ms;
    const struct rule_list *list = &alarms->lists[adapter_index(device->vendor->adapter)];
    if ((record->present & list->bits) == 0) {
        return 0;
    }
    int result = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct rule *rule = &list->rules[i];
        if ((record->present >> rule->bit & 1) != 0 && (rule->kind < 0 || rule->kind == device->kind) &&
            is_judged(rule, record)) {
            int code = judge_rule(alarms, rule, device, record, changed, user);
            result = code != 0 ? code : result;
        }
    }
    return result;
}

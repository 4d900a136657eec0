/* dialect_read.c: see dialect_read.h. Must never write beyond the reason, however long a file's keys are. */
#include "hub/gateway/dialect_read.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/member.h"

/* Units that can be converted into each other: those of one quantity. */
static const struct unit {
    const char *name;
    int quantity;
    double factor;
} units[] = {
    {"ng/m3", 1, 1e-9}, {"ug/m3", 1, 1e-6}, {"mg/m3", 1, 1e-3},  {"g/m3", 1, 1},   {"Pa", 2, 1},
    {"hPa", 2, 100},    {"kPa", 2, 1000},   {"MPa", 2, 1000000}, {"m3/h", 3, 1},   {"m3/s", 3, 3600},
    {"L/s", 3, 3.6},    {"kg/h", 4, 1},     {"g/s", 4, 3.6},     {"t/h", 4, 1000},
};

bool dialect_fault(struct dialect_parser *parser, const char *key, const char *format, ...) {
    va_list arguments;
    int used = snprintf(parser->problem, DIALECT_PROBLEM_MAX, "%s%.40s: ", parser->place, key);
    va_start(arguments, format);
    vsnprintf(parser->problem + used, (size_t)(DIALECT_PROBLEM_MAX - used), format, arguments);
    va_end(arguments);
    return false;
}

bool dialect_know_keys(struct dialect_parser *parser, const cJSON *object, const char *const *known, size_t count) {
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        bool found = false;
        for (size_t i = 0; i < count && !found; i++) {
            found = strcmp(member->string, known[i]) == 0;
        }
        if (!found) {
            return dialect_fault(parser, member->string, "there is no such key here");
        }
        if (member_get(object, member->string) != member) {
            return dialect_fault(parser, member->string, "stands here twice");
        }
    }
    return true;
}

bool dialect_read_number(struct dialect_parser *parser, const cJSON *object, const char *key, double *number) {
    const cJSON *item = member_get(object, key);
    if (item != NULL && (!cJSON_IsNumber(item) || !isfinite(item->valuedouble))) {
        return dialect_fault(parser, key, "must be a number");
    }
    *number = item == NULL ? *number : item->valuedouble;
    return true;
}

static const struct unit *find_unit(const char *name) {
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (strcmp(units[i].name, name) == 0) {
            return &units[i];
        }
    }
    return NULL;
}

bool dialect_read_unit(struct dialect_parser *parser, const cJSON *object, const struct metric *metric, double *scale) {
    const cJSON *item = member_get(object, "unit");
    if (item == NULL) {
        return true;
    }
    const struct unit *from = cJSON_IsString(item) ? find_unit(item->valuestring) : NULL;
    const struct unit *to = find_unit(metric->unit);
    if (cJSON_IsString(item) && strcmp(item->valuestring, metric->unit) == 0) {
        return true;
    }
    if (from == NULL || to == NULL || from->quantity != to->quantity) {
        char fitting[120] = "";
        for (size_t i = 0; to != NULL && i < COUNT_OF(units); i++) {
            if (units[i].quantity == to->quantity && &units[i] != to) {
                snprintf(fitting + strlen(fitting), sizeof fitting - strlen(fitting), ", %s", units[i].name);
            }
        }
        return dialect_fault(parser, "unit", "must be one of %s%s", metric->unit, fitting);
    }
    *scale *= from->factor / to->factor;
    return true;
}

/* dialect_read.c: see dialect_read.h. Must never write beyond the reason, however long a file's keys are. */
#include "hub/gateway/dialect_read.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hub/base/member.h"

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

/* message.c: one record by its template. Must never send what the template does not name. */
#include "hub/exchange/message.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hub/base/member.h"

enum { COUNTY_OFFSET_MINUTES = 480, TIME_TEXT = 80 };

static cJSON *special(const struct outgoing *record, const char *name) {
    if (strcmp(name, "$number") == 0) {
        return cJSON_CreateString(record->number);
    }
    if (strcmp(name, "$record") == 0) {
        return cJSON_CreateString(record->record);
    }
    if (strcmp(name, "$version") == 0) {
        return cJSON_CreateNumber(atof(record->version));
    }
    if (strcmp(name, "$hash") == 0) {
        return cJSON_CreateString(record->hash);
    }
    if (strcmp(name, "$content") == 0) {
        return cJSON_CreateString(record->text);
    }
    if (strcmp(name, "$correction") == 0) {
        return cJSON_CreateBool(strcmp(record->version, "1") != 0);
    }
    return cJSON_CreateString(record->resource);
}

/* A code's text: "20102" for a text and for a number. */
static const char *code_text(const cJSON *value, char text[static 32]) {
    if (cJSON_IsNumber(value)) {
        member_key(value, text, 32);
        return text;
    }
    return cJSON_IsBool(value) ? (cJSON_IsTrue(value) ? "true" : "false") : cJSON_GetStringValue(value);
}

static cJSON *mapped(const struct platform *target, const cJSON *field, const cJSON *value, const char *name,
                     char *problem) {
    char room[32];
    const cJSON *map = member_get(target->maps, member_text(field, "map"));
    const char *code = code_text(value, room);
    const cJSON *found = code == NULL ? NULL : member_get(member_get(map, "values"), code);
    if (found == NULL) {
        found = member_get(map, "otherwise");
    }
    if (found == NULL) {
        snprintf(problem, MESSAGE_PROBLEM_MAX, "%s: map %s has no \"%s\"", name, member_text(field, "map"),
                 code == NULL ? "" : code);
        return NULL;
    }
    return cJSON_Duplicate(found, true);
}

/* From "2026-11-27T08:00:00.123456+00:00" or "2026-11-27"; false if it is neither. */
static bool moment_read(const char *text, int64_t *seconds, int *milliseconds) {
    struct tm parts = {.tm_mday = 1};
    const char *rest = text == NULL ? NULL : strptime(text, "%Y-%m-%d", &parts);
    *milliseconds = 0;
    if (rest != NULL && *rest == 'T') {
        rest = strptime(rest, "T%H:%M:%S", &parts);
        if (rest != NULL && *rest == '.') {
            *milliseconds = (int)(atof(rest) * 1000);
            rest += 1 + strspn(rest + 1, "0123456789");
        }
        if (rest == NULL || strcmp(rest, "+00:00") != 0) {
            return false;
        }
    } else if (rest == NULL || *rest != '\0') {
        return false;
    }
    *seconds = timegm(&parts);
    return true;
}

/* format: strftime's words, "unix" (seconds) or "unix_ms"; a day has no clock and is not moved. */
static cJSON *time_value(const cJSON *field, const cJSON *value) {
    const char *text = cJSON_GetStringValue(value), *format = member_text(field, "format");
    char shown[TIME_TEXT];
    int64_t seconds;
    int milliseconds;
    if (!moment_read(text, &seconds, &milliseconds)) {
        return NULL;
    }
    if (strcmp(format, "unix") == 0) {
        return cJSON_CreateNumber((double)seconds);
    }
    if (strcmp(format, "unix_ms") == 0) {
        return cJSON_CreateNumber((double)seconds * 1000 + milliseconds);
    }
    time_t moved = (time_t)seconds;
    if (strchr(text, 'T') != NULL) {
        moved += (time_t)member_number(field, "offset_minutes", COUNTY_OFFSET_MINUTES) * 60;
    }
    struct tm parts;
    gmtime_r(&moved, &parts);
    const char *form = *format != '\0' ? format : strchr(text, 'T') == NULL ? "%Y-%m-%d" : "%Y-%m-%d %H:%M:%S";
    return strftime(shown, sizeof shown, form, &parts) == 0 ? NULL : cJSON_CreateString(shown);
}

static cJSON *typed(const cJSON *field, const cJSON *value) {
    const char *type = member_text(field, "type");
    char room[32];
    if (strcmp(type, "time") == 0) {
        return time_value(field, value);
    }
    if (strcmp(type, "integer") == 0) {
        return cJSON_IsNumber(value) ? cJSON_CreateNumber(round(value->valuedouble)) : NULL;
    }
    if (strcmp(type, "number") == 0) {
        return cJSON_IsNumber(value) ? cJSON_CreateNumber(value->valuedouble) : NULL;
    }
    if (strcmp(type, "boolean") == 0) {
        return cJSON_IsBool(value) ? cJSON_CreateBool(cJSON_IsTrue(value)) : NULL;
    }
    if (strcmp(type, "text") == 0) {
        if (cJSON_IsArray(value) || cJSON_IsObject(value)) {
            char *text = cJSON_PrintUnformatted(value);
            cJSON *shown = text == NULL ? NULL : cJSON_CreateString(text);
            cJSON_free(text);
            return shown;
        }
        return cJSON_CreateString(code_text(value, room));
    }
    return cJSON_Duplicate(value, true);
}

/* The field's value; NULL with no problem = it has none and is left out. */
static cJSON *field_value(const struct platform *target, const struct outgoing *record, const cJSON *field,
                          char *problem) {
    const char *name = field->string, *from = member_text(field, "from");
    const cJSON *constant = member_get(field, "value"), *otherwise = member_get(field, "otherwise");
    if (constant != NULL) {
        return cJSON_Duplicate(constant, true);
    }
    cJSON *own = *from == '$' ? special(record, from) : NULL;
    const cJSON *value = own != NULL ? own : member_get(record->content, from);
    cJSON *result = NULL;
    if (value == NULL || cJSON_IsNull(value)) {
        if (otherwise != NULL) {
            result = cJSON_Duplicate(otherwise, true);
        } else if (member_true(field, "required")) {
            snprintf(problem, MESSAGE_PROBLEM_MAX, "%s: must be there, and the record has no %s", name, from);
        }
    } else if (member_get(field, "map") != NULL) {
        result = mapped(target, field, value, name, problem);
    } else {
        result = typed(field, value);
        if (result == NULL) {
            snprintf(problem, MESSAGE_PROBLEM_MAX, "%s: %s is no %s", name, from, member_text(field, "type"));
        }
    }
    cJSON_Delete(own);
    return result;
}

cJSON *message_record(const struct platform *target, const struct outgoing *record,
                      char problem[static MESSAGE_PROBLEM_MAX]) {
    const cJSON *field;
    cJSON *object = cJSON_CreateObject();
    *problem = '\0';
    cJSON_ArrayForEach(field, member_get(platform_resource(target, record->resource), "fields")) {
        cJSON *value = field_value(target, record, field, problem);
        if (*problem != '\0') {
            cJSON_Delete(object);
            return NULL;
        }
        if (value != NULL) {
            cJSON_AddItemToObject(object, field->string, value);
        }
    }
    if (object == NULL) {
        snprintf(problem, MESSAGE_PROBLEM_MAX, "out of memory");
    }
    return object;
}

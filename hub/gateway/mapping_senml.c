/* mapping_senml.c: SenML (RFC 8428) as records of device, time, name and value. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/member.h"
#include "hub/gateway/mapping.h"

enum { NAME_MOST = 256 };

#define RELATIVE_BEFORE 268435456.0 /* 2^28 s: smaller times are relative to now (RFC 8428, 4.5.3) */

struct base {
    char name[NAME_MOST];
    double time, value;
};

/* False = the member is there and is no number. */
static bool take_number(const cJSON *entry, const char *name, double *number) {
    const cJSON *member = member_get(entry, name);
    return member == NULL || cJSON_IsNull(member) || mapping_number(member, number);
}

/* NULL = there is none. What is to be a number and is none is kept as it came: it is not the base alone. */
static cJSON *copy_value(const cJSON *entry, double base) {
    static const char *const others[] = {"vs", "vb", "vd", "s"};
    const cJSON *number = member_get(entry, "v");
    if ((number == NULL || cJSON_IsNull(number)) && base == 0) {
        for (size_t i = 0; i < COUNT_OF(others); i++) {
            if (member_get(entry, others[i]) != NULL) {
                return cJSON_Duplicate(member_get(entry, others[i]), true);
            }
        }
        return NULL;
    }
    double value = 0;
    bool good = take_number(entry, "v", &value) && isfinite(base + value);
    return good ? cJSON_CreateNumber(base + value) : cJSON_Duplicate(base == 0 ? number : entry, true);
}

static void base_take(struct base *base, const cJSON *entry) {
    if (cJSON_IsString(member_get(entry, "bn"))) {
        snprintf(base->name, sizeof base->name, "%s", member_text(entry, "bn"));
    }
    base->time = take_number(entry, "bt", &base->time) ? base->time : NAN;
    base->value = take_number(entry, "bv", &base->value) ? base->value : NAN;
}

/* A time that is none is no time of arrival either. */
static void put_time(cJSON *record, const struct base *base, const cJSON *entry, int64_t now_ms) {
    double after = 0, time = take_number(entry, "t", &after) ? base->time + after : NAN;
    if (isfinite(time)) {
        cJSON_AddNumberToObject(record, "ms", floor((time < RELATIVE_BEFORE ? (double)now_ms : 0) + time * 1000 + 0.5));
    } else {
        cJSON_AddStringToObject(record, "ms", "t or bt is no number");
    }
}

/* The name's last part is the value's, what is before it the device's: urn:dev:ow:10e2073a01080063:voltage. */
static void put_names(cJSON *record, const struct base *base, const cJSON *entry) {
    char whole[2 * NAME_MOST];
    snprintf(whole, sizeof whole, "%s%.255s", base->name, member_text(entry, "n"));
    char *colon = strrchr(whole, ':'), *slash = strrchr(whole, '/');
    char *cut = slash == NULL || (colon != NULL && colon > slash) ? colon : slash;
    if (cut != NULL) {
        *cut = '\0';
        cJSON_AddStringToObject(record, "device", whole);
    }
    cJSON_AddStringToObject(record, "name", cut == NULL ? whole : cut + 1);
}

cJSON *mapping_senml(const cJSON *pack, int64_t now_ms) {
    struct base base = {0};
    cJSON *records = cJSON_CreateArray();
    if (!cJSON_IsArray(pack) || records == NULL) {
        cJSON_Delete(records);
        return NULL;
    }
    for (const cJSON *entry = pack->child; entry != NULL; entry = entry->next) {
        base_take(&base, entry);
        cJSON *value = copy_value(entry, base.value), *record = value == NULL ? NULL : cJSON_CreateObject();
        if (record == NULL) { /* only base fields */
            cJSON_Delete(value);
            continue;
        }
        put_names(record, &base, entry);
        put_time(record, &base, entry, now_ms);
        cJSON_AddItemToObject(record, "value", value);
        cJSON_AddItemToArray(records, record);
    }
    return records;
}

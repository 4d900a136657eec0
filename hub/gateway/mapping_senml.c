/* mapping_senml.c: SenML (RFC 8428) as records of device, time, name and value. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "hub/base/member.h"
#include "hub/gateway/mapping.h"

enum { NAME_MOST = 256 };

#define RELATIVE_BEFORE 268435456.0 /* 2^28 s: smaller times are relative to now (RFC 8428, 4.5.3) */

struct base {
    char name[NAME_MOST];
    double time, value;
};

static cJSON *copy_value(const cJSON *entry, double base) {
    static const char *const others[] = {"vs", "vb", "vd"};
    const cJSON *number = member_get(entry, "v");
    if (number == NULL && base == 0) {
        for (size_t i = 0; i < 3; i++) {
            if (member_get(entry, others[i]) != NULL) {
                return cJSON_Duplicate(member_get(entry, others[i]), true);
            }
        }
        return cJSON_Duplicate(member_get(entry, "s"), true);
    }
    double value = base + member_number(entry, "v", 0);
    return isfinite(value) ? cJSON_CreateNumber(value) : NULL;
}

static void base_take(struct base *base, const cJSON *entry) {
    if (cJSON_IsString(member_get(entry, "bn"))) {
        snprintf(base->name, sizeof base->name, "%s", member_text(entry, "bn"));
    }
    base->time = member_number(entry, "bt", base->time);
    base->value = member_number(entry, "bv", base->value);
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
        double time = base.time + member_number(entry, "t", 0);
        double ms = time < RELATIVE_BEFORE ? (double)now_ms + time * 1000 : time * 1000;
        put_names(record, &base, entry);
        cJSON_AddNumberToObject(record, "ms", floor(ms + 0.5));
        cJSON_AddItemToObject(record, "value", value);
        cJSON_AddItemToArray(records, record);
    }
    return records;
}

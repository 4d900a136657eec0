/* decode_plan.c: an adapter's record worked out once: which field is what, found by number and by either of its names.
 */
#include <stdlib.h>
#include <string.h>

#include "common.pb-c.h"
#include "hub/base/hash.h"
#include "hub/decode/decode_internal.h"

/* Finds out what a field is; false if it is nothing that a record can have. */
static bool field_classify(struct plan_field *field, const struct adapter *adapter) {
    const ProtobufCFieldDescriptor *descriptor = field->descriptor;
    if (strcmp(field->name, DECODE_OVER_RANGE) == 0) {
        field->role = ROLE_OVER_RANGE;
        return descriptor->label == PROTOBUF_C_LABEL_REPEATED && descriptor->type == PROTOBUF_C_TYPE_STRING;
    }
    if (descriptor->label == PROTOBUF_C_LABEL_REPEATED) {
        return false;
    }
    if (strcmp(field->name, "device_code") == 0) {
        field->role = ROLE_DEVICE_CODE;
        return descriptor->type == PROTOBUF_C_TYPE_STRING;
    }
    if (strcmp(field->name, "observed_at_ms") == 0) {
        field->role = ROLE_OBSERVED_AT;
        return descriptor->type == PROTOBUF_C_TYPE_INT64;
    }
    if (strcmp(field->name, "position") == 0) {
        field->role = ROLE_POSITION;
        return descriptor->descriptor == &cityhub__v1__position__descriptor;
    }
    const struct metric *metric = adapter_metric(adapter, field->name);
    if (metric == NULL || metric->ordinal < 1 || metric->ordinal > ADAPTER_METRICS_MAX ||
        descriptor->type == PROTOBUF_C_TYPE_MESSAGE || descriptor->type == PROTOBUF_C_TYPE_BYTES) {
        return false;
    }
    field->role = descriptor->type == PROTOBUF_C_TYPE_STRING ? ROLE_TEXT : ROLE_READING;
    field->bit = (unsigned)metric->ordinal - 1;
    field->min = metric->min;
    field->max = metric->max;
    field->gauge = metric->kind == METRIC_GAUGE;
    return true;
}

/* The name that protobuf's JSON has for a field: pm25_ug_m3 is pm25UgM3. Returns its length. */
static size_t camel_name(const char *name, char camel[static PLAN_NAME_MAX]) {
    size_t length = 0;
    bool upper = false;
    for (; *name != '\0' && length < PLAN_NAME_MAX - 1; name++) {
        if (*name == '_') {
            upper = true;
            continue;
        }
        bool small = *name >= 'a' && *name <= 'z';
        camel[length++] = (char)(upper && small ? *name - 'a' + 'A' : *name);
        upper = false;
    }
    camel[length] = '\0';
    return length;
}

bool decode_is_name(const ProtobufCFieldDescriptor *field, const char *name, size_t length) {
    if (strlen(field->name) == length && memcmp(field->name, name, length) == 0) {
        return true;
    }
    char camel[PLAN_NAME_MAX];
    return camel_name(field->name, camel) == length && memcmp(camel, name, length) == 0;
}

static void name_add(struct decode_plan *plan, const char *name, size_t length) {
    unsigned slot = hash_bytes(HASH_FIRST, name, length) % PLAN_SLOTS;
    while (plan->by_name[slot] != 0) {
        slot = (slot + 1) % PLAN_SLOTS;
    }
    plan->by_name[slot] = (uint8_t)plan->count;
}

/* Enters both names of the last field. */
static void names_add(struct decode_plan *plan) {
    struct plan_field *field = &plan->fields[plan->count - 1];
    field->name_length = strlen(field->name);
    field->camel_length = camel_name(field->name, field->camel);
    name_add(plan, field->name, field->name_length);
    if (field->camel_length != field->name_length || memcmp(field->camel, field->name, field->name_length) != 0) {
        name_add(plan, field->camel, field->camel_length);
    }
}

struct decode_plan *decode_plan_new(const struct adapter *adapter) {
    struct decode_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) {
        return NULL;
    }
    plan->adapter = adapter;
    for (unsigned i = 0; i < adapter->record->n_fields && plan->count < PLAN_FIELDS_MAX; i++) {
        struct plan_field *field = &plan->fields[plan->count];
        *field =
            (struct plan_field){.descriptor = &adapter->record->fields[i], .name = adapter->record->fields[i].name};
        if (!field_classify(field, adapter)) {
            continue;
        }
        plan->count++;
        if (field->descriptor->id < PLAN_NUMBERS_MAX) {
            plan->by_number[field->descriptor->id] = (uint8_t)plan->count;
        }
        plan->position = field->role == ROLE_POSITION ? field : plan->position;
        plan->over_range = field->role == ROLE_OVER_RANGE ? field : plan->over_range;
        names_add(plan);
    }
    return plan;
}

const struct decode_plan *decode_plan_get(struct decoder *decoder, const struct adapter *adapter) {
    for (size_t i = 0; i < decoder->plan_count; i++) {
        if (decoder->plans[i]->adapter == adapter) {
            return decoder->plans[i];
        }
    }
    struct decode_plan **grown = realloc(decoder->plans, (decoder->plan_count + 1) * sizeof(struct decode_plan *));
    if (grown == NULL) {
        return NULL;
    }
    decoder->plans = grown;
    struct decode_plan *plan = decode_plan_new(adapter);
    if (plan != NULL) {
        decoder->plans[decoder->plan_count++] = plan;
    }
    return plan;
}

bool decode_plan_elsewhere(struct decoder *decoder, const char *name, size_t length) {
    for (size_t i = 0; i < adapter_count; i++) {
        const struct decode_plan *plan =
            adapters[i] == decoder->plan->adapter ? NULL : decode_plan_get(decoder, adapters[i]);
        if (plan != NULL && decode_plan_by_name(plan, name, length) != NULL) {
            return true;
        }
    }
    return false;
}

const struct plan_field *decode_plan_by_number_slow(const struct decode_plan *plan, uint64_t number) {
    for (unsigned i = 0; i < plan->count; i++) {
        if (plan->fields[i].descriptor->id == number) {
            return &plan->fields[i];
        }
    }
    return NULL;
}

const struct plan_field *decode_plan_by_name(const struct decode_plan *plan, const char *name, size_t length) {
    unsigned slot = hash_bytes(HASH_FIRST, name, length) % PLAN_SLOTS;
    for (; plan->by_name[slot] != 0; slot = (slot + 1) % PLAN_SLOTS) {
        const struct plan_field *field = &plan->fields[plan->by_name[slot] - 1];
        if ((field->name_length == length && memcmp(field->name, name, length) == 0) ||
            (field->camel_length == length && memcmp(field->camel, name, length) == 0)) {
            return field;
        }
    }
    return NULL;
}

const ProtobufCFieldDescriptor *decode_field_by_name(const ProtobufCMessageDescriptor *message, const char *name,
                                                     size_t length) {
    for (unsigned i = 0; i < message->n_fields; i++) {
        if (decode_is_name(&message->fields[i], name, length)) {
            return &message->fields[i];
        }
    }
    return NULL;
}

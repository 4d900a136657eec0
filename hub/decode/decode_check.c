/* decode_check.c: does an adapter's table fit its descriptor? Said once, at start and in a test, so that the decoder
 * may rely on it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common.pb-c.h"
#include "hub/base/error.h"
#include "hub/decode/decode_internal.h"

struct check {
    const struct adapter *adapter;
    char *reason;
    size_t size;
};

static int refuse(const struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int refuse(const struct check *check, const char *format, ...) {
    int used = snprintf(check->reason, check->size, "adapter %s: ", check->adapter->key);
    if (used > 0 && (size_t)used < check->size) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(check->reason + used, check->size - (size_t)used, format, arguments);
        va_end(arguments);
    }
    return CH_EINVAL;
}

/* Keys are names of columns, of JSON members and of files. */
static bool is_key(const char *key) {
    return key != NULL && key[0] >= 'a' && key[0] <= 'z' && strlen(key) <= 48 &&
           strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(key);
}

static const ProtobufCFieldDescriptor *field_by_key(const struct adapter *adapter, const char *key) {
    return decode_field_by_name(adapter->record, key, strlen(key));
}

static bool is_base_field(const char *name) {
    return strcmp(name, "device_code") == 0 || strcmp(name, "observed_at_ms") == 0 || strcmp(name, "position") == 0 ||
           strcmp(name, DECODE_OVER_RANGE) == 0;
}

static int check_fields(const struct check *check) {
    const struct adapter *adapter = check->adapter;
    const ProtobufCFieldDescriptor *code = field_by_key(adapter, "device_code");
    const ProtobufCFieldDescriptor *time = field_by_key(adapter, "observed_at_ms");
    const ProtobufCFieldDescriptor *position = field_by_key(adapter, "position");
    if (code == NULL || code->id != 1 || code->type != PROTOBUF_C_TYPE_STRING) {
        return refuse(check, "field 1 must be `optional string device_code`");
    }
    if (time == NULL || time->id != 2 || time->type != PROTOBUF_C_TYPE_INT64) {
        return refuse(check, "field 2 must be `optional int64 observed_at_ms`");
    }
    if (position == NULL || position->id != 3 || position->descriptor != &cityhub__v1__position__descriptor) {
        return refuse(check, "field 3 must be `optional Position position`");
    }
    if (adapter->record->n_fields > PLAN_FIELDS_MAX) {
        return refuse(check, "has %u fields, more than %d", adapter->record->n_fields, PLAN_FIELDS_MAX);
    }
    for (unsigned i = 0; i < adapter->record->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &adapter->record->fields[i];
        if (strcmp(field->name, DECODE_OVER_RANGE) == 0) {
            if (field->label != PROTOBUF_C_LABEL_REPEATED || field->type != PROTOBUF_C_TYPE_STRING) {
                return refuse(check, "field " DECODE_OVER_RANGE " must be `repeated string`");
            }
            continue;
        }
        if (field->label == PROTOBUF_C_LABEL_REPEATED || field->label == PROTOBUF_C_LABEL_REQUIRED) {
            return refuse(check, "field %s must be optional", field->name);
        }
        if (!is_base_field(field->name) && adapter_metric(adapter, field->name) == NULL) {
            return refuse(check, "field %s has no metric", field->name);
        }
    }
    return 0;
}

/* What the metric says it is against what its field can carry. */
static int check_type(const struct check *check, const struct metric *metric, const ProtobufCFieldDescriptor *field) {
    bool is_text = field->type == PROTOBUF_C_TYPE_STRING;
    bool is_bool = field->type == PROTOBUF_C_TYPE_BOOL, is_enum = field->type == PROTOBUF_C_TYPE_ENUM;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_BYTES) {
        return refuse(check, "field %s: a metric cannot be a message or bytes", field->name);
    }
    if (is_text != (metric->kind == METRIC_TEXT)) {
        return refuse(check, "metric %s: METRIC_TEXT and the type string belong together", metric->key);
    }
    if ((is_bool || is_enum) && metric->kind != METRIC_STATE) {
        return refuse(check, "metric %s: a bool or an enum is a METRIC_STATE", metric->key);
    }
    const char *unit = is_text ? "" : is_bool ? "0/1" : is_enum ? "enum" : NULL;
    if (unit != NULL
            ? strcmp(metric->unit, unit) != 0
            : strcmp(metric->unit, "0/1") == 0 || strcmp(metric->unit, "enum") == 0 || metric->unit[0] == '\0') {
        return refuse(check, "metric %s: the unit \"%s\" does not fit the field's type", metric->key, metric->unit);
    }
    const ProtobufCEnumDescriptor *values = is_enum ? field->descriptor : NULL;
    for (unsigned i = 0; values != NULL && i < values->n_values; i++) {
        if (values->values[i].value < metric->min || values->values[i].value > metric->max) {
            return refuse(check, "metric %s: %s = %d is outside its range", metric->key, values->values[i].name,
                          values->values[i].value);
        }
    }
    return 0;
}

static int check_range(const struct check *check, const struct metric *metric) {
    if (metric->kind == METRIC_TEXT) {
        return 0;
    }
    if (!isfinite(metric->min) || !isfinite(metric->max) || !(metric->min < metric->max)) {
        return refuse(check, "metric %s: its range must be finite, min below max", metric->key);
    }
    if (metric->rollover < 0 || (metric->rollover > 0 && metric->kind != METRIC_COUNTER)) {
        return refuse(check, "metric %s: only a METRIC_COUNTER rolls over", metric->key);
    }
    return 0;
}

static int check_metric(const struct check *check, size_t place) {
    const struct metric *metric = &check->adapter->metrics[place];
    if (metric->ordinal != (int)place + 1) {
        return refuse(check, "metric %s: its ordinal is %d at place %zu; ordinals go up from 1 without gaps",
                      metric->key, metric->ordinal, place + 1);
    }
    if (!is_key(metric->key) || is_base_field(metric->key) || strcmp(metric->key, "records") == 0) {
        return refuse(check, "metric %s: is no possible key", metric->key == NULL ? "NULL" : metric->key);
    }
    if (adapter_metric(check->adapter, metric->key) != metric) {
        return refuse(check, "metric %s: comes twice", metric->key);
    }
    if (metric->name_zh == NULL || metric->name_zh[0] == '\0' || metric->unit == NULL) {
        return refuse(check, "metric %s: needs a Chinese name and a unit", metric->key);
    }
    const ProtobufCFieldDescriptor *field = field_by_key(check->adapter, metric->key);
    if (field == NULL) {
        return refuse(check, "metric %s: message %s has no such field", metric->key,
                      check->adapter->record->short_name);
    }
    int result = check_type(check, metric, field);
    return result != 0 ? result : check_range(check, metric);
}

/* Every number of a field tells the subsystem's messages from others', or is of the time when none did. */
static int check_numbers(const struct check *check) {
    const struct adapter *adapter = check->adapter;
    uint32_t from = adapter->new_fields_from;
    if (from != 0 && (from < FIELD_NEW_FROM || from % FIELD_NEW_COUNT != 0)) {
        return refuse(check, "new_fields_from is %u; it must be a hundred from %d on, or 0", from, FIELD_NEW_FROM);
    }
    for (unsigned i = 0; i < adapter->record->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &adapter->record->fields[i];
        if (field->id >= FIELD_NEW_FROM && (from == 0 || field->id < from || field->id >= from + FIELD_NEW_COUNT)) {
            return refuse(check, "field %s: its number %u is not of new_fields_from's hundred", field->name, field->id);
        }
    }
    return 0;
}

static int check_kind(const struct check *check, size_t place) {
    const struct device_kind *kind = &check->adapter->kinds[place];
    if (!is_key(kind->key) || kind->name_zh == NULL || kind->name_zh[0] == '\0') {
        return refuse(check, "kind %zu: needs a key and a Chinese name", place + 1);
    }
    if (adapter_kind(check->adapter, kind->key) != (int)place) {
        return refuse(check, "kind %s: comes twice", kind->key);
    }
    if (kind->offline_after_s < 10 || kind->offline_after_s > 604800 || kind->interval_s < 1 ||
        kind->interval_s > 86400 || kind->interval_s >= kind->offline_after_s) {
        return refuse(check,
                      "kind %s: intervals are 1 to 86400 s, offline after 10 to 604800 s and later than an interval",
                      kind->key);
    }
    if (kind->metrics == NULL || kind->metrics[0] == NULL) {
        return refuse(check, "kind %s: has no metrics", kind->key);
    }
    for (const char *const *key = kind->metrics; *key != NULL; key++) {
        if (adapter_metric(check->adapter, *key) == NULL) {
            return refuse(check, "kind %s: there is no metric %s", kind->key, *key);
        }
        for (const char *const *before = kind->metrics; before < key; before++) {
            if (strcmp(*before, *key) == 0) {
                return refuse(check, "kind %s: lists %s twice", kind->key, *key);
            }
        }
    }
    return 0;
}

static int check_sql(const struct check *check, size_t place) {
    const struct adapter_check *sql = &check->adapter->checks[place];
    const struct metric *metric = sql->metric == NULL ? NULL : adapter_metric(check->adapter, sql->metric);
    if (metric == NULL || metric->kind != METRIC_STATE) {
        return refuse(check, "check %zu: names no metric that is a METRIC_STATE", place + 1);
    }
    return is_key(sql->function) ? 0 : refuse(check, "check of %s: needs the name of a function", sql->metric);
}

int decode_check_adapter(const struct adapter *adapter, char *reason, size_t size) {
    struct check check = {.adapter = adapter, .reason = reason, .size = size};
    int result = 0;
    if (!is_key(adapter->key) || adapter->name_zh == NULL || adapter->record == NULL) {
        return refuse(&check, "needs a key, a Chinese name and a record");
    }
    if (adapter->metric_count < 1 || adapter->metric_count > ADAPTER_METRICS_MAX || adapter->kind_count < 1) {
        return refuse(&check, "has %zu metrics and %zu kinds; 1 to %d metrics and 1 kind are needed",
                      adapter->metric_count, adapter->kind_count, ADAPTER_METRICS_MAX);
    }
    for (size_t i = 0; i < adapter->metric_count && result == 0; i++) {
        result = check_metric(&check, i);
    }
    result = result != 0 ? result : check_fields(&check);
    result = result != 0 ? result : check_numbers(&check);
    for (size_t i = 0; i < adapter->kind_count && result == 0; i++) {
        result = check_kind(&check, i);
    }
    for (size_t i = 0; i < adapter->check_count && result == 0; i++) {
        result = check_sql(&check, i);
    }
    return result;
}

/* jt808_dialect.c: dialects of JT/T 808 from JSON, and what they make of a position. Must never take a file that is
 * wrong in part: a truck whose cover is read upside down is fined. */
#include "hub/gateway/jt808_dialect.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/adapter.h"
#include "hub/base/count.h"
#include "hub/base/error.h"

enum { TEXT_MAX = 1024, NONES_MAX = 16 };

enum source { FROM_STATUS, FROM_ALARM, FROM_POSITION, FROM_ITEM };

static const char *const source_names[] = {"status", "alarm", "position", "item"};
static const char *const value_names[] = {"speed", "direction", "altitude"};
static const char *const systems[] = {"WGS84", "CGCS2000", "GCJ02", "BD09"};

/* One entry of "fields"; `map` and `texts` point into the file's own tree. */
struct field {
    const struct metric *metric;
    enum source source;
    int value;          /* FROM_POSITION: of value_names */
    uint8_t item;       /* FROM_ITEM */
    unsigned at, bytes; /* 0 bytes = all of it */
    bool little_endian, is_signed;
    unsigned bit, bits; /* 0 bits = all of it */
    double none[NONES_MAX];
    size_t nones;
    const cJSON *map, *texts;
    double scale, add;
};

struct jt808_dialect {
    cJSON *file;
    const char *subsystem, *system;
    double max_speed_km_h;
    struct field fields[JT808_DIALECT_FIELDS_MAX];
    size_t count;
    bool ignored[UINT8_MAX + 1]; /* items that are not kept */
};

/* ---- reading a file */

/* The place of a text among `names`, -1 with a problem. */
static int choose(struct dialect_parser *parser, const cJSON *object, const char *key, const char *const *names,
                  size_t count) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    char all[120] = "";
    for (size_t i = 0; i < count; i++) {
        if (text != NULL && strcmp(text, names[i]) == 0) {
            return (int)i;
        }
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i == 0 ? "" : ", ", names[i]);
    }
    dialect_fault(parser, key, "must be one of %s", all);
    return -1;
}

/* A whole number of the range, or what it is if the key is not there. */
static bool read_whole(struct dialect_parser *parser, const cJSON *object, const char *key, unsigned least,
                       unsigned most, unsigned *number) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (item == NULL) {
        return true;
    }
    if (!cJSON_IsNumber(item) || item->valuedouble != floor(item->valuedouble) || item->valuedouble < least ||
        item->valuedouble > most) {
        return dialect_fault(parser, key, "must be a whole number of %u to %u", least, most);
    }
    *number = (unsigned)item->valuedouble;
    return true;
}

static bool read_flag(struct dialect_parser *parser, const cJSON *object, const char *key, bool *flag) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (item != NULL && !cJSON_IsBool(item)) {
        return dialect_fault(parser, key, "must be true or false");
    }
    *flag = item != NULL && cJSON_IsTrue(item);
    return true;
}

static bool is_bool(const struct metric *metric) {
    return metric->kind == METRIC_STATE && strcmp(metric->unit, "0/1") == 0;
}

/* What a metric's values are in JSON. */
static bool fits_metric(const struct metric *metric, const cJSON *value) {
    return metric->kind == METRIC_TEXT ? cJSON_IsString(value)
           : is_bool(metric)           ? cJSON_IsBool(value)
                                       : cJSON_IsNumber(value);
}

/* The number that a key of "map" or "texts" is; false if it is none. */
static bool key_number(const char *key, long *number) {
    char *end;
    *number = strtol(key, &end, 10);
    return *key != '\0' && *end == '\0';
}

static bool read_map(struct dialect_parser *parser, const cJSON *object, struct field *field) {
    long number;
    field->map = cJSON_GetObjectItemCaseSensitive(object, "map");
    if (field->map == NULL) {
        return true;
    }
    if (!cJSON_IsObject(field->map) || field->map->child == NULL) {
        return dialect_fault(parser, "map",
                             "must be an object of numbers and what they mean, such as {\"0\": true, \"1\": false}");
    }
    for (const cJSON *member = field->map->child; member != NULL; member = member->next) {
        if (!key_number(member->string, &number)) {
            return dialect_fault(parser, "map", "\"%.40s\" is no whole number", member->string);
        }
        if (!fits_metric(field->metric, member)) {
            return dialect_fault(parser, "map", "\"%.40s\" must mean a %s", member->string,
                                 field->metric->kind == METRIC_TEXT ? "text"
                                 : is_bool(field->metric)           ? "true or false"
                                                                    : "number");
        }
    }
    return true;
}

static bool read_texts(struct dialect_parser *parser, const cJSON *object, struct field *field) {
    long number;
    field->texts = cJSON_GetObjectItemCaseSensitive(object, "texts");
    if (field->texts == NULL) {
        return true;
    }
    if (!cJSON_IsObject(field->texts) || field->texts->child == NULL || field->metric->kind != METRIC_TEXT) {
        return dialect_fault(parser, "texts", "must be an object of bits and texts, for a field that is a text");
    }
    for (const cJSON *member = field->texts->child; member != NULL; member = member->next) {
        if (!key_number(member->string, &number) || number < 0 || number > 31 || !cJSON_IsString(member)) {
            return dialect_fault(parser, "texts", "\"%.40s\" must be a bit of 0 to 31 and mean a text", member->string);
        }
    }
    return true;
}

static bool read_none(struct dialect_parser *parser, const cJSON *object, struct field *field) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "none"), *item;
    if (list != NULL && !cJSON_IsArray(list)) {
        return dialect_fault(parser, "none", "must be a list of numbers");
    }
    cJSON_ArrayForEach(item, list) {
        if (!cJSON_IsNumber(item) || field->nones == NONES_MAX) {
            return dialect_fault(parser, "none", "must be a list of at most %d numbers", NONES_MAX);
        }
        field->none[field->nones++] = item->valuedouble;
    }
    return true;
}

static bool is_item(const char *hex) {
    return hex != NULL && strlen(hex) == 2 && strspn(hex, "0123456789abcdefABCDEF") == 2;
}

static bool read_item(struct dialect_parser *parser, const cJSON *object, struct field *field) {
    const char *hex = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "item"));
    if (!is_item(hex)) {
        return dialect_fault(parser, "item", "must be two hexadecimal digits, such as \"2B\"");
    }
    field->item = (uint8_t)strtoul(hex, NULL, 16);
    return read_whole(parser, object, "at", 0, 254, &field->at) &&
           read_whole(parser, object, "bytes", 1, 4, &field->bytes) &&
           read_flag(parser, object, "little_endian", &field->little_endian) &&
           read_flag(parser, object, "signed", &field->is_signed);
}

static bool read_source(struct dialect_parser *parser, const cJSON *object, struct field *field) {
    static const char *const of_item[] = {"item", "at", "bytes", "little_endian", "signed"};
    int source = choose(parser, object, "from", source_names, COUNT_OF(source_names));
    if (source < 0) {
        return false;
    }
    field->source = (enum source)source;
    for (size_t i = 0; i < COUNT_OF(of_item) && field->source != FROM_ITEM; i++) {
        if (cJSON_HasObjectItem(object, of_item[i])) {
            return dialect_fault(parser, of_item[i], "is for \"from\": \"item\" only");
        }
    }
    if (field->source != FROM_POSITION && cJSON_HasObjectItem(object, "value")) {
        return dialect_fault(parser, "value", "is for \"from\": \"position\" only");
    }
    if (field->source == FROM_POSITION) {
        field->value = choose(parser, object, "value", value_names, COUNT_OF(value_names));
        return field->value >= 0;
    }
    return field->source != FROM_ITEM || read_item(parser, object, field);
}

static bool read_bits(struct dialect_parser *parser, const cJSON *object, struct field *field) {
    bool has_bit = cJSON_HasObjectItem(object, "bit");
    if (!has_bit && cJSON_HasObjectItem(object, "bits")) {
        return dialect_fault(parser, "bits", "needs \"bit\", the lowest of them");
    }
    field->bits = has_bit ? 1 : 0;
    if (!read_whole(parser, object, "bit", 0, 31, &field->bit) ||
        !read_whole(parser, object, "bits", 1, 32 - field->bit, &field->bits)) {
        return false;
    }
    if (has_bit && field->source == FROM_POSITION) {
        return dialect_fault(parser, "bit", "is not for \"from\": \"position\"");
    }
    if (!has_bit && field->texts == NULL && (field->source == FROM_STATUS || field->source == FROM_ALARM)) {
        return dialect_fault(parser, "bit", "is missing: which bit of the %s?", source_names[field->source]);
    }
    return true;
}

static bool read_field(struct dialect_parser *parser, const struct adapter *adapter, const cJSON *object,
                       struct field *field) {
    static const char *const known[] = {"field", "from", "value", "item", "at",    "bytes", "little_endian", "signed",
                                        "bit",   "bits", "none",  "map",  "texts", "scale", "add",           "note"};
    if (!cJSON_IsObject(object)) {
        return dialect_fault(parser, "", "must be an object");
    }
    const char *key = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "field"));
    *field = (struct field){.scale = 1, .metric = key == NULL ? NULL : adapter_metric(adapter, key)};
    if (field->metric == NULL) {
        return dialect_fault(parser, "field", "must be a field of %s; \"%.60s\" is none", adapter->key,
                             key == NULL ? "" : key);
    }
    if (!dialect_know_keys(parser, object, known, COUNT_OF(known)) || !read_source(parser, object, field) ||
        !read_map(parser, object, field) || !read_texts(parser, object, field) || !read_none(parser, object, field) ||
        !read_bits(parser, object, field) || !dialect_read_number(parser, object, "scale", &field->scale) ||
        !dialect_read_number(parser, object, "add", &field->add)) {
        return false;
    }
    if (field->metric->kind == METRIC_TEXT && field->map == NULL && field->texts == NULL &&
        field->source != FROM_ITEM) {
        return dialect_fault(parser, "field", "is a text: say by \"map\" or \"texts\" which");
    }
    return true;
}

static bool read_fields(struct dialect_parser *parser, const struct adapter *adapter, struct jt808_dialect *dialect) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(dialect->file, "fields"), *object;
    if (!cJSON_IsArray(list) || list->child == NULL) {
        return dialect_fault(parser, "fields", "must be a list of one entry or more");
    }
    cJSON_ArrayForEach(object, list) {
        if (dialect->count == JT808_DIALECT_FIELDS_MAX) {
            return dialect_fault(parser, "fields", "must have at most %d entries", JT808_DIALECT_FIELDS_MAX);
        }
        snprintf(parser->place, sizeof parser->place, "fields[%zu].", dialect->count);
        if (!read_field(parser, adapter, object, &dialect->fields[dialect->count++])) {
            return false;
        }
    }
    return true;
}

static bool read_ignored(struct dialect_parser *parser, struct jt808_dialect *dialect) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(dialect->file, "ignore"), *item;
    if (list != NULL && !cJSON_IsArray(list)) {
        return dialect_fault(parser, "ignore", "must be a list of items");
    }
    cJSON_ArrayForEach(item, list) {
        if (!is_item(cJSON_GetStringValue(item))) {
            return dialect_fault(parser, "ignore", "must be a list of two hexadecimal digits each, such as \"30\"");
        }
        dialect->ignored[strtoul(item->valuestring, NULL, 16)] = true;
    }
    return true;
}

static bool read_file(struct dialect_parser *parser, struct jt808_dialect *dialect) {
    static const char *const known[] = {"title",          "note",   "subsystem", "coordinate_system",
                                        "max_speed_km_h", "fields", "ignore"};
    if (!cJSON_IsObject(dialect->file)) {
        return dialect_fault(parser, "the file", "must be a JSON object");
    }
    if (!dialect_know_keys(parser, dialect->file, known, COUNT_OF(known))) {
        return false;
    }
    const char *subsystem = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(dialect->file, "subsystem"));
    const struct adapter *adapter = subsystem == NULL ? NULL : adapter_find(subsystem);
    if (adapter == NULL) {
        return dialect_fault(parser, "subsystem", "must be a subsystem, such as construction_waste");
    }
    dialect->subsystem = adapter->key;
    dialect->system = systems[0];
    if (cJSON_HasObjectItem(dialect->file, "coordinate_system")) {
        int system = choose(parser, dialect->file, "coordinate_system", systems, COUNT_OF(systems));
        if (system < 0) {
            return false;
        }
        dialect->system = systems[system];
    }
    dialect->max_speed_km_h = 200;
    if (!dialect_read_number(parser, dialect->file, "max_speed_km_h", &dialect->max_speed_km_h)) {
        return false;
    }
    if (dialect->max_speed_km_h < 10 || dialect->max_speed_km_h > 2000) {
        return dialect_fault(parser, "max_speed_km_h", "must be 10 to 2000");
    }
    return read_ignored(parser, dialect) && read_fields(parser, adapter, dialect);
}

struct jt808_dialect *jt808_dialect_parse(const char *text, size_t length, char problem[static DIALECT_PROBLEM_MAX]) {
    struct dialect_parser parser = {.problem = problem};
    struct jt808_dialect *dialect = calloc(1, sizeof *dialect);
    const char *end = text;
    if (dialect == NULL) {
        dialect_fault(&parser, "the file", "out of memory");
        return NULL;
    }
    dialect->file = cJSON_ParseWithLengthOpts(text, length, &end, false);
    if (dialect->file == NULL) {
        unsigned line = 1;
        for (const char *at = text; at < end && at < text + length; at++) {
            line += *at == '\n';
        }
        dialect_fault(&parser, "the file", "is no JSON at line %u", line);
    }
    if (dialect->file == NULL || !read_file(&parser, dialect)) {
        jt808_dialect_free(dialect);
        return NULL;
    }
    return dialect;
}

void jt808_dialect_free(struct jt808_dialect *dialect) {
    if (dialect != NULL) {
        cJSON_Delete(dialect->file);
        free(dialect);
    }
}

const char *jt808_dialect_subsystem(const struct jt808_dialect *dialect) {
    return dialect->subsystem;
}

const char *jt808_dialect_coordinate_system(const struct jt808_dialect *dialect) {
    return dialect->system;
}

double jt808_dialect_max_speed(const struct jt808_dialect *dialect) {
    return dialect->max_speed_km_h;
}

/* ---- what a position means */

/* The item that a field is in, the last if there are several; false if none has enough bytes. */
static bool find_item(const struct field *field, const struct jt808_position *position, struct jt808_item *found) {
    struct jt808_item item = {0};
    size_t least = field->at + (field->bytes == 0 ? 1 : field->bytes);
    bool any = false;
    for (size_t at = 0; jt808_item_next(position, &at, &item);) {
        if (item.id == field->item && item.have == item.length && item.length >= least) {
            *found = item;
            any = true;
        }
    }
    return any;
}

/* The number in an item's bytes; false if it has more than four. */
static bool item_number(const struct field *field, const struct jt808_item *item, uint32_t *word, unsigned *width) {
    size_t bytes = field->bytes == 0 ? item->length - field->at : field->bytes;
    if (bytes > 4) {
        return false;
    }
    *word = 0;
    for (size_t i = 0; i < bytes; i++) {
        size_t place = field->little_endian ? bytes - 1 - i : i;
        *word = *word << 8 | item->bytes[field->at + place];
    }
    *width = (unsigned)bytes * 8;
    return true;
}

/* The number that a field begins with, before anything is made of it. */
static bool raw_number(const struct field *field, const struct jt808_position *position, double *raw) {
    uint32_t word = field->source == FROM_ALARM ? position->alarm : position->status;
    unsigned width = 32;
    struct jt808_item item = {0};
    if (field->source == FROM_POSITION) {
        const double values[] = {position->speed / 10.0, position->direction, position->altitude_m};
        *raw = values[field->value];
        return true;
    }
    if (field->source == FROM_ITEM &&
        (!find_item(field, position, &item) || !item_number(field, &item, &word, &width))) {
        return false;
    }
    if (field->bits > 0) {
        if (field->bit >= width) {
            return false;
        }
        word = word >> field->bit & (uint32_t)((UINT64_C(1) << field->bits) - 1);
    } else if (field->is_signed && width < 32 && (word >> (width - 1) & 1) != 0) {
        word |= ~(uint32_t)0 << width;
    }
    *raw = field->is_signed ? (double)(int32_t)word : word;
    return true;
}

static bool is_none(const struct field *field, double raw) {
    for (size_t i = 0; i < field->nones; i++) {
        if (field->none[i] == raw) {
            return true;
        }
    }
    return false;
}

/* What a number means by the field's map; NULL = the map does not say. */
static cJSON *find_mapped(const struct field *field, double raw) {
    char key[32];
    snprintf(key, sizeof key, "%.0f", raw);
    return cJSON_GetObjectItemCaseSensitive(field->map, key);
}

/* The bits of its number that a field is; 0 = it says none. */
static uint32_t field_bits(const struct field *field) {
    return field->bits == 0 ? 0 : (uint32_t)((UINT64_C(1) << field->bits) - 1) << field->bit;
}

/* The bits that have a text. */
static uint32_t text_bits(const struct field *field) {
    uint32_t bits = 0;
    for (const cJSON *text = field->texts == NULL ? NULL : field->texts->child; text != NULL; text = text->next) {
        bits |= (uint32_t)1 << strtoul(text->string, NULL, 10);
    }
    return bits;
}

/* Whether what is said there means something that the field's map does not say. */
static bool is_unmapped(const struct field *field, const struct jt808_position *position) {
    double raw;
    return field->map != NULL && raw_number(field, position, &raw) && !is_none(field, raw) &&
           find_mapped(field, raw) == NULL;
}

/* The texts of the bits that are 1. NULL = none, or out of memory. */
static cJSON *join_texts(const struct field *field, double raw) {
    char text[TEXT_MAX] = "";
    size_t used = 0;
    for (const cJSON *member = field->texts->child; member != NULL; member = member->next) {
        uint32_t bit = (uint32_t)strtoul(member->string, NULL, 10);
        size_t length = strlen(member->valuestring), separator = used > 0 ? strlen("、") : 0;
        if (((uint32_t)raw >> bit & 1) != 0 && used + separator + length + 1 <= sizeof text) {
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", separator > 0 ? "、" : "",
                                     member->valuestring);
        }
    }
    return used == 0 ? NULL : cJSON_CreateString(text);
}

static cJSON *item_text(const struct field *field, const struct jt808_position *position) {
    struct jt808_item item = {0};
    char text[TEXT_MAX];
    if (!find_item(field, position, &item)) {
        return NULL;
    }
    size_t bytes = field->bytes == 0 ? item.length - field->at : field->bytes;
    jt808_text(item.bytes + field->at, bytes, text, sizeof text);
    return text[0] == '\0' ? NULL : cJSON_CreateString(text);
}

/* A field's value, NULL = it has none (or out of memory: the next one finds out). */
static cJSON *value_of(const struct field *field, const struct jt808_position *position) {
    double raw;
    if (field->metric->kind == METRIC_TEXT && field->map == NULL && field->texts == NULL) {
        return item_text(field, position);
    }
    if (!raw_number(field, position, &raw) || is_none(field, raw)) {
        return NULL;
    }
    if (field->texts != NULL) {
        return join_texts(field, raw);
    }
    if (field->map != NULL) {
        return cJSON_Duplicate(find_mapped(field, raw), false);
    }
    return is_bool(field->metric) ? cJSON_CreateBool(raw != 0) : cJSON_CreateNumber(raw * field->scale + field->add);
}

int jt808_dialect_fields(const struct jt808_dialect *dialect, const struct jt808_position *position, cJSON *record) {
    for (size_t i = 0; i < dialect->count; i++) {
        const struct field *field = &dialect->fields[i];
        cJSON *value = value_of(field, position);
        if (value == NULL) {
            continue;
        }
        cJSON_DeleteItemFromObjectCaseSensitive(record, field->metric->key);
        if (!cJSON_AddItemToObject(record, field->metric->key, value)) {
            cJSON_Delete(value);
            return CH_EMEMORY;
        }
    }
    return 0;
}

/* ---- what no field takes */

/* The bits of a word that no field takes: of the `open` ones, and of those that a field reads and its map has no
 * value for. */
static uint32_t bits_left(const struct jt808_dialect *dialect, const struct jt808_position *position,
                          enum source source, uint32_t open) {
    uint32_t taken = 0, unmapped = 0;
    for (size_t i = 0; i < dialect->count; i++) {
        const struct field *field = &dialect->fields[i];
        if (field->source != source) {
            continue;
        }
        taken |= field_bits(field) | text_bits(field);
        unmapped |= is_unmapped(field, position) ? field_bits(field) : 0;
    }
    return (open & ~taken) | unmapped;
}

/* Whether a field is read from this very item. */
static bool is_read(const struct field *field, const struct jt808_position *position, const struct jt808_item *item) {
    struct jt808_item found;
    double raw;
    bool is_text = field->metric->kind == METRIC_TEXT && field->map == NULL && field->texts == NULL;
    return field->source == FROM_ITEM && field->item == item->id && find_item(field, position, &found) &&
           found.bytes == item->bytes && (is_text || raw_number(field, position, &raw));
}

/* Marks the bits of an item that a field takes. */
static void mark_taken(const struct field *field, const struct jt808_item *item, uint8_t taken[UINT8_MAX]) {
    size_t bytes = field->bytes == 0 ? item->length - field->at : field->bytes;
    uint32_t bits = field->texts != NULL ? text_bits(field) : field->bits == 0 ? UINT32_MAX : field_bits(field);
    for (size_t i = 0; i < bytes; i++) { /* from the last of its digits */
        size_t place = field->at + (field->little_endian ? i : bytes - 1 - i);
        taken[place] = (uint8_t)(taken[place] | (i < sizeof bits ? bits >> 8 * i : UINT8_MAX));
    }
}

/* Whether fields take an item, and all that is not 0 in it. */
static bool is_taken(const struct jt808_dialect *dialect, const struct jt808_position *position,
                     const struct jt808_item *item) {
    uint8_t taken[UINT8_MAX] = {0};
    bool any = false;
    for (size_t i = 0; i < dialect->count; i++) {
        const struct field *field = &dialect->fields[i];
        if (is_read(field, position, item) && !is_unmapped(field, position)) {
            mark_taken(field, item, taken);
            any = true;
        }
    }
    for (size_t i = 0; any && i < item->have; i++) {
        any = (item->bytes[i] & ~taken[i]) == 0;
    }
    return any;
}

static bool leave_over(cJSON *others, const char *key, const char *value) {
    cJSON *other = cJSON_CreateObject();
    if (other == NULL || cJSON_AddStringToObject(other, "key", key) == NULL ||
        cJSON_AddStringToObject(other, "value", value) == NULL || !cJSON_AddItemToArray(others, other)) {
        cJSON_Delete(other);
        return false;
    }
    return true;
}

static bool leave_word_over(cJSON *others, const char *key, uint32_t word, uint32_t bits) {
    char text[12];
    snprintf(text, sizeof text, "0x%08x", word);
    return (word & bits) == 0 || leave_over(others, key, text);
}

int jt808_dialect_others(const struct jt808_dialect *dialect, const struct jt808_position *position, bool is_2019,
                         cJSON *others) {
    struct jt808_item item = {0};
    unsigned met[UINT8_MAX + 1] = {0};
    bool kept =
        leave_word_over(others, "alarm", position->alarm, bits_left(dialect, position, FROM_ALARM, UINT32_MAX)) &&
        leave_word_over(others, "status", position->status,
                        bits_left(dialect, position, FROM_STATUS, jt808_status_reserved(is_2019)));
    for (size_t at = 0; kept && jt808_item_next(position, &at, &item);) {
        char key[24], hex[2 * UINT8_MAX + 1] = "";
        met[item.id]++;
        if (dialect->ignored[item.id] || item.have == 0 || is_taken(dialect, position, &item)) {
            continue;
        }
        for (size_t i = 0; i < item.have; i++) {
            snprintf(hex + 2 * i, 3, "%02x", item.bytes[i]);
        }
        snprintf(key, sizeof key, met[item.id] == 1 ? "item_%02X" : "item_%02X_%u", item.id, met[item.id]);
        kept = leave_over(others, key, hex);
    }
    return kept ? 0 : CH_EMEMORY;
}

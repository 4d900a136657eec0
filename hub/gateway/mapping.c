/* mapping.c: mappings from their files. Must never take one that is wrong in part. */
#include "hub/gateway/mapping.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/member.h"

enum { OFFSET_LEAST = -720, OFFSET_MOST = 840, BEIJING_MINUTES = 480 };

static const char *const forms[MAPPING_FORMS] = {"ms", "s", "iso", "digits"};
static const char *const encodings[MAPPING_ENCODINGS] = {"base64", "hex", "text"};

/* ---- words and paths ---- */

static bool read_word(struct dialect_parser *parser, const cJSON *object, const char *key, const char *const *words,
                      size_t count, int *place) {
    const cJSON *item = member_get(object, key);
    for (size_t i = 0; item != NULL && cJSON_IsString(item) && i < count; i++) {
        if (strcmp(words[i], item->valuestring) == 0) {
            *place = (int)i;
            return true;
        }
    }
    char all[80] = "";
    for (size_t i = 0; i < count; i++) {
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i == 0 ? "" : ", ", words[i]);
    }
    return item == NULL || dialect_fault(parser, key, "must be one of %s", all);
}

static bool read_text(struct dialect_parser *parser, const cJSON *object, const char *key, const char **text) {
    const cJSON *item = member_get(object, key);
    *text = item == NULL ? *text : cJSON_GetStringValue(item);
    return item == NULL || *text != NULL || dialect_fault(parser, key, "must be a text");
}

static bool read_path(struct dialect_parser *parser, const cJSON *object, const char *key, const char **path) {
    if (!read_text(parser, object, key, path)) {
        return false;
    }
    const char *flaw = *path == NULL ? NULL : mapping_path_flaw(*path, true);
    return flaw == NULL || dialect_fault(parser, key, "\"%.60s\" %s", *path, flaw);
}

/* One path or a list of them; `many`: of each, all that it leads to count. */
static bool read_path_list(struct dialect_parser *parser, const cJSON *object, const char *key, bool many,
                           const cJSON **paths) {
    const cJSON *item = member_get(object, key);
    const cJSON *one = cJSON_IsArray(item) ? item->child : item;
    if (item == NULL) {
        return true;
    }
    do {
        const char *flaw = cJSON_IsString(one) ? mapping_path_flaw(one->valuestring, many) : "is no text";
        if (flaw != NULL) {
            return dialect_fault(parser, key, "the path \"%.60s\" %s", cJSON_IsString(one) ? one->valuestring : "",
                                 flaw);
        }
        one = cJSON_IsArray(item) ? one->next : NULL;
    } while (one != NULL);
    *paths = item;
    return true;
}

static bool read_paths(struct dialect_parser *parser, const cJSON *object, const char *key, const cJSON **paths) {
    return read_path_list(parser, object, key, false, paths);
}

/* A member that is an object, with these keys alone; `object` is NULL if it is not there. */
static bool read_object(struct dialect_parser *parser, const cJSON *file, const char *key, const char *const *known,
                        size_t count, const cJSON **object) {
    *object = member_get(file, key);
    if (*object == NULL) {
        return true;
    }
    if (!cJSON_IsObject(*object)) {
        return dialect_fault(parser, key, "must be an object");
    }
    snprintf(parser->place, sizeof parser->place, "%s.", key);
    return dialect_know_keys(parser, *object, known, count);
}

static bool need(struct dialect_parser *parser, const char *key, bool there) {
    return there || dialect_fault(parser, key, "is missing");
}

/* ---- parts ---- */

static bool read_time(struct dialect_parser *parser, struct mapping *mapping) {
    static const char *const known[] = {"at", "form", "offset_minutes", "arrival"};
    const cJSON *object;
    double offset = BEIJING_MINUTES;
    int form = 0;
    mapping->arrival = true;
    if (!read_object(parser, mapping->file, "time", known, COUNT_OF(known), &object) || object == NULL) {
        return object == NULL;
    }
    if (!read_paths(parser, object, "at", &mapping->time) || !need(parser, "at", mapping->time != NULL) ||
        !need(parser, "form", member_get(object, "form") != NULL) ||
        !read_word(parser, object, "form", forms, MAPPING_FORMS, &form) ||
        !dialect_read_number(parser, object, "offset_minutes", &offset)) {
        return false;
    }
    if (!(offset >= OFFSET_LEAST && offset <= OFFSET_MOST) || offset != floor(offset)) {
        return dialect_fault(parser, "offset_minutes", "must be a whole number from -720 to 840");
    }
    mapping->form = (enum mapping_form)form;
    mapping->offset_minutes = (int)offset;
    mapping->arrival = member_true(object, "arrival");
    return true;
}

static bool read_position(struct dialect_parser *parser, struct mapping *mapping) {
    static const char *const known[] = {"lon", "lat", "system"};
    const cJSON *object;
    return read_object(parser, mapping->file, "position", known, COUNT_OF(known), &object) &&
           (object == NULL ||
            (read_paths(parser, object, "lon", &mapping->lon) && read_paths(parser, object, "lat", &mapping->lat) &&
             need(parser, "lon", mapping->lon != NULL) && need(parser, "lat", mapping->lat != NULL) &&
             read_text(parser, object, "system", &mapping->system)));
}

static bool read_pairs(struct dialect_parser *parser, struct mapping *mapping) {
    static const char *const known[] = {"list", "name", "value"};
    const cJSON *object;
    if (!read_object(parser, mapping->file, "pairs", known, COUNT_OF(known), &object) || object == NULL) {
        return object == NULL;
    }
    mapping->list = "";
    return read_path(parser, object, "list", &mapping->list) && read_paths(parser, object, "name", &mapping->names) &&
           read_paths(parser, object, "value", &mapping->pair_values) && need(parser, "name", mapping->names != NULL) &&
           need(parser, "value", mapping->pair_values != NULL);
}

static bool read_frames(struct dialect_parser *parser, struct mapping *mapping) {
    static const char *const known[] = {"at", "encoding", "dialect"};
    const cJSON *object;
    int encoding = 0;
    if (!read_object(parser, mapping->file, "frames", known, COUNT_OF(known), &object) || object == NULL) {
        return object == NULL;
    }
    if (!read_paths(parser, object, "at", &mapping->frames) || !need(parser, "at", mapping->frames != NULL) ||
        !read_word(parser, object, "encoding", encodings, MAPPING_ENCODINGS, &encoding) ||
        !read_text(parser, object, "dialect", &mapping->dialect)) {
        return false;
    }
    mapping->encoding = (enum mapping_encoding)encoding;
    const char *name = mapping->dialect;
    return name == NULL || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(name) ||
           dialect_fault(parser, "dialect", "must be the name of a file of config/gateway/hj212 without .json");
}

static bool read_events(struct dialect_parser *parser, struct mapping *mapping) {
    static const char *const known[] = {"at", "is"};
    const cJSON *object;
    if (!read_object(parser, mapping->file, "events", known, COUNT_OF(known), &object) || object == NULL) {
        return object == NULL;
    }
    mapping->event_values = member_get(object, "is");
    return read_paths(parser, object, "at", &mapping->event) && need(parser, "at", mapping->event != NULL) &&
           (cJSON_IsArray(mapping->event_values) || dialect_fault(parser, "is", "must be a list"));
}

static bool read_field(struct dialect_parser *parser, const struct mapping *mapping, const cJSON *item) {
    static const char *const known[] = {"field", "unit", "scale", "add", "map"};
    double scale = 1, add = 0;
    snprintf(parser->place, sizeof parser->place, "fields.%.40s.", item->string);
    if (!cJSON_IsObject(item)) {
        return dialect_fault(parser, "", "must be an object such as {\"field\": \"pm10_ug_m3\", \"unit\": \"mg/m3\"}");
    }
    if (!dialect_know_keys(parser, item, known, COUNT_OF(known))) {
        return false;
    }
    const struct metric *metric = adapter_metric(mapping->adapter, member_text(item, "field"));
    const cJSON *map = member_get(item, "map");
    if (metric == NULL) {
        return dialect_fault(parser, "field", "\"%.60s\" is no field of %s", member_text(item, "field"),
                             mapping->adapter->key);
    }
    if (map != NULL && !cJSON_IsObject(map)) {
        return dialect_fault(parser, "map", "must be an object of values by what comes, such as {\"on\": 1}");
    }
    return dialect_read_number(parser, item, "scale", &scale) && dialect_read_number(parser, item, "add", &add) &&
           dialect_read_unit(parser, item, metric, &scale) &&
           (scale != 0 || dialect_fault(parser, "scale", "must not be 0"));
}

static bool read_fields(struct dialect_parser *parser, struct mapping *mapping) {
    const cJSON *fields = member_get(mapping->file, "fields");
    if (fields == NULL) {
        return true;
    }
    if (!cJSON_IsObject(fields)) {
        return dialect_fault(parser, "fields", "must be an object of fields by the names that come");
    }
    if (mapping->adapter == NULL) {
        return dialect_fault(parser, "subsystem", "must say whose fields `fields` names");
    }
    for (const cJSON *item = fields->child; item != NULL; item = item->next) {
        if (!read_field(parser, mapping, item)) {
            return false;
        }
        if (member_get(fields, item->string) != item) {
            return dialect_fault(parser, "", "stands here twice");
        }
    }
    mapping->fields = fields;
    return true;
}

static bool read_rest(struct dialect_parser *parser, struct mapping *mapping) {
    static const char *const formats[] = {"senml"}, *const signatures[] = {"onenet"};
    int format = -1, signature = -1;
    mapping->ignore = member_get(mapping->file, "ignore");
    mapping->answer = member_get(mapping->file, "answer");
    if (!read_word(parser, mapping->file, "format", formats, 1, &format) ||
        !read_word(parser, mapping->file, "signature", signatures, 1, &signature) ||
        !read_paths(parser, mapping->file, "unpack", &mapping->unpack) ||
        !read_path_list(parser, mapping->file, "records", true, &mapping->records) ||
        !read_paths(parser, mapping->file, "device", &mapping->device) ||
        !read_paths(parser, mapping->file, "values", &mapping->values)) {
        return false;
    }
    mapping->senml = format == 0;
    mapping->onenet = signature == 0;
    if (mapping->ignore != NULL && !cJSON_IsArray(mapping->ignore)) {
        return dialect_fault(parser, "ignore", "must be a list of names");
    }
    return true;
}

static bool read_file(struct dialect_parser *parser, struct mapping *mapping) {
    static const char *const known[] = {"title",  "note",   "subsystem", "format", "unpack",   "records",
                                        "device", "time",   "position",  "values", "pairs",    "frames",
                                        "events", "ignore", "fields",    "answer", "signature"};
    bool (*const parts[])(struct dialect_parser *, struct mapping *) = {
        read_rest, read_time, read_position, read_pairs, read_frames, read_events, read_fields};
    if (!cJSON_IsObject(mapping->file)) {
        return dialect_fault(parser, "file", "is no JSON object");
    }
    if (!dialect_know_keys(parser, mapping->file, known, COUNT_OF(known))) {
        return false;
    }
    if (member_get(mapping->file, "subsystem") != NULL) {
        const char *subsystem = member_text(mapping->file, "subsystem");
        mapping->adapter = adapter_find(subsystem);
        if (mapping->adapter == NULL) {
            return dialect_fault(parser, "subsystem", "there is no subsystem \"%.40s\"", subsystem);
        }
    }
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (!parts[i](parser, mapping)) {
            return false;
        }
        parser->place[0] = '\0';
    }
    return mapping->values != NULL || mapping->list != NULL || mapping->frames != NULL ||
           dialect_fault(parser, "values", "is missing, and so are pairs and frames: there would be nothing to store");
}

struct mapping *mapping_parse(const char *text, size_t length, char problem[static DIALECT_PROBLEM_MAX]) {
    struct dialect_parser parser = {.problem = problem};
    struct mapping *mapping = calloc(1, sizeof *mapping);
    problem[0] = '\0';
    if (mapping == NULL) {
        snprintf(problem, DIALECT_PROBLEM_MAX, "there is no memory left");
        return NULL;
    }
    mapping->offset_minutes = BEIJING_MINUTES;
    mapping->file = cJSON_ParseWithLength(text, length);
    if (!read_file(&parser, mapping)) {
        mapping_free(mapping);
        return NULL;
    }
    return mapping;
}

void mapping_free(struct mapping *mapping) {
    if (mapping != NULL) {
        cJSON_Delete(mapping->file);
        free(mapping);
    }
}

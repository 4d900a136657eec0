/* mapping.h: what the JSON of a foreign platform means, as data: one file a source (config/mappings), so that a
 * vendor's exporter is not changed. Pure. Must never make a reading of a value whose meaning the file or the subsystem
 * does not say; such values are kept as they came.
 *
 * {"title": "...", "note": "...",     for people
 *  "subsystem": "dust",               whose fields `fields` names; without it the source's, under the fields' own names
 *  "format": "senml",                 SenML (RFC 8428): made records of name and value before all else
 *  "unpack": PATHS,                   texts that are JSON themselves
 *  "records": PATHS,                  where records are, such as services/[]; without it the whole is one
 *  "device": PATHS,                   the device's code; without it, or where it is not there, the source's device
 *  "time": {"at": PATHS, "form": "ms", "offset_minutes": 480, "arrival": true},
 *                                     form: ms or s since 1970, iso (both of ISO 8601), digits (YYYYMMDDhhmmss); the
 *                                     offset is for times without a zone; arrival: where it is not there, the time of
 *                                     arrival counts. Without `time` that always counts
 *  "position": {"lon": PATHS, "lat": PATHS, "system": "GCJ02"},
 *  "values": PATHS,                   an object whose members are values
 *  "pairs": {"list": PATH, "name": PATHS, "value": PATHS},   or names and values; without `list` the record is one
 *  "frames": {"at": PATHS, "encoding": "base64", "dialect": "dust"},   or frames of HJ 212; base64, hex or text
 *  "events": {"at": PATHS, "is": [2]},      records that have no values: all they say is kept as it came
 *  "ignore": ["deviceType"],          members of values that say nothing
 *  "fields": {"temp": {"field": "temperature_c", "scale": 0.1, "add": 0, "unit": "mg/m3", "map": {"on": 1}}},
 *  "answer": {"code": 0},             what the platform is answered when all is stored; without it {}
 *  "signature": "onenet"}             how the gateway checks who sends, beside the source's secret
 *
 * PATHS is a path or a list of them, of which the first that is there counts. A path is a JSON pointer without its
 * first slash from the record, with it from the whole; * is each member, [] each element of a list, or what is no list
 * itself; $1 the name that the first * stood for. */
#ifndef CITYHUB_GATEWAY_MAPPING_H
#define CITYHUB_GATEWAY_MAPPING_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/adapter.h"
#include "hub/gateway/dialect_read.h"
#include "hub/gateway/hj212_dialect.h"

enum { MAPPING_RECORDS_MAX = 2000, MAPPING_PROBLEM_MAX = 240, MAPPING_STARS = 3 };

enum mapping_form { MAPPING_MS, MAPPING_S, MAPPING_ISO, MAPPING_DIGITS, MAPPING_FORMS };
enum mapping_encoding { MAPPING_BASE64, MAPPING_HEX, MAPPING_TEXT, MAPPING_ENCODINGS };

struct mapping {
    cJSON *file;
    const struct adapter *adapter; /* NULL = the source's */
    bool senml, arrival, onenet;
    const cJSON *records; /* PATHS; NULL = the whole */
    const cJSON *unpack, *device, *time, *lon, *lat, *values, *names, *pair_values, *frames, *event; /* PATHS or NULL */
    const char *list; /* of pairs; NULL = there are none, "" = the record */
    const cJSON *event_values, *ignore, *fields, *answer;
    const char *system, *dialect; /* NULL = none */
    enum mapping_form form;
    enum mapping_encoding encoding;
    int offset_minutes;
};

/* Reads a file's text. NULL with the reason in `problem`. The caller frees. */
struct mapping *mapping_parse(const char *text, size_t length, char problem[static DIALECT_PROBLEM_MAX]);
void mapping_free(struct mapping *mapping);

/* Whose message it is. */
struct mapping_origin {
    const struct adapter *adapter;
    const char *device;                  /* where the message names none; "" = none */
    int64_t now_ms;                      /* time of arrival */
    const struct hj212_dialect *dialect; /* of `frames`; NULL = there is none: its frames are kept as they came */
};

struct mapping_outcome {
    unsigned readings, intervals; /* records that were made; intervals: of what is kept as it came */
    unsigned values;              /* that became fields */
    unsigned left_over;           /* that did not, and are kept under their own names */
    unsigned failed;              /* records of which nothing could be made: keep the message */
    char first_left_over[64];
    char problem[MAPPING_PROBLEM_MAX]; /* of the first that failed */
};

/* Makes records in the form in which a vendor publishes them: of values to the array `telemetry`, of what is left over
 * to `intervals` (kind interval, `others`). The document is changed. 0 or CH_EMEMORY. */
int mapping_apply(const struct mapping *mapping, cJSON *document, const struct mapping_origin *origin, cJSON *telemetry,
                  cJSON *intervals, struct mapping_outcome *outcome);

/* ---- parts of it ---- */

/* What an item is found in, and the names that stars stood for. */
struct mapping_place {
    const cJSON *root, *record;
    char stars[MAPPING_STARS][129];
    int star_count;
};

/* The first that is there of one path or a list; NULL = none. `scratch` may become the item: a star's name. */
const cJSON *mapping_find(const cJSON *paths, const struct mapping_place *place, cJSON *scratch);

/* Calls `found` for each item of a path. False as soon as `found` says so. */
bool mapping_each(const char *path, const struct mapping_place *place,
                  bool (*found)(void *user, const struct mapping_place *place), void *user);

/* What is wrong with the form of a path; NULL = nothing. */
const char *mapping_path_flaw(const char *path, bool many);

/* A time of this form; 0 or CH_EINVAL: also a number that is seconds where ms are said, or the other way round. */
int mapping_time(const cJSON *item, enum mapping_form form, int offset_minutes, int64_t *ms);

/* A number, or a text that is one and nothing else. */
bool mapping_number(const cJSON *value, double *number);

/* Makes [{"device", "ms", "name", "value"}] of a SenML pack. NULL = it is none, or memory is out. */
cJSON *mapping_senml(const cJSON *pack, int64_t now_ms);

#endif

/* jt808_dialect.h: what a make of terminals means by its status bits, alarm bits and additional items, as data: one
 * JSON file a make and subsystem (config/gateway/jt808), because there is no nation-wide table and makers contradict
 * each other (one's tarpaulin bit is 1 for closed, another's for open). Never guesses: what no file says is not sent.
 *
 * {"title": "...", "note": "...",           for people
 *  "subsystem": "construction_waste",       whose fields these are
 *  "coordinate_system": "WGS84",            of the positions (default); those with status bit 5 are GCJ02
 *  "max_speed_km_h": 200,                   default; a place that could be reached only faster is a jump
 *  "ignore": ["30", "31"],                  items that are not kept; of others, what no field takes is kept as it came
 *  "fields": [{"field": "...", "from": "...", ...}]}
 * A field of the subsystem's record, and where it comes from:
 *   "from": "status" or "alarm"      the two words of 32 bits
 *   "from": "position", "value":     "speed" (km/h), "direction" (degrees) or "altitude" (m)
 *   "from": "item", "item": "2B"     additional item (two hexadecimal digits); "at": byte (0), "bytes": 1 to 4 (all of
 * it), "little_endian": true, "signed": true "bit": 0 to 31, "bits": 1 to 32  these bits of it alone ("bits" is 1)
 *   "none": [65535]                  numbers that stand for no value
 *   "map": {"0": true, "1": false}   what numbers mean; one that is not in it is no value
 *   "texts": {"4": "..."}            for a text: what each bit means that is 1, joined by 、
 *   "scale": 0.1, "add": -40         for a number: number * scale + add
 * Of two entries for a field the later one that has a value counts. */
#ifndef CITYHUB_GATEWAY_JT808_DIALECT_H
#define CITYHUB_GATEWAY_JT808_DIALECT_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "hub/gateway/dialect_read.h"
#include "hub/gateway/jt808_body.h"

enum {
    JT808_DIALECT_FIELDS_MAX = 64,
};

struct jt808_dialect;

/* Reads a file's text. NULL with the reason in `problem`: which key is wrong, and what is allowed. The caller frees. */
struct jt808_dialect *jt808_dialect_parse(const char *text, size_t length, char problem[static DIALECT_PROBLEM_MAX]);
void jt808_dialect_free(struct jt808_dialect *dialect);

const char *jt808_dialect_subsystem(const struct jt808_dialect *dialect);
const char *jt808_dialect_coordinate_system(const struct jt808_dialect *dialect);
double jt808_dialect_max_speed(const struct jt808_dialect *dialect); /* km/h */

/* Adds the fields that a position has to a record. An item that is too short for what is wanted of it is passed over.
 * Returns 0, or CH_EMEMORY. */
int jt808_dialect_fields(const struct jt808_dialect *dialect, const struct jt808_position *position, cJSON *record);

/* Adds {key, value} for what no field takes, as it came: items in hexadecimal ("item_E1", the second of that id
 * "item_E1_2"); "alarm" with any bit that no field takes; "status" with such a bit of those that the standard leaves to
 * makers. 0 or CH_EMEMORY. */
int jt808_dialect_others(const struct jt808_dialect *dialect, const struct jt808_position *position, bool is_2019,
                         cJSON *others);

#endif

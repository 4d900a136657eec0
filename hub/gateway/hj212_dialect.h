/* hj212_dialect.h: what a make of monitors means by its factor codes, as data: one JSON file a make and subsystem
 * (config/gateway/hj212), because the same number is PM10 with one maker and air pressure with another, and no frame
 * says its units. Never guesses: what no file says is not sent, and is told.
 *
 * {"title": "...", "note": "...",      for people
 *  "subsystem": "dust",                whose fields these are
 *  "factors": {"a34004": {"field": "pm25_ug_m3", "unit": "ng/m3"}, ...},
 *  "use": "N",                         data flags whose values are readings (default "N"); values without a flag are.
 *  "over_range": "T",                  and those of these flags, unless "use" has them, are readings over range
 *                                      (default "T", 超测上限; "" = of no flag: they are left over as others are)
 *  "intervals": {"2051": 600},         seconds that values of a command stand for, where they are others than the
 * default "flag_field": {"field": "monitor_state", "map": {"N": 0, "F": 1}}}   where the device's flag goes, if
 * anywhere A factor: "unit" is the device's, converted to the field's (default: the field's own); "scale" and "add"
 * beside it for what is no unit: number * scale + add. Of two factors for one field the first that has a value counts.
 */
#ifndef CITYHUB_GATEWAY_HJ212_DIALECT_H
#define CITYHUB_GATEWAY_HJ212_DIALECT_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "hub/adapter.h"
#include "hub/gateway/dialect_read.h"

enum {
    HJ212_FACTORS_MAX = 96,
    HJ212_FLAGS_MAX = 8, /* N F M S D C T B */
};

#define HJ212_FLAGS "NFMSDCTB"

/* Commands whose values stand for an interval; 2011 is here for makers that send -Avg in it. */
enum hj212_span { HJ212_SPAN_2011, HJ212_SPAN_2031, HJ212_SPAN_2051, HJ212_SPAN_2061, HJ212_SPAN_2111, HJ212_SPANS };

struct hj212_factor {
    const char *code; /* belongs to the dialect's file */
    const struct metric *metric;
    double scale, add; /* from the device's number to the field's */
};

struct hj212_dialect {
    cJSON *file;
    const struct adapter *adapter;
    struct hj212_factor factors[HJ212_FACTORS_MAX];
    size_t factor_count;
    const char *use, *over_range;
    int seconds[HJ212_SPANS];
    const struct metric *flag_metric; /* NULL = none */
    int flag_values[HJ212_FLAGS_MAX]; /* by the place in HJ212_FLAGS; -1 = is not sent */
};

/* Reads a file's text. NULL with the reason in `problem`: which key is wrong, and what is allowed. The caller frees. */
struct hj212_dialect *hj212_dialect_parse(const char *text, size_t length, char problem[static DIALECT_PROBLEM_MAX]);
void hj212_dialect_free(struct hj212_dialect *dialect);

/* The seconds that the values of a command stand for, 0 = they stand for no interval. */
int hj212_dialect_seconds(const struct hj212_dialect *dialect, int command);

#endif

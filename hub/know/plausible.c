/* plausible.c: codes that stand for "no value", and the county's extent. The list of codes is short and is only
 * searched for readings outside their range, or of metrics that have codes within it. Does no I/O. */
#include "hub/know/plausible.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"

enum { VENDOR_MAX = 64 };

struct code {
    const struct adapter *adapter; /* NULL = all */
    char vendor[VENDOR_MAX];       /* "" = all */
    int bit;                       /* metric's ordinal - 1, -1 = all */
    double value;
    bool in_range; /* counts within the metric's range, too */
    bool enabled;  /* false: there it is no code, whatever a more general entry says */
};

struct plausible {
    struct code *codes; /* the more special ones later: they decide */
    size_t count;
    uint64_t in_range_bits; /* metrics of any adapter that have codes within their range */
    struct decode_extent extent;
};

const char plausible_codes_sql[] =
    "SELECT c.subsystem, c.vendor, c.ordinal, c.value, c.in_range, c.enabled FROM onemap.no_value_code_overview c"
    " ORDER BY c.speciality";

const char plausible_extent_sql[] = "SELECT e.min_lon, e.min_lat, e.max_lon, e.max_lat FROM onemap.county_extent() e";

struct plausible *plausible_new(void) {
    return calloc(1, sizeof(struct plausible));
}

void plausible_free(struct plausible *plausible) {
    if (plausible != NULL) {
        free(plausible->codes);
        free(plausible);
    }
}

int plausible_take_codes(struct plausible *plausible, const PGresult *rows) {
    struct code *codes = calloc((size_t)PQntuples(rows) + 1, sizeof *codes);
    size_t count = 0;
    uint64_t in_range_bits = 0;
    if (codes == NULL) {
        return CH_EMEMORY;
    }
    for (int row = 0; row < PQntuples(rows); row++) {
        bool of_all = PQgetisnull(rows, row, 0);
        const struct adapter *adapter = of_all ? NULL : adapter_find(PQgetvalue(rows, row, 0));
        if (adapter == NULL && !of_all) {
            continue; /* of a subsystem that this build does not have */
        }
        struct code *code = &codes[count++];
        code->adapter = adapter;
        snprintf(code->vendor, sizeof code->vendor, "%s", PQgetvalue(rows, row, 1));
        code->bit = PQgetisnull(rows, row, 2) ? -1 : atoi(PQgetvalue(rows, row, 2)) - 1;
        code->value = strtod(PQgetvalue(rows, row, 3), NULL);
        code->in_range = PQgetvalue(rows, row, 4)[0] == 't';
        code->enabled = PQgetvalue(rows, row, 5)[0] == 't';
        in_range_bits |= code->in_range && code->bit >= 0 ? UINT64_C(1) << code->bit : 0;
    }
    free(plausible->codes);
    plausible->codes = codes;
    plausible->count = count;
    plausible->in_range_bits = in_range_bits;
    return 0;
}

int plausible_take_extent(struct plausible *plausible, const PGresult *rows) {
    plausible->extent = (struct decode_extent){0};
    if (PQntuples(rows) == 1) {
        plausible->extent = (struct decode_extent){.min_lon = strtod(PQgetvalue(rows, 0, 0), NULL),
                                                   .min_lat = strtod(PQgetvalue(rows, 0, 1), NULL),
                                                   .max_lon = strtod(PQgetvalue(rows, 0, 2), NULL),
                                                   .max_lat = strtod(PQgetvalue(rows, 0, 3), NULL)};
    }
    return 0;
}

struct decode_extent plausible_extent(const struct plausible *plausible) {
    return plausible->extent;
}

/* The same number, but for what a float on the way has rounded off. */
static bool is_code(double value, double code) {
    return fabs(value - code) <= fabs(code) * 1e-7;
}

/* The record's readings that the code may stand for: those outside their range, or all. */
static uint64_t suspects(const struct code *code, const struct vendor *vendor, const struct record *record) {
    if ((code->adapter != NULL && code->adapter != vendor->adapter) ||
        (code->vendor[0] != '\0' && strcmp(code->vendor, vendor_name(vendor)) != 0)) {
        return 0;
    }
    uint64_t bits = code->in_range || !code->enabled ? record->present : record->quality & ~record->over_range;
    return code->bit < 0 ? bits : bits & UINT64_C(1) << code->bit;
}

uint64_t plausible_no_values(const struct plausible *plausible, const struct vendor *vendor,
                             const struct record *record) {
    uint64_t found = 0;
    if (record->quality == 0 && (record->present & plausible->in_range_bits) == 0) {
        return 0; /* as most */
    }
    for (size_t i = 0; i < plausible->count; i++) {
        const struct code *code = &plausible->codes[i];
        for (uint64_t rest = suspects(code, vendor, record); rest != 0; rest &= rest - 1) {
            int bit = __builtin_ctzll(rest);
            uint64_t one = is_code(record->values[bit], code->value) ? UINT64_C(1) << bit : 0;
            found = code->enabled ? found | one : found & ~one;
        }
    }
    return found;
}

/* plausible.h: what can be true of a reading and a place: the codes that instruments send instead of a value, and the
 * county's extent. Read from the database with the rules, and again when they change. Does no I/O. */
#ifndef CITYHUB_PLAUSIBLE_H
#define CITYHUB_PLAUSIBLE_H

#include <libpq-fe.h>

#include "hub/decode/decode.h"
#include "hub/know/registry.h"

struct plausible;
struct plausible *plausible_new(void); /* NULL = out of memory */
void plausible_free(struct plausible *plausible);

/* Take in rows of these two; what was known before is forgotten. Return 0, or CH_EMEMORY: then what was known stands.
 */
extern const char plausible_codes_sql[];
extern const char plausible_extent_sql[];
int plausible_take_codes(struct plausible *plausible, const PGresult *rows);
int plausible_take_extent(struct plausible *plausible, const PGresult *rows);

/* Where the county's places are; without an inside until it is known. */
struct decode_extent plausible_extent(const struct plausible *plausible);

/* The readings of a record that are no readings: bit (ordinal - 1). A code counts where it is outside the metric's
 * physical range, as real readings are within; one that the county has set for use within the range counts always. */
uint64_t plausible_no_values(const struct plausible *plausible, const struct vendor *vendor,
                             const struct record *record);

#endif

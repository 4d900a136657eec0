/* tile_scope.h: whose rows somebody may see, for answers that are made from memory: all, or those of some departments.
 */
#ifndef CITYHUB_TILE_SCOPE_H
#define CITYHUB_TILE_SCOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TILE_SCOPE_TAG = 33 }; /* 128 bits in hex, and its end */

struct tile_scope {
    bool all;                 /* also what is of no department */
    char tag[TILE_SCOPE_TAG]; /* the same for the same departments, and for no others; "all" */
    size_t count;
    int32_t departments[]; /* ascending, each once; none is 0 */
};

/* From the member `departments` of an identity (onemap.identity_find): null = all, else an array of ids. NULL = out of
 * memory, or it is neither: then nothing may be shown. The caller frees. */
struct tile_scope *tile_scope_new(const char *identity_json);

/* Whether a row of this department may be seen; 0 = of none. */
bool tile_scope_has(const struct tile_scope *scope, int32_t department);

#endif

/* csv_table.h: a CSV file that people edit (csv.h), with a header of known columns, as the rows of JSON that an
 * import's SQL function takes. */
#ifndef CITYHUB_CSV_TABLE_H
#define CITYHUB_CSV_TABLE_H

#include <cjson/cJSON.h>
#include <stddef.h>

struct csv_table {
    const char *const *columns;
    size_t column_count;
    size_t required; /* so many of them, from the first, must be in the header */
};

/* [{"line": 2, COLUMN: TEXT, ...}, ...] of the file `path` ("-" = standard input), of at most 16 MiB; NULL after
 * telling what is wrong, with its line. The caller deletes. */
cJSON *csv_table_read(const char *path, const struct csv_table *table);

/* Tells the problems of an answer, {"problems": [{"line", "problem"}, ...]}, and returns how many there are. */
int csv_table_problems(const char *path, const cJSON *answer);

#endif

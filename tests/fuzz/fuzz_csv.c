/* fuzz_csv.c: any bytes as a CSV file. Every row has the header's number of fields, lines only grow, and a file that is
 * read to its end is read the same after it was written again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Quoted whatever it is: as RFC 4180 lets it be written. */
static void write_field(FILE *out, const char *text) {
    putc('"', out);
    for (; *text != '\0'; text++) {
        fputs(*text == '"' ? "\"\"" : (char[2]){*text, '\0'}, out);
    }
    putc('"', out);
}

/* Reads all rows; writes them to `out`. Returns 0 at the end of the file. */
static int copy(const char *bytes, size_t length, FILE *out) {
    struct csv csv;
    struct csv_row row;
    int64_t line = 0;
    if (csv_open(&csv, bytes, length) != 0) {
        abort();
    }
    int code;
    while ((code = csv_next(&csv, &row)) == 1) {
        if (row.count != csv.columns || row.line <= line || row.count == 0) {
            abort();
        }
        line = row.line;
        for (size_t i = 0; i < row.count; i++) {
            fputs(i == 0 ? "" : ",", out);
            write_field(out, row.fields[i]);
        }
        fputc('\n', out);
    }
    if (code != 0 && (csv.error[0] == '\0' || csv.error_line < 1)) {
        abort();
    }
    csv_close(&csv);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *once = NULL;
    char *twice = NULL;
    size_t once_size = 0;
    size_t twice_size = 0;
    FILE *out = open_memstream(&once, &once_size);
    int code = copy((const char *)data, size, out);
    fclose(out);
    if (code == 0) {
        out = open_memstream(&twice, &twice_size);
        if (copy(once, once_size, out) != 0) {
            abort();
        }
        fclose(out);
        if (once_size != twice_size || memcmp(once, twice, once_size) != 0) {
            abort();
        }
    }
    free(once);
    free(twice);
    return 0;
}

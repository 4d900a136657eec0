/* csv.c: reading CSV after RFC 4180. Reads what it is given and nothing beyond; one allocation a file. Must
 * never take a malformed row for a good one: a catalogue read half is worse than one refused. */
#include "hub/base/csv.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/text.h"

int csv_open(struct csv *csv, const char *bytes, size_t length) {
    static const char mark[] = {'\xEF', '\xBB', '\xBF'};
    *csv = (struct csv){.bytes = bytes, .length = length, .line = 1};
    if (length >= sizeof mark && memcmp(bytes, mark, sizeof mark) == 0) {
        csv->position = sizeof mark;
    }
    /* A row's text never grows: its separators make room for the ends of its fields, the last one needs one more. */
    csv->scratch = malloc(length + 1);
    return csv->scratch == NULL ? CH_EMEMORY : 0;
}

void csv_close(struct csv *csv) {
    free(csv->scratch);
    csv->scratch = NULL;
}

static int fail(struct csv *csv, int64_t line, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int fail(struct csv *csv, int64_t line, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(csv->error, sizeof csv->error, format, arguments);
    va_end(arguments);
    csv->error_line = line;
    csv->position = csv->length;
    return CH_EINVAL;
}

/* Bytes of the line end at the position: 0 if there is none. */
static size_t line_end(const struct csv *csv) {
    const char *at = csv->bytes + csv->position;
    size_t left = csv->length - csv->position;
    if (left >= 1 && at[0] == '\n') {
        return 1;
    }
    return left >= 2 && at[0] == '\r' && at[1] == '\n' ? 2 : 0;
}

/* The position is behind the opening quote. */
static int read_quoted(struct csv *csv, char **out) {
    int64_t opened = csv->line;
    while (csv->position < csv->length) {
        char byte = csv->bytes[csv->position++];
        if (byte == '"') {
            if (csv->position == csv->length || csv->bytes[csv->position] != '"') {
                return 0;
            }
            csv->position++;
        } else if (byte == '\n') {
            csv->line++;
        }
        *(*out)++ = byte;
    }
    return fail(csv, opened, "a quoted field has no end");
}

static int read_bare(struct csv *csv, char **out) {
    while (csv->position < csv->length && csv->bytes[csv->position] != ',' && line_end(csv) == 0) {
        char byte = csv->bytes[csv->position++];
        if (byte == '"') {
            return fail(csv, csv->line, "a quote within a field that does not begin with one");
        }
        if (byte == '\r') {
            return fail(csv, csv->line, "a carriage return without a line feed");
        }
        *(*out)++ = byte;
    }
    return 0;
}

/* One field and the separator behind it; `more` = a comma was. */
static int read_field(struct csv *csv, struct csv_row *row, char **out, bool *more) {
    char *start = *out;
    bool quoted = csv->position < csv->length && csv->bytes[csv->position] == '"';
    csv->position += quoted;
    int code = quoted ? read_quoted(csv, out) : read_bare(csv, out);
    if (code != 0) {
        return code;
    }
    const char *flaw = text_flaw(start, (size_t)(*out - start), true);
    if (flaw != NULL) {
        bool foreign_text = strcmp(flaw, "is not valid UTF-8") == 0;
        return fail(csv, csv->line, "field %zu %s%s", row->count + 1, flaw, foreign_text ? CSV_HOW_TO_SAVE : "");
    }
    *(*out)++ = '\0';
    bool guarded = *start == '\'' && text_is_formula(start + 1, strlen(start + 1), "=+-@");
    row->fields[row->count++] = start + guarded;
    *more = csv->position < csv->length && csv->bytes[csv->position] == ',';
    if (*more) {
        csv->position++;
    } else if (csv->position < csv->length) {
        size_t end = line_end(csv);
        if (end == 0) {
            return fail(csv, csv->line, "something follows the closing quote of field %zu", row->count);
        }
        csv->position += end;
        csv->line++;
    }
    return 0;
}

static int read_row(struct csv *csv, struct csv_row *row) {
    *row = (struct csv_row){.line = csv->line};
    char *out = csv->scratch;
    for (bool more = true; more;) {
        if (row->count == CSV_FIELDS_MAX) {
            return fail(csv, csv->line, "more than %d fields", CSV_FIELDS_MAX);
        }
        int code = read_field(csv, row, &out, &more);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

/* How many fields there are up to the last one that is not blank. */
static size_t filled_count(const struct csv_row *row) {
    size_t count = row->count;
    while (count > 0 && row->fields[count - 1][strspn(row->fields[count - 1], " \t")] == '\0') {
        count--;
    }
    return count;
}

/* What is no UTF-8 text with commas, as far as its first bytes and its first row tell. NULL = nothing strange. */
static const char *foreign(const struct csv *csv, const struct csv_row *row) {
    static const char utf16[] = "is UTF-16: save it as \"CSV UTF-8\" (CSV UTF-8 逗号分隔)";
    static const char workbook[] = "is a workbook (Excel 工作簿): save its sheet as \"CSV UTF-8\" (CSV UTF-8 逗号分隔)";
    static const struct {
        const char *begins, *strange;
    } others[] = {{"\xFF\xFE", utf16}, {"\xFE\xFF", utf16}, {"PK\3\4", workbook}, {"\xD0\xCF\x11\xE0", workbook}};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        size_t length = strlen(others[i].begins);
        if (csv->length >= length && memcmp(csv->bytes, others[i].begins, length) == 0) {
            return others[i].strange;
        }
    }
    bool other = row->count == 1 && strpbrk(row->fields[0], ";\t") != NULL;
    return other ? "has other separators than commas: save it as \"CSV UTF-8\" (CSV UTF-8 逗号分隔)" : NULL;
}

int csv_next(struct csv *csv, struct csv_row *row) {
    bool header = csv->columns == 0;
    size_t filled = 0;
    do {
        if (csv->position >= csv->length) {
            *row = (struct csv_row){.line = csv->line};
            return 0;
        }
        int code = read_row(csv, row);
        if (code != 0) {
            const char *strange = header ? foreign(csv, &(struct csv_row){0}) : NULL;
            return strange == NULL ? code : fail(csv, 1, "the file %s", strange);
        }
        filled = filled_count(row);
    } while (filled == 0); /* nothing, or separators alone: what a spreadsheet leaves behind its table */
    if (header) {
        row->count = csv->columns = filled; /* columns without a name are what it leaves beside it */
        const char *strange = foreign(csv, row);
        return strange == NULL ? 1 : fail(csv, row->line, "the file %s", strange);
    }
    if (row->count > csv->columns) {
        row->count = filled > csv->columns ? filled : csv->columns;
    }
    if (row->count != csv->columns) {
        return fail(csv, row->line, "%zu fields where the header has %zu", row->count, csv->columns);
    }
    return 1;
}

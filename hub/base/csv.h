/* csv.h: a strict reader of CSV (RFC 4180) over bounded bytes, for files that people edit; PostgreSQL writes them
 * (ask.h). UTF-8, with or without a byte order mark; lines end with CRLF or LF; the first row is a header, every
 * other row has as many fields. A ' that makes a cell text which a spreadsheet would calculate is taken off. Rows and
 * last columns without any value, as spreadsheets leave them around a table, are left aside. What does not fit is told
 * with its line, never guessed. */
#ifndef CITYHUB_CSV_H
#define CITYHUB_CSV_H

#include <stddef.h>
#include <stdint.h>

enum { CSV_FIELDS_MAX = 64, CSV_ERROR_MAX = 320 };

/* Spreadsheets in China save CSV as GBK unless they are told otherwise. */
#define CSV_HOW_TO_SAVE                                                                                                \
    " (GBK?): save it as \"CSV UTF-8\" (CSV UTF-8 逗号分隔), or `iconv -f GB18030 -t UTF-8 FILE > NEW`"

struct csv_row {
    int64_t line; /* where it begins, from 1; a quoted field may go over several */
    size_t count;
    const char
        *fields[CSV_FIELDS_MAX]; /* NUL-terminated, unquoted, valid UTF-8; owned by the reader until its next row */
};

struct csv {
    const char *bytes; /* the caller's */
    size_t length, position;
    int64_t line;
    size_t columns; /* of the header; 0 before it */
    char *scratch;
    int64_t error_line;
    char error[CSV_ERROR_MAX];
};

/* Prepares to read `bytes`, which must stay. Returns 0 or CH_EMEMORY. Release with csv_close in either case. */
int csv_open(struct csv *csv, const char *bytes, size_t length);
void csv_close(struct csv *csv);

/* Reads the next row, the header first. Returns 1, or 0 at the end, or CH_EINVAL with `error` and `error_line` set;
 * after an error there is nothing more to read. */
int csv_next(struct csv *csv, struct csv_row *row);

#endif

/* print_table.c: aligned columns. Must never send a control character of foreign text to the terminal. */
#include "hub/cli/print_table.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23, OID_FLOAT8 = 701, OID_NUMERIC = 1700, COLUMNS_MAX = 32 };

/* Takes the next character off *at. Bytes that are no UTF-8 come back one by one, negative. */
static int32_t next_character(const char **at) {
    const unsigned char *bytes = (const unsigned char *)*at;
    int more = bytes[0] < 0x80 ? 0 : bytes[0] >= 0xf0 ? 3 : bytes[0] >= 0xe0 ? 2 : bytes[0] >= 0xc0 ? 1 : -1;
    if (more < 0) {
        ++*at;
        return -(int32_t)bytes[0];
    }
    static const unsigned char lead_bits[] = {0x7f, 0x1f, 0x0f, 0x07};
    int32_t character = bytes[0] & lead_bits[more];
    for (int i = 1; i <= more; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            ++*at;
            return -(int32_t)bytes[0];
        }
        character = (character << 6) | (bytes[i] & 0x3f);
    }
    *at += more + 1;
    return character;
}

static bool is_control(int32_t character) {
    /* C0, DEL, C1, and the marks that change the direction of writing (Unicode TR 9) */
    return character < 0x20 || (character >= 0x7f && character < 0xa0) ||
           (character >= 0x200e && character <= 0x200f) || (character >= 0x202a && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069);
}

/* Wide and fullwidth ranges of Unicode TR 11, those that occur in this place. */
static bool is_wide(int32_t character) {
    return (character >= 0x1100 && character <= 0x115f) || (character >= 0x2e80 && character <= 0xa4cf) ||
           (character >= 0xac00 && character <= 0xd7a3) || (character >= 0xf900 && character <= 0xfaff) ||
           (character >= 0xfe30 && character <= 0xfe6f) || (character >= 0xff00 && character <= 0xff60) ||
           (character >= 0xffe0 && character <= 0xffe6) || (character >= 0x1f300 && character <= 0x1faff) ||
           (character >= 0x20000 && character <= 0x3fffd);
}

/* Prints to `out` unless that is NULL; returns the places. */
static int text_out(FILE *out, const char *text) {
    int places = 0;
    while (*text != '\0') {
        const char *from = text;
        int32_t character = next_character(&text);
        if (is_control(character)) {
            for (; from < text; from++, places += 4) {
                if (out != NULL) {
                    fprintf(out, "\\x%02x", (unsigned)(unsigned char)*from);
                }
            }
        } else {
            places += is_wide(character) ? 2 : 1;
            if (out != NULL) {
                fwrite(from, 1, (size_t)(text - from), out);
            }
        }
    }
    return places;
}

void print_text(FILE *out, const char *text) {
    text_out(out, text);
}

int print_width(const char *text) {
    return text_out(NULL, text);
}

static bool is_number(const PGresult *result, int column) {
    switch (PQftype(result, column)) {
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
    case OID_FLOAT8:
    case OID_NUMERIC:
        return true;
    default:
        return false;
    }
}

static void print_cell(FILE *out, const char *text, int width, bool right, bool last) {
    int space = width - print_width(text);
    fprintf(out, "%*s", right ? space : 0, "");
    print_text(out, text);
    fprintf(out, "%*s", right || last ? 0 : space, "");
    fputs(last ? "\n" : "  ", out);
}

/* One table: `cell` tells what stands where; rows count from 0, -1 is the titles'. */
struct grid {
    int columns, rows;
    const char *(*cell)(const struct grid *grid, int row, int column);
    bool (*right)(const struct grid *grid, int column);
    const void *source;
};

static void print_grid(FILE *out, const struct grid *grid) {
    int widths[COLUMNS_MAX] = {0};
    for (int column = 0; column < grid->columns; column++) {
        for (int row = -1; row < grid->rows; row++) {
            int width = print_width(grid->cell(grid, row, column));
            widths[column] = width > widths[column] ? width : widths[column];
        }
    }
    for (int row = -1; row < grid->rows; row++) {
        for (int column = 0; column < grid->columns; column++) {
            print_cell(out, grid->cell(grid, row, column), widths[column], grid->right(grid, column),
                       column == grid->columns - 1);
        }
    }
}

static const char *result_cell(const struct grid *grid, int row, int column) {
    static char title[64];
    const PGresult *result = grid->source;
    if (row >= 0) {
        return PQgetisnull(result, row, column) ? "-" : PQgetvalue(result, row, column);
    }
    snprintf(title, sizeof title, "%s", PQfname(result, column));
    for (char *at = title; (at = strchr(at, '_')) != NULL;) {
        *at = ' ';
    }
    return title;
}

static bool result_right(const struct grid *grid, int column) {
    return is_number(grid->source, column);
}

void print_table(FILE *out, const PGresult *result) {
    struct grid grid = {.columns = PQnfields(result) < COLUMNS_MAX ? PQnfields(result) : COLUMNS_MAX,
                        .rows = PQntuples(result),
                        .cell = result_cell,
                        .right = result_right,
                        .source = result};
    print_grid(out, &grid);
}

struct cells {
    const struct print_column *columns;
    const char *const *cells;
};

static const char *cells_cell(const struct grid *grid, int row, int column) {
    const struct cells *source = grid->source;
    const char *text =
        row < 0 ? source->columns[column].title : source->cells[(size_t)row * (size_t)grid->columns + (size_t)column];
    return text == NULL ? "-" : text;
}

static bool cells_right(const struct grid *grid, int column) {
    return ((const struct cells *)grid->source)->columns[column].right;
}

void print_cells(FILE *out, const struct print_column *columns, size_t column_count, const char *const *cells,
                 size_t row_count) {
    struct cells source = {.columns = columns, .cells = cells};
    struct grid grid = {.columns = (int)column_count,
                        .rows = (int)row_count,
                        .cell = cells_cell,
                        .right = cells_right,
                        .source = &source};
    print_grid(out, &grid);
}

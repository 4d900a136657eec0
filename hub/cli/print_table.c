/* print_table.c: aligned columns. Must never send a control character of foreign text to the terminal. */
#include "hub/cli/print_table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/text.h"

enum { OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23, OID_FLOAT8 = 701, OID_NUMERIC = 1700, COLUMNS_MAX = 32 };

/* The marks that change the direction of writing (Unicode TR 9): U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069. */
static bool is_direction(const char *character, size_t length) {
    const unsigned char *byte = (const unsigned char *)character;
    if (length != 3 || byte[0] != 0xe2) {
        return false;
    }
    return (byte[1] == 0x80 && (byte[2] == 0x8e || byte[2] == 0x8f || (byte[2] >= 0xaa && byte[2] <= 0xae))) ||
           (byte[1] == 0x81 && byte[2] >= 0xa6 && byte[2] <= 0xa9);
}

/* Prints to `out` unless that is NULL; returns the places. How wide a character is, libpq says, as to psql; to control
 * characters it gives no width. */
static int text_out(FILE *out, const char *text) {
    int encoding = pg_char_to_encoding("UTF8");
    int places = 0;
    size_t left = strlen(text);
    while (left > 0) {
        size_t length = text_character(text, left);
        int width = length == 0 || is_direction(text, length) ? -1 : PQdsplen(text, encoding);
        length = length == 0 ? 1 : length;
        places += width < 0 ? 4 * (int)length : width;
        for (size_t i = 0; width < 0 && i < length && out != NULL; i++) {
            fprintf(out, "\\x%02x", (unsigned)(unsigned char)text[i]);
        }
        if (width >= 0 && out != NULL) {
            fwrite(text, 1, length, out);
        }
        text += length;
        left -= length;
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

void print_facts(FILE *out, const PGresult *result) {
    int widest = 0;
    for (int row = 0; row < PQntuples(result); row++) {
        int width = print_width(PQgetvalue(result, row, 0));
        widest = width > widest ? width : widest;
    }
    for (int row = 0; row < PQntuples(result); row++) {
        const char *fact = PQgetvalue(result, row, 0);
        fprintf(out, "%s%*s  ", fact, widest - print_width(fact), "");
        for (const char *line = PQgetvalue(result, row, 1);;) {
            size_t length = strcspn(line, "\n");
            char *copy =
                strndup(line, length); /* the line ends are ours, other control characters may be a stranger's */
            print_text(out, copy == NULL ? "" : copy);
            free(copy);
            fputc('\n', out);
            if (line[length] == '\0') {
                break;
            }
            line += length + 1;
            fprintf(out, "%*s  ", widest, "");
        }
    }
}

/* sheet.c: a list as a workbook. Must never let a cell become a formula, nor touch a request that has ended. */
#include "hub/http/sheet.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>
#include <xlsxwriter.h>

#include "hub/base/text.h"
#include "hub/http/request.h"

enum { COLUMNS_MAX = 64, WIDTH_MOST = 50, CELL_MOST = 32767 /* characters, XLSX's bound */ };

struct sheet {
    struct request *request; /* NULL = it has ended */
    uv_work_t work;
    char *csv;
    size_t length;
    const char *numbers;
    char *bytes;
    size_t size;
};

struct columns {
    bool number[COLUMNS_MAX];
    int width[COLUMNS_MAX]; /* of a digit; a Chinese character has two */
};

/* ---- CSV ---- */

/* The next cell, unquoted in its place, with a NUL behind it; `*at` goes behind it. True if it ends its line. */
static bool cell_take(char **at, char *end, char **cell) {
    char *from = *at, *to = *at;
    bool quoted = from < end && *from == '"';
    *cell = to;
    from += quoted ? 1 : 0;
    while (from < end && (quoted || (*from != ',' && *from != '\r' && *from != '\n'))) {
        if (quoted && *from == '"' && (from + 1 == end || from[1] != '"')) {
            quoted = false;
            from++;
            continue;
        }
        from += quoted && *from == '"' ? 1 : 0;
        *to++ = *from++;
    }
    bool last = from >= end || *from != ',';
    from += from < end && *from == '\r' ? 1 : 0;
    *at = from < end ? from + 1 : end;
    *to = '\0';
    return last;
}

static int width_of(const char *text) {
    int width = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0' && width < WIDTH_MOST; c++) {
        width += *c < 0x80 ? 1 : (*c & 0xc0) == 0x80 ? 0 : 2;
    }
    return width;
}

/* Whether `name` is one of the words. */
static bool is_among(const char *words, const char *name) {
    size_t length = strlen(name);
    for (const char *at = strstr(words, name); length > 0 && at != NULL; at = strstr(at + 1, name)) {
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

/* ---- the workbook ---- */

static void cut_to_fit(char *text) {
    size_t characters = 0;
    for (char *c = text; *c != '\0'; c++) {
        if (((unsigned char)*c & 0xc0) != 0x80 && characters++ == CELL_MOST) {
            *c = '\0';
            return;
        }
    }
}

static void cell_write(lxw_worksheet *page, lxw_row_t row, lxw_col_t column, char *cell, bool number) {
    char *end = cell;
    double value = number ? strtod(cell, &end) : NAN;
    if (end != cell && *end == '\0' && isfinite(value)) {
        worksheet_write_number(page, row, column, value, NULL);
        return;
    }
    /* In a workbook a text is one, whatever it begins with. */
    cell += cell[0] == '\'' && text_is_formula(cell + 1, strlen(cell + 1), "=+-@") ? 1 : 0;
    text_xml(cell);
    cut_to_fit(cell);
    if (*cell != '\0') {
        worksheet_write_string(page, row, column, cell, NULL);
    }
}

static void page_fill(lxw_workbook *workbook, char *csv, size_t length, const char *numbers) {
    lxw_worksheet *page = workbook_add_worksheet(workbook, NULL);
    lxw_format *head = workbook_add_format(workbook);
    struct columns columns = {0};
    char *at = csv, *end = csv + length, *cell;
    lxw_col_t count = 0;
    format_set_bold(head);
    if (length >= 3 && memcmp(csv, "\xef\xbb\xbf", 3) == 0) {
        at += 3;
    }
    for (lxw_row_t row = 0; at < end; row++) {
        bool last = false;
        for (lxw_col_t column = 0; !last; column++) {
            last = cell_take(&at, end, &cell);
            if (column >= COLUMNS_MAX) {
                continue;
            }
            int width = width_of(cell);
            columns.width[column] = width > columns.width[column] ? width : columns.width[column];
            if (row == 0) {
                columns.number[column] = is_among(numbers, cell);
                worksheet_write_string(page, 0, column, cell, head);
                count = (lxw_col_t)(column + 1);
            } else {
                cell_write(page, row, column, cell, columns.number[column]);
            }
        }
    }
    for (lxw_col_t column = 0; column < count; column++) {
        worksheet_set_column(page, column, column, columns.width[column] + 2, NULL);
    }
    worksheet_freeze_panes(page, 1, 0);
}

static char *file_read(FILE *file, size_t *size) {
    long length = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    char *bytes = length > 0 ? malloc((size_t)length) : NULL;
    rewind(file);
    if (bytes != NULL && fread(bytes, 1, (size_t)length, file) != (size_t)length) {
        free(bytes);
        return NULL;
    }
    *size = length > 0 ? (size_t)length : 0;
    return bytes;
}

char *sheet_make(char *csv, size_t length, const char *numbers, size_t *size) {
    char folder[] = "/tmp/cityhub-sheet-XXXXXX", path[sizeof folder + 16];
    char *bytes = NULL;
    if (mkdtemp(folder) == NULL) {
        return NULL;
    }
    snprintf(path, sizeof path, "%s/list.xlsx", folder);
    lxw_workbook_options options = {.constant_memory = LXW_TRUE, .tmpdir = folder};
    lxw_workbook *workbook = workbook_new_opt(path, &options);
    if (workbook != NULL) {
        page_fill(workbook, csv, length, numbers);
        FILE *file = workbook_close(workbook) == LXW_NO_ERROR ? fopen(path, "rb") : NULL;
        if (file != NULL) {
            bytes = file_read(file, size);
            fclose(file);
        }
    }
    unlink(path);
    rmdir(folder);
    return bytes;
}

/* ---- later ---- */

static void sheet_free(struct sheet *sheet) {
    free(sheet->csv);
    free(sheet->bytes);
    free(sheet);
}

static void make_work(uv_work_t *work) {
    struct sheet *sheet = work->data;
    sheet->bytes = sheet_make(sheet->csv, sheet->length, sheet->numbers, &sheet->size);
}

static void on_made(uv_work_t *work, int status) {
    struct sheet *sheet = work->data;
    struct request *request = sheet->request;
    (void)status;
    if (request != NULL && !request->answer_ready) { /* else refused meanwhile: it took too long */
        request->answer.source = (struct answer_source){0};
        if (sheet->bytes == NULL) {
            request_refuse(request, PROBLEM_INTERNAL, "无法生成表格", "the workbook could not be made");
        } else {
            request->answer.body = request->answer.owner = sheet->bytes;
            request->answer.length = sheet->size;
            request->answer.release = free;
            sheet->bytes = NULL;
            request->answer_ready = true;
        }
        request_wake(request);
    }
    sheet_free(sheet);
}

static void sheet_closed(void *user, const char *why) {
    struct sheet *sheet = user;
    (void)why;
    sheet->request = NULL;
}

void sheet_start(struct request *request, char *csv, size_t length, const char *numbers) {
    struct sheet *sheet = calloc(1, sizeof *sheet);
    if (sheet == NULL || csv == NULL) {
        free(sheet);
        free(csv);
        request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
        return;
    }
    *sheet = (struct sheet){.request = request, .csv = csv, .length = length, .numbers = numbers};
    sheet->work.data = sheet;
    request->answer.source = (struct answer_source){.closed = sheet_closed, .user = sheet};
    uv_queue_work(request->service->loop, &sheet->work, make_work, on_made);
}

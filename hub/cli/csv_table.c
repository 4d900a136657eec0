/* csv_table.c: see csv_table.h. Knows no column, and must never guess what a cell means. */
#include "hub/cli/csv_table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/csv.h"
#include "hub/base/error.h"
#include "hub/base/file.h"
#include "hub/base/member.h"
#include "hub/cli/command.h"
#include "hub/cli/print_table.h"

enum { FILE_BYTES_MAX = 16 * 1024 * 1024 };

/* Blanks around a name in the header are not seen by who writes it. */
static bool is_name(const char *field, const char *column) {
    static const char blanks[] = " \t";
    field += strspn(field, blanks);
    size_t length = strlen(column);
    return strncmp(field, column, length) == 0 && field[length + strspn(field + length, blanks)] == '\0';
}

/* Which column each field of the header is; CH_EINVAL after telling what does not fit. */
static int header_match(const char *path, const struct csv_table *table, const struct csv_row *header,
                        size_t *column_of) {
    int code = 0;
    for (size_t i = 0; i < header->count; i++) {
        column_of[i] = table->column_count;
        for (size_t c = 0; c < table->column_count; c++) {
            column_of[i] = is_name(header->fields[i], table->columns[c]) ? c : column_of[i];
        }
        if (column_of[i] == table->column_count) {
            fprintf(stderr, "%s:1: there is no column `", path);
            print_text(stderr, header->fields[i]);
            fputs("`\n", stderr);
            code = CH_EINVAL;
        }
    }
    for (size_t c = 0; c < table->column_count; c++) {
        size_t times = 0;
        for (size_t i = 0; i < header->count; i++) {
            times += column_of[i] == c;
        }
        if (times > 1 || (times == 0 && c < table->required)) {
            fprintf(stderr, "%s:1: column `%s` %s\n", path, table->columns[c],
                    times == 0 ? "is missing" : "is there twice");
            code = CH_EINVAL;
        }
    }
    return code;
}

cJSON *csv_table_read(const char *path, const struct csv_table *table) {
    size_t length = 0;
    char problem[FILE_PROBLEM_MAX];
    char *bytes = file_read(path, FILE_BYTES_MAX, &length, problem);
    if (bytes == NULL) {
        command_fail("%s: %s", path, problem);
        return NULL;
    }
    struct csv csv;
    struct csv_row row = {0};
    size_t column_of[CSV_FIELDS_MAX] = {0};
    cJSON *rows = cJSON_CreateArray();
    int code = csv_open(&csv, bytes, length);
    code = code == 0 ? csv_next(&csv, &row) : code;
    if (code == 0) {
        fprintf(stderr, "%s:1: the file is empty\n", path);
        code = CH_EINVAL;
    } else if (code == 1) {
        code = header_match(path, table, &row, column_of);
        while (code == 0 && (code = csv_next(&csv, &row)) == 1) {
            cJSON *item = cJSON_CreateObject();
            cJSON_AddNumberToObject(item, "line", (double)row.line);
            for (size_t i = 0; i < row.count; i++) {
                cJSON_AddStringToObject(item, table->columns[column_of[i]], row.fields[i]);
            }
            cJSON_AddItemToArray(rows, item);
            code = 0;
        }
    }
    if (csv.error_line > 0) {
        fprintf(stderr, "%s:%lld: %s\n", path, (long long)csv.error_line, csv.error);
    }
    csv_close(&csv);
    free(bytes);
    if (code != 0) {
        cJSON_Delete(rows);
        return NULL;
    }
    return rows;
}

int csv_table_problems(const char *path, const cJSON *answer) {
    const cJSON *problems = member_get(answer, "problems");
    const cJSON *problem;
    cJSON_ArrayForEach(problem, problems) {
        fprintf(stderr, "%s:%.0f: ", path, member_number(problem, "line", 0));
        print_text(stderr, member_text(problem, "problem"));
        fputc('\n', stderr);
    }
    return cJSON_GetArraySize(problems);
}

/* score_report.c: the files of a published month, see score_report.h. Writes JSON and CSV itself, and puts every file
 * in its place only when it is whole. Never computes a figure. */
#include "hub/bulletin/score_report.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/text.h"
#include "hub/cli/command.h"

enum { PATH_BYTES = 4096 };

void score_report_month(const char *month, char *name, size_t size) {
    snprintf(name, size, "%.4s年%ld月", month, strtol(month + 5, NULL, 10));
}

int score_total_decimals(const cJSON *row) {
    enum { LEAST = 2, MOST = 12 };
    char text[64];
    double total = member_number(row, "total", 0);
    int decimals = LEAST;
    while (decimals < MOST && snprintf(text, sizeof text, "%.*f", decimals, total) > 0 && strtod(text, NULL) != total) {
        decimals++;
    }
    return decimals;
}

/* ---- CSV ---- */

static void csv_field(FILE *out, const char *text, bool last) {
    fputs(text_is_formula(text, strlen(text), "=+-@") ? "\"'" : "\"", out);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"') {
            fputc('"', out);
        }
        fputc(*c, out);
    }
    fputs(last ? "\"\r\n" : "\",", out);
}

static void csv_number(FILE *out, const cJSON *object, const char *key, const char *format) {
    if (member_is_number(object, key)) {
        fprintf(out, format, member_number(object, key, 0));
    }
    fputc(',', out);
}

static void csv_row(FILE *out, const cJSON *row, const cJSON *items) {
    const cJSON *scores = member_get(row, "scores");
    const cJSON *item;
    char total[16];
    csv_number(out, row, "rank", "%.0f");
    csv_field(out, member_text(row, "department"), false);
    csv_field(out, member_text(row, "name"), false);
    snprintf(total, sizeof total, "%%.%df", score_total_decimals(row));
    csv_number(out, row, "total", total);
    csv_field(out, member_text(row, "grade"), false);
    csv_number(out, row, "digital", "%.2f");
    csv_number(out, row, "campaign_mean", "%.4f");
    cJSON_ArrayForEach(item, items) {
        if (strcmp(member_text(item, "part"), "digital") != 0) {
            csv_number(out, member_find(scores, "item", member_text(item, "item")), "score", "%.10g");
        }
    }
    csv_number(out, row, "bonus", "%.10g");
    fprintf(out, "%.10g\r\n", member_number(row, "deducted", 0));
}

int score_csv_write(const struct score_report *report, FILE *out) {
    const cJSON *items = member_get(report->publication, "items");
    const cJSON *item;
    const cJSON *row;
    /* A byte order mark: without it spreadsheets take the file for one in the system's own encoding. */
    fputs("\xEF\xBB\xBF名次,单位编码,单位,总分,等级,数字城管,专项平均,", out);
    cJSON_ArrayForEach(item, items) {
        if (strcmp(member_text(item, "part"), "digital") != 0) {
            csv_field(out, member_text(item, "name"), false);
        }
    }
    fputs("加分,减分\r\n", out);
    cJSON_ArrayForEach(row, member_get(report->content, "rows")) {
        csv_row(out, row, items);
    }
    return ferror(out) == 0 ? 0 : CH_EIO;
}

/* ---- JSON ---- */

static int content_write(const struct score_report *report, FILE *out) {
    fputs(member_text(report->publication, "content_text"), out);
    return ferror(out) == 0 ? 0 : CH_EIO;
}

static int publication_write(const struct score_report *report, FILE *out) {
    static const char *const keys[] = {"sha256", "previous_sha256", "author", "published_at"};
    cJSON *about = cJSON_CreateObject();
    cJSON_AddStringToObject(about, "month", report->month);
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        const cJSON *value = member_get(report->publication, keys[i]);
        cJSON_AddItemToObject(about, keys[i],
                              cJSON_IsString(value) ? cJSON_Duplicate(value, true) : cJSON_CreateNull());
    }
    char *text = cJSON_Print(about);
    int code = text != NULL && fprintf(out, "%s\n", text) > 0 ? 0 : CH_EIO;
    free(text);
    cJSON_Delete(about);
    return code;
}

/* ---- files ---- */

typedef int file_writer(const struct score_report *report, FILE *out);

static int write_stream(const struct score_report *report, file_writer *writer, const char *path) {
    FILE *out = fopen(path, "we");
    if (out == NULL) {
        return CH_EIO;
    }
    int code = writer(report, out);
    if (fclose(out) != 0) {
        code = CH_EIO;
    }
    return code;
}

/* Writes beside the file and renames; writer NULL = the XLSX, which is written by path. */
static int write_file(const struct score_report *report, const char *folder, const char *suffix, file_writer *writer,
                      FILE *out) {
    char path[PATH_BYTES];
    char part[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/%s%s", folder, report->month, suffix);
    if (length < 0 || (size_t)length + sizeof ".part" > sizeof path) {
        command_fail("%s: the name is too long", folder);
        return CH_EINVAL;
    }
    snprintf(part, sizeof part, "%.*s.part", (int)sizeof part - 8, path);
    errno = 0;
    int code = writer == NULL ? score_xlsx_write(report, part) : write_stream(report, writer, part);
    if (code == 0 && rename(part, path) != 0) {
        code = CH_EIO;
    }
    if (code != 0) {
        command_fail("%s could not be written: %s", path, errno == 0 ? "the library refused" : strerror(errno));
        unlink(part);
        return code;
    }
    fprintf(out, "%s\n", path);
    return 0;
}

int score_report_write(const cJSON *publication, const char *folder, FILE *out) {
    static const struct {
        const char *suffix;
        file_writer *writer;
    } files[] = {{".json", content_write},
                 {"-publication.json", publication_write},
                 {"-ranking.csv", score_csv_write},
                 {"-bulletin.xlsx", NULL},
                 {"-bulletin.html", score_html_write}};
    struct score_report report = {.publication = publication, .content = member_get(publication, "content")};
    report.month = member_text(report.content, "month");
    if (strlen(report.month) != sizeof "2026-10" - 1 || strchr(report.month, '/') != NULL) {
        command_fail("the publication has no month");
        return CH_EINVAL;
    }
    if (mkdir(folder, 0755) != 0 && errno != EEXIST) {
        command_fail("%s could not be made: %s", folder, strerror(errno));
        return CH_EIO;
    }
    int code = 0;
    for (size_t i = 0; code == 0 && i < COUNT_OF(files); i++) {
        code = write_file(&report, folder, files[i].suffix, files[i].writer, out);
    }
    return code;
}

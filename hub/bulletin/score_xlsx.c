/* score_xlsx.c: the monthly bulletin as a workbook: ranking, consequences, digital scores item by item, statistics,
 * with charts over its own cells. Never computes a figure. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xlsxwriter.h>

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/text.h"
#include "hub/bulletin/score_report.h"

enum { COLUMNS_MAX = 100, PAPER_A4 = 9 };
static const double LINE_POINTS = 16; /* height of one line of 11 points */
/* In widths of a digit: what still reads well when it is made to fit on a landscape A4 page, and what such a page holds
 * at SHEET_SCALE percent. */
enum { FIT_DIGITS = 180, PAGE_DIGITS = 124, SHEET_SCALE = 85 };

struct column {
    const char *head;
    double width; /* in widths of a digit, as XLSX has it; a Chinese character is two */
};

/* A sheet being filled, and the formats of its cells. */
struct sheet {
    lxw_workbook *workbook;
    lxw_worksheet *worksheet;
    lxw_format *title, *head, *text, *whole, *two, *total, *four;
    lxw_row_t row;
    lxw_col_t column;
    double widths[COLUMNS_MAX];
    size_t named; /* columns that say whose row it is: they stand on every page */
    int lines;    /* of the row being filled: Excel makes a row as high as its wrapped text, other programs do not */
};

/* How many lines a text takes in a column of that width: Chinese wraps anywhere, so the width of the characters tells.
 */
static int lines_of(const char *text, double width) {
    double at = 0;
    int lines = 1;
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        double own = *c < 0x80 ? 1 : (*c & 0xc0) == 0x80 ? 0 : 2;
        bool full = at + own > width - 1; /* the cell's margins take a digit's width */
        lines += *c == '\n' || full ? 1 : 0;
        at = *c == '\n' ? 0 : full ? own : at + own;
    }
    return lines;
}

static void put(struct sheet *sheet, const char *text, lxw_format *format) {
    int lines = lines_of(text, sheet->widths[sheet->column]);
    char *cell = strdup(text);
    sheet->lines = lines > sheet->lines ? lines : sheet->lines;
    if (cell != NULL) {
        text_xml(cell);
        worksheet_write_string(sheet->worksheet, sheet->row, sheet->column, cell, format);
        free(cell);
    }
    sheet->column++;
}

static void put_text(struct sheet *sheet, const char *text) {
    put(sheet, text, sheet->text);
}

/* An absent number is an empty cell, never a 0. */
static void put_number(struct sheet *sheet, const cJSON *object, const char *key, lxw_format *format) {
    if (member_is_number(object, key)) {
        worksheet_write_number(sheet->worksheet, sheet->row, sheet->column, member_number(object, key, 0), format);
    } else {
        worksheet_write_blank(sheet->worksheet, sheet->row, sheet->column, format);
    }
    sheet->column++;
}

static void next_row(struct sheet *sheet) {
    worksheet_set_row(sheet->worksheet, sheet->row, sheet->lines * LINE_POINTS, NULL);
    sheet->row++;
    sheet->column = 0;
    sheet->lines = 1;
}

static lxw_format *format_add(lxw_workbook *workbook, const char *number_format) {
    lxw_format *format = workbook_add_format(workbook);
    format_set_border(format, LXW_BORDER_THIN);
    format_set_align(format, LXW_ALIGN_VERTICAL_CENTER);
    if (number_format != NULL) {
        format_set_num_format(format, number_format);
    }
    return format;
}

static void formats_make(struct sheet *sheet) {
    sheet->title = workbook_add_format(sheet->workbook);
    format_set_bold(sheet->title);
    format_set_font_size(sheet->title, 16);
    format_set_align(sheet->title, LXW_ALIGN_CENTER);
    sheet->head = format_add(sheet->workbook, NULL);
    format_set_bold(sheet->head);
    format_set_text_wrap(sheet->head);
    format_set_bg_color(sheet->head, 0xEEEEEE);
    sheet->text = format_add(sheet->workbook, NULL);
    format_set_text_wrap(sheet->text);
    sheet->whole = format_add(sheet->workbook, "0");
    sheet->two = format_add(sheet->workbook, "0.00");
    sheet->total = format_add(sheet->workbook, "0.00##########"); /* see score_total_decimals() */
    sheet->four = format_add(sheet->workbook, "0.0000");
}

/* Where pages begin, in columns. Returns how many, 0 if one page holds all. */
static size_t pages_divide(const struct sheet *sheet, size_t columns, lxw_col_t breaks[static COLUMNS_MAX + 1]) {
    double total = 0;
    double names = 0;
    size_t count = 0;
    for (size_t i = 0; i < columns; i++) {
        total += sheet->widths[i];
        names += i < sheet->named ? sheet->widths[i] : 0;
    }
    double at = names;
    for (size_t i = sheet->named; i < columns && total > FIT_DIGITS; i++) {
        if (at + sheet->widths[i] > PAGE_DIGITS) {
            breaks[count++] = (lxw_col_t)i;
            at = names;
        }
        at += sheet->widths[i];
    }
    breaks[count] = 0;
    return count;
}

static void paper_set(struct sheet *sheet, bool landscape, lxw_col_t *breaks, size_t pages) {
    worksheet_set_paper(sheet->worksheet, PAPER_A4);
    worksheet_repeat_rows(sheet->worksheet, 0, 1);
    worksheet_set_margins(sheet->worksheet, 0.4, 0.4, 0.6, 0.6);
    worksheet_set_footer(sheet->worksheet, "&C&A  &P / &N");
    worksheet_freeze_panes(sheet->worksheet, 2, (lxw_col_t)sheet->named);
    if (landscape) {
        worksheet_set_landscape(sheet->worksheet);
    }
    if (pages == 0) {
        worksheet_fit_to_pages(sheet->worksheet, 1, 0);
    } else {
        worksheet_set_v_pagebreaks(sheet->worksheet, breaks);
        worksheet_repeat_columns(sheet->worksheet, 0, (lxw_col_t)(sheet->named - 1));
        worksheet_set_print_scale(sheet->worksheet, SHEET_SCALE);
    }
}

/* Begins a sheet: a title over its first page, then the heads; data begin in row 2. A4, heads repeated in print. */
static void sheet_begin(struct sheet *sheet, const char *name, const char *title, const struct column *columns,
                        size_t count, bool landscape) {
    lxw_col_t breaks[COLUMNS_MAX + 1];
    sheet->worksheet = workbook_add_worksheet(sheet->workbook, name);
    for (size_t i = 0; i < count; i++) {
        sheet->widths[i] = columns[i].width;
        worksheet_set_column(sheet->worksheet, (lxw_col_t)i, (lxw_col_t)i, columns[i].width, NULL);
    }
    size_t pages = pages_divide(sheet, count, breaks);
    sheet->row = 0;
    sheet->column = 0;
    sheet->lines = 2;
    lxw_col_t last = (lxw_col_t)(pages == 0 ? count - 1 : (size_t)breaks[0] - 1);
    worksheet_merge_range(sheet->worksheet, 0, 0, 0, last, title, sheet->title);
    next_row(sheet);
    for (size_t i = 0; i < count; i++) {
        put(sheet, columns[i].head, sheet->head);
    }
    next_row(sheet);
    paper_set(sheet, landscape, breaks, pages);
}

/* A sheet of its own with the bars of one column over the data rows of the sheet `name`, which is being filled. */
static void chart_add(struct sheet *sheet, const char *name, const char *title, lxw_col_t labels, lxw_col_t values) {
    if (sheet->row <= 2) {
        return;
    }
    lxw_chartsheet *chartsheet = workbook_add_chartsheet(sheet->workbook, title);
    lxw_chart *chart = workbook_add_chart(sheet->workbook, LXW_CHART_COLUMN);
    lxw_chart_series *series = chart_add_series(chart, NULL, NULL);
    chart_series_set_categories(series, name, 2, labels, sheet->row - 1, labels);
    chart_series_set_values(series, name, 2, values, sheet->row - 1, values);
    chart_series_set_name(series, title);
    chart_series_set_labels(series);
    chart_title_set_name(chart, title);
    chart_legend_set_position(chart, LXW_CHART_LEGEND_NONE);
    chart_axis_set_min(chart->y_axis, 0);
    chartsheet_set_chart(chartsheet, chart);
    chartsheet_set_paper(chartsheet, PAPER_A4);
    chartsheet_set_landscape(chartsheet);
}

static void ranking(struct sheet *sheet, const struct score_report *report, const char *month) {
    struct column columns[COLUMNS_MAX] = {{"名次", 6}, {"单位", 24},     {"总分", 9},
                                          {"等级", 8}, {"数字城管", 10}, {"专项平均", 10}};
    const cJSON *items = member_get(report->publication, "items");
    const cJSON *item;
    const cJSON *row;
    char title[128];
    size_t count = 6;
    cJSON_ArrayForEach(item, items) {
        if (strcmp(member_text(item, "part"), "digital") != 0 && count + 2 < COLUMNS_MAX) {
            columns[count++] = (struct column){member_text(item, "name"), 11};
        }
    }
    columns[count++] = (struct column){"加分", 8};
    columns[count++] = (struct column){"减分", 8};
    snprintf(title, sizeof title, "城市管理“三化”月度考核排名（%s）", month);
    sheet_begin(sheet, "考核排名", title, columns, count, true);
    cJSON_ArrayForEach(row, member_get(report->content, "rows")) {
        const cJSON *scores = member_get(row, "scores");
        put_number(sheet, row, "rank", sheet->whole);
        put_text(sheet, member_text(row, "name"));
        put_number(sheet, row, "total", sheet->total);
        put_text(sheet, member_text(row, "grade"));
        put_number(sheet, row, "digital", sheet->two);
        put_number(sheet, row, "campaign_mean", sheet->four);
        cJSON_ArrayForEach(item, items) {
            if (strcmp(member_text(item, "part"), "digital") != 0) {
                put_number(sheet, member_find(scores, "item", member_text(item, "item")), "score", sheet->two);
            }
        }
        put_number(sheet, row, "bonus", sheet->two);
        put_number(sheet, row, "deducted", sheet->two);
        next_row(sheet);
    }
    chart_add(sheet, "考核排名", "月度考核总分", 1, 2);
}

static void bulletin(struct sheet *sheet, const struct score_report *report, const char *month) {
    static const struct column columns[] = {
        {"单位", 24}, {"奖惩", 48}, {"依据（附件条款）", 20}, {"金额（元）", 12}, {"待定", 20}};
    const cJSON *finding;
    char title[128];
    snprintf(title, sizeof title, "城市管理“三化”月度考核通报（%s）", month);
    sheet_begin(sheet, "通报", title, columns, COUNT_OF(columns), true);
    cJSON_ArrayForEach(finding, member_get(report->content, "findings")) {
        put_text(sheet, member_text(finding, "name"));
        put_text(sheet, member_text(finding, "text"));
        put_text(sheet, member_text(finding, "clause"));
        put_number(sheet, finding, "amount_yuan", sheet->whole);
        put_text(sheet, member_text(finding, "undecided"));
        next_row(sheet);
    }
}

static void digital(struct sheet *sheet, const struct score_report *report) {
    static const struct column columns[] = {{"分组", 14}, {"组内名次", 10}, {"单位", 24},     {"得分", 9},
                                            {"分项", 28}, {"权重", 8},      {"分项得分", 11}, {"比率（%）", 11}};
    const cJSON *unit;
    const cJSON *item;
    sheet_begin(sheet, "数字城管", "数字城管考核分项得分", columns, COUNT_OF(columns), false);
    cJSON_ArrayForEach(unit, member_get(report->content, "digital")) {
        cJSON_ArrayForEach(item, member_get(unit, "items")) {
            put_text(sheet, member_text(unit, "group_name"));
            put_number(sheet, unit, "rank", sheet->whole);
            put_text(sheet, member_text(unit, "name"));
            put_number(sheet, unit, "score", sheet->two);
            put_text(sheet, member_text(item, "name"));
            put_number(sheet, item, "weight", sheet->two);
            put_number(sheet, item, "points", sheet->four);
            put_number(sheet, item, "rate", sheet->four);
            next_row(sheet);
        }
    }
}

static void statistics(struct sheet *sheet, const struct score_report *report) {
    struct column columns[COLUMNS_MAX] = {{"单位", 24}, {"按期处置率（%）", 11}};
    const cJSON *measures = member_get(report->publication, "measures");
    const cJSON *rates = member_get(report->publication, "rates");
    const cJSON *one;
    const cJSON *row;
    size_t count = 2;
    cJSON_ArrayForEach(one, measures) {
        count = count < COLUMNS_MAX ? count + 1 : count;
        columns[count - 1] = (struct column){member_text(one, "name"), 11};
    }
    cJSON_ArrayForEach(one, rates) {
        count = count < COLUMNS_MAX ? count + 1 : count;
        columns[count - 1] = (struct column){member_text(one, "name"), 11};
    }
    sheet_begin(sheet, "案件统计", "数字城管案件统计", columns, count, true);
    cJSON_ArrayForEach(row, member_get(report->content, "statistics")) {
        const cJSON *counted = member_get(row, "measures");
        const cJSON *percent = member_get(row, "rates");
        put_text(sheet, member_text(row, "key")[0] == '\0' ? "（未派遣）" : member_text(row, "name"));
        put_number(sheet, percent, "handle_in_time_rate", sheet->two);
        cJSON_ArrayForEach(one, measures) {
            put_number(sheet, counted, member_text(one, "measure"), sheet->whole);
        }
        cJSON_ArrayForEach(one, rates) {
            put_number(sheet, percent, member_text(one, "rate"), sheet->two);
        }
        next_row(sheet);
    }
    chart_add(sheet, "案件统计", "按期处置率（%）", 0, 1);
}

static void about(struct sheet *sheet, const struct score_report *report) {
    static const struct column columns[] = {{"项目", 20}, {"内容", 72}};
    const cJSON *formula = member_get(report->content, "formula");
    const char *const lines[][2] = {{"评分规则", member_text(formula, "name")},
                                    {"规则摘要 SHA-256", member_text(formula, "sha256")},
                                    {"数据摘要 SHA-256", member_text(report->publication, "sha256")},
                                    {"上月摘要 SHA-256", member_text(report->publication, "previous_sha256")},
                                    {"案卷日志封印", member_text(member_get(report->content, "seal"), "hash")},
                                    {"发布人", member_text(report->publication, "author")},
                                    {"发布日期", member_text(report->publication, "published_on")}};
    sheet_begin(sheet, "说明", "说明", columns, 2, false);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        put_text(sheet, lines[i][0]);
        put_text(sheet, lines[i][1]);
        next_row(sheet);
    }
}

int score_xlsx_write(const struct score_report *report, const char *path) {
    char month[32];
    struct sheet sheet = {.workbook = workbook_new(path)};
    if (sheet.workbook == NULL) {
        return CH_EIO;
    }
    score_report_month(report->month, month, sizeof month);
    formats_make(&sheet);
    sheet.named = 2; /* rank and unit */
    ranking(&sheet, report, month);
    sheet.named = 1;
    bulletin(&sheet, report, month);
    digital(&sheet, report);
    statistics(&sheet, report);
    about(&sheet, report);
    return workbook_close(sheet.workbook) == LXW_NO_ERROR ? 0 : CH_EIO;
}

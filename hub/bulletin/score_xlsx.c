/* score_xlsx.c: the monthly bulletin as a workbook: ranking, consequences, digital scores item by item, statistics,
 * with charts over its own cells. Never computes a figure. */
#include <string.h>
#include <xlsxwriter.h>

#include "hub/base/error.h"
#include "hub/bulletin/score_report.h"

/* A sheet being filled, and the formats of its cells. */
struct sheet {
    lxw_workbook *workbook;
    lxw_worksheet *worksheet;
    lxw_format *title, *head, *text, *whole, *two, *four;
    lxw_row_t row;
    lxw_col_t column;
};

static void put_text(struct sheet *sheet, const char *text) {
    worksheet_write_string(sheet->worksheet, sheet->row, sheet->column++, text, sheet->text);
}

static void put_head(struct sheet *sheet, const char *text) {
    worksheet_write_string(sheet->worksheet, sheet->row, sheet->column++, text, sheet->head);
}

/* An absent number is an empty cell, never a 0. */
static void put_number(struct sheet *sheet, const cJSON *object, const char *key, lxw_format *format) {
    if (publication_has_number(object, key)) {
        worksheet_write_number(sheet->worksheet, sheet->row, sheet->column, publication_number(object, key, 0), format);
    } else {
        worksheet_write_blank(sheet->worksheet, sheet->row, sheet->column, format);
    }
    sheet->column++;
}

static void next_row(struct sheet *sheet) {
    sheet->row++;
    sheet->column = 0;
}

static lxw_format *format_add(lxw_workbook *workbook, const char *number_format) {
    lxw_format *format = workbook_add_format(workbook);
    format_set_border(format, LXW_BORDER_THIN);
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
    sheet->four = format_add(sheet->workbook, "0.0000");
}

/* Begins a sheet: a title over `columns` columns, then the heads; data begin in row 2. A4, repeated heads in print. */
static void sheet_begin(struct sheet *sheet, const char *name, const char *title, const char *const *heads,
                        size_t columns, bool landscape) {
    sheet->worksheet = workbook_add_worksheet(sheet->workbook, name);
    sheet->row = 1;
    sheet->column = 0;
    worksheet_merge_range(sheet->worksheet, 0, 0, 0, (lxw_col_t)(columns - 1), title, sheet->title);
    for (size_t i = 0; i < columns; i++) {
        put_head(sheet, heads[i]);
    }
    worksheet_set_paper(sheet->worksheet, 9);
    worksheet_repeat_rows(sheet->worksheet, 0, 1);
    worksheet_fit_to_pages(sheet->worksheet, 1, 0);
    worksheet_freeze_panes(sheet->worksheet, 2, 0);
    worksheet_set_column(sheet->worksheet, 0, (lxw_col_t)(columns - 1), 11, NULL);
    if (landscape) {
        worksheet_set_landscape(sheet->worksheet);
    }
    next_row(sheet);
}

/* A bar chart of one column over the sheet's data rows 2 to sheet->row - 1, put below them. */
static void sheet_chart(struct sheet *sheet, const char *name, const char *title, lxw_col_t labels, lxw_col_t values) {
    if (sheet->row <= 2) {
        return;
    }
    lxw_chart *chart = workbook_add_chart(sheet->workbook, LXW_CHART_COLUMN);
    lxw_chart_series *series = chart_add_series(chart, NULL, NULL);
    chart_series_set_categories(series, name, 2, labels, sheet->row - 1, labels);
    chart_series_set_values(series, name, 2, values, sheet->row - 1, values);
    chart_series_set_name(series, title);
    chart_series_set_labels(series);
    chart_title_set_name(chart, title);
    chart_legend_set_position(chart, LXW_CHART_LEGEND_NONE);
    chart_axis_set_min(chart->y_axis, 0);
    lxw_chart_options options = {.x_scale = 1.8, .y_scale = 1.2};
    worksheet_insert_chart_opt(sheet->worksheet, sheet->row + 1, 0, chart, &options);
}

static void ranking(struct sheet *sheet, const struct score_report *report, const char *month) {
    enum { MOST = 40, FIXED = 6 };
    const char *heads[MOST] = {"名次", "单位", "总分", "等级", "数字城管", "专项平均"};
    const cJSON *items = cJSON_GetObjectItemCaseSensitive(report->publication, "items");
    const cJSON *item;
    const cJSON *row;
    char title[128];
    size_t columns = FIXED;
    cJSON_ArrayForEach(item, items) {
        if (strcmp(publication_text(item, "part"), "digital") != 0 && columns + 2 < MOST) {
            heads[columns++] = publication_text(item, "name");
        }
    }
    heads[columns++] = "加分";
    heads[columns++] = "减分";
    snprintf(title, sizeof title, "城市管理“三化”月度考核排名（%s）", month);
    sheet_begin(sheet, "考核排名", title, heads, columns, true);
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(report->content, "rows")) {
        const cJSON *scores = cJSON_GetObjectItemCaseSensitive(row, "scores");
        put_number(sheet, row, "rank", sheet->whole);
        put_text(sheet, publication_text(row, "name"));
        put_number(sheet, row, "total", sheet->two);
        put_text(sheet, publication_text(row, "grade"));
        put_number(sheet, row, "digital", sheet->two);
        put_number(sheet, row, "campaign_mean", sheet->four);
        cJSON_ArrayForEach(item, items) {
            if (strcmp(publication_text(item, "part"), "digital") != 0) {
                put_number(sheet, publication_find(scores, "item", publication_text(item, "item")), "score",
                           sheet->two);
            }
        }
        put_number(sheet, row, "bonus", sheet->two);
        put_number(sheet, row, "deducted", sheet->two);
        next_row(sheet);
    }
    worksheet_set_column(sheet->worksheet, 1, 1, 22, NULL);
    sheet_chart(sheet, "考核排名", "月度考核总分", 1, 2);
}

static void bulletin(struct sheet *sheet, const struct score_report *report, const char *month) {
    static const char *const heads[] = {"单位", "奖惩", "依据（附件条款）", "金额（元）", "待定"};
    const cJSON *finding;
    char title[128];
    snprintf(title, sizeof title, "城市管理“三化”月度考核通报（%s）", month);
    sheet_begin(sheet, "通报", title, heads, sizeof heads / sizeof heads[0], false);
    cJSON_ArrayForEach(finding, cJSON_GetObjectItemCaseSensitive(report->content, "findings")) {
        put_text(sheet, publication_text(finding, "name"));
        put_text(sheet, publication_text(finding, "text"));
        put_text(sheet, publication_text(finding, "clause"));
        put_number(sheet, finding, "amount_yuan", sheet->whole);
        put_text(sheet, publication_text(finding, "undecided"));
        next_row(sheet);
    }
    worksheet_set_column(sheet->worksheet, 0, 0, 22, NULL);
    worksheet_set_column(sheet->worksheet, 1, 1, 48, NULL);
    worksheet_set_column(sheet->worksheet, 2, 4, 18, NULL);
}

static void digital(struct sheet *sheet, const struct score_report *report) {
    static const char *const heads[] = {"分组", "组内名次", "单位", "得分", "分项", "权重", "分项得分", "比率（%）"};
    const cJSON *unit;
    const cJSON *item;
    sheet_begin(sheet, "数字城管", "数字城管考核分项得分", heads, sizeof heads / sizeof heads[0], false);
    cJSON_ArrayForEach(unit, cJSON_GetObjectItemCaseSensitive(report->content, "digital")) {
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(unit, "items")) {
            put_text(sheet, publication_text(unit, "group_name"));
            put_number(sheet, unit, "rank", sheet->whole);
            put_text(sheet, publication_text(unit, "name"));
            put_number(sheet, unit, "score", sheet->two);
            put_text(sheet, publication_text(item, "name"));
            put_number(sheet, item, "weight", sheet->two);
            put_number(sheet, item, "points", sheet->four);
            put_number(sheet, item, "rate", sheet->four);
            next_row(sheet);
        }
    }
    worksheet_set_column(sheet->worksheet, 2, 2, 22, NULL);
    worksheet_set_column(sheet->worksheet, 4, 4, 26, NULL);
}

static void statistics(struct sheet *sheet, const struct score_report *report) {
    enum { MOST = 100 };
    const char *heads[MOST] = {"单位", "按期处置率（%）"};
    const cJSON *measures = cJSON_GetObjectItemCaseSensitive(report->publication, "measures");
    const cJSON *rates = cJSON_GetObjectItemCaseSensitive(report->publication, "rates");
    const cJSON *one;
    const cJSON *row;
    size_t columns = 2;
    cJSON_ArrayForEach(one, measures) {
        columns = columns < MOST ? columns + 1 : columns;
        heads[columns - 1] = publication_text(one, "name");
    }
    cJSON_ArrayForEach(one, rates) {
        columns = columns < MOST ? columns + 1 : columns;
        heads[columns - 1] = publication_text(one, "name");
    }
    sheet_begin(sheet, "案件统计", "数字城管案件统计", heads, columns, true);
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(report->content, "statistics")) {
        const cJSON *counted = cJSON_GetObjectItemCaseSensitive(row, "measures");
        const cJSON *percent = cJSON_GetObjectItemCaseSensitive(row, "rates");
        put_text(sheet, publication_text(row, "key")[0] == '\0' ? "（未派遣）" : publication_text(row, "name"));
        put_number(sheet, percent, "handle_in_time_rate", sheet->two);
        cJSON_ArrayForEach(one, measures) {
            put_number(sheet, counted, publication_text(one, "measure"), sheet->whole);
        }
        cJSON_ArrayForEach(one, rates) {
            put_number(sheet, percent, publication_text(one, "rate"), sheet->two);
        }
        next_row(sheet);
    }
    worksheet_set_column(sheet->worksheet, 0, 0, 22, NULL);
    sheet_chart(sheet, "案件统计", "按期处置率（%）", 0, 1);
}

static void about(struct sheet *sheet, const struct score_report *report) {
    static const char *const heads[] = {"项目", "内容"};
    const cJSON *formula = cJSON_GetObjectItemCaseSensitive(report->content, "formula");
    const char *const lines[][2] = {{"评分规则", publication_text(formula, "name")},
                                    {"规则摘要 SHA-256", publication_text(formula, "sha256")},
                                    {"数据摘要 SHA-256", publication_text(report->publication, "sha256")},
                                    {"上月摘要 SHA-256", publication_text(report->publication, "previous_sha256")},
                                    {"发布人", publication_text(report->publication, "author")},
                                    {"发布日期", publication_text(report->publication, "published_on")}};
    sheet_begin(sheet, "说明", "说明", heads, 2, false);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        put_text(sheet, lines[i][0]);
        put_text(sheet, lines[i][1]);
        next_row(sheet);
    }
    worksheet_set_column(sheet->worksheet, 0, 0, 20, NULL);
    worksheet_set_column(sheet->worksheet, 1, 1, 72, NULL);
}

int score_xlsx_write(const struct score_report *report, const char *path) {
    char month[32];
    struct sheet sheet = {.workbook = workbook_new(path)};
    if (sheet.workbook == NULL) {
        return CH_EIO;
    }
    publication_month_name(report->month, month, sizeof month);
    formats_make(&sheet);
    ranking(&sheet, report, month);
    bulletin(&sheet, report, month);
    digital(&sheet, report);
    statistics(&sheet, report);
    about(&sheet, report);
    return workbook_close(sheet.workbook) == LXW_NO_ERROR ? 0 : CH_EIO;
}

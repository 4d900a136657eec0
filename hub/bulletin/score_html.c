/* score_html.c: the monthly bulletin (考核通报) as one HTML page that prints on A4: ranking, charts as inline SVG,
 * consequences with their clauses, statistics, and the hash of the figures. Refers to nothing outside itself. */
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/bulletin/score_report.h"

enum {
    CHART_WIDTH = 680, /* all in CSS pixels */
    CHART_LABEL = 150,
    CHART_VALUE = 60,
    BAR_STEP = 24,
    BAR_HEIGHT = 15,
};

static const char style[] =
    "@page{size:A4;margin:18mm 15mm}body{font-family:'Noto Serif CJK SC','Songti SC',SimSun,serif;font-size:11pt;"
    "max-width:190mm;margin:0 auto;padding:1em;color:#111}h1{text-align:center;font-size:18pt;margin:.2em 0}"
    "h2{font-size:13pt;border-bottom:1px solid #999;margin-top:1.4em;break-after:avoid}.sub{text-align:center}"
    "table{border-collapse:collapse;width:100%;font-size:9.5pt}th,td{border:1px solid #888;padding:.25em .4em}"
    "th{background:#eee}td.n{text-align:right;font-variant-numeric:tabular-nums}tr,svg{break-inside:avoid}"
    "thead{display:table-header-group}.tight{font-size:8.5pt}.tight th,.tight td{padding:.2em .15em}"
    ".tight td:first-child{min-width:6.5em}.fail{color:#a00}footer{font-size:8pt;color:#555;"
    "margin-top:2em;word-break:break-all}svg{width:100%;height:auto}svg text{font-size:11px;fill:#111}";

static void escaped(FILE *out, const char *text) {
    for (const char *c = text; *c != '\0'; c++) {
        switch (*c) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*c, out);
        }
    }
}

static void text_cell(FILE *out, const char *text) {
    fputs("<td>", out);
    escaped(out, text);
    fputs("</td>", out);
}

static void number_cell(FILE *out, const cJSON *object, const char *key, int decimals) {
    if (member_is_number(object, key)) {
        fprintf(out, "<td class=\"n\">%.*f</td>", decimals, member_number(object, key, 0));
    } else {
        fputs("<td class=\"n\">—</td>", out);
    }
}

static void heading(FILE *out, const char *text) {
    fprintf(out, "<h2>%s</h2>\n", text);
}

/* ---- charts ---- */

struct bar {
    const char *label;
    double value;
    bool known;
    const char *colour;
};

static void bar_write(FILE *out, const struct bar *bar, double full, int top) {
    int room = CHART_WIDTH - CHART_LABEL - CHART_VALUE;
    double share = bar->known && full > 0 ? bar->value / full : 0;
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", CHART_LABEL - 6, top + BAR_HEIGHT - 3);
    escaped(out, bar->label);
    fprintf(out, "</text><rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>", CHART_LABEL, top,
            share * room, BAR_HEIGHT, bar->colour);
    if (bar->known) {
        fprintf(out, "<text x=\"%.1f\" y=\"%d\">%.2f</text>\n", CHART_LABEL + share * room + 5, top + BAR_HEIGHT - 3,
                bar->value);
    } else {
        fprintf(out, "<text x=\"%d\" y=\"%d\">—</text>\n", CHART_LABEL + 5, top + BAR_HEIGHT - 3);
    }
}

static void chart_open(FILE *out, const char *title, int bars) {
    fprintf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n", CHART_WIDTH, bars * BAR_STEP + 8,
            title);
}

static const char *grade_colour(const char *grade) {
    return strcmp(grade, "优秀") == 0   ? "#2e7d32"
           : strcmp(grade, "良好") == 0 ? "#1565c0"
           : strcmp(grade, "合格") == 0 ? "#b07d00"
                                        : "#b71c1c";
}

static void chart_totals(FILE *out, const cJSON *rows) {
    double full = 100;
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) {
        full = member_number(row, "total", 0) > full ? member_number(row, "total", 0) : full;
    }
    int top = 4;
    chart_open(out, "月度考核总分", cJSON_GetArraySize(rows));
    cJSON_ArrayForEach(row, rows) {
        struct bar bar = {member_text(row, "name"), member_number(row, "total", 0), member_is_number(row, "total"),
                          grade_colour(member_text(row, "grade"))};
        bar_write(out, &bar, full, top);
        top += BAR_STEP;
    }
    fputs("</svg>\n", out);
}

static void chart_rates(FILE *out, const cJSON *rows, const cJSON *statistics, const char *rate, const char *title) {
    int top = 4;
    const cJSON *row;
    chart_open(out, title, cJSON_GetArraySize(rows));
    cJSON_ArrayForEach(row, rows) {
        const cJSON *found = member_find(statistics, "key", member_text(row, "department"));
        const cJSON *rates = member_get(found, "rates");
        struct bar bar = {member_text(row, "name"), member_number(rates, rate, 0), member_is_number(rates, rate),
                          "#1565c0"};
        bar_write(out, &bar, 100, top);
        top += BAR_STEP;
    }
    fputs("</svg>\n", out);
}

/* ---- tables ---- */

static void ranking(FILE *out, const cJSON *rows) {
    const cJSON *row;
    fputs("<table id=\"ranking\"><thead><tr>"
          "<th>名次</th><th>单位</th><th>总分</th><th>等级</th><th>数字城管<br>×50%</th>"
          "<th>八个专项平均<br>×40%</th><th>加分</th><th>减分</th>"
          "</tr></thead><tbody>\n",
          out);
    cJSON_ArrayForEach(row, rows) {
        fputs("<tr>", out);
        number_cell(out, row, "rank", 0);
        text_cell(out, member_text(row, "name"));
        number_cell(out, row, "total", score_total_decimals(row));
        text_cell(out, member_text(row, "grade"));
        number_cell(out, row, "digital", 2);
        number_cell(out, row, "campaign_mean", 4);
        number_cell(out, row, "bonus", 1);
        number_cell(out, row, "deducted", 1);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table>\n", out);
}

/* Scores of campaigns and offices, a row a department and a column an item: there are twelve of these, and any number
 * of those. */
static void entries(FILE *out, const cJSON *rows, const cJSON *items) {
    const cJSON *item;
    const cJSON *row;
    fputs("<table id=\"entries\" class=\"tight\"><thead><tr><th>单位</th>", out);
    cJSON_ArrayForEach(item, items) {
        if (strcmp(member_text(item, "part"), "digital") != 0) {
            fputs("<th>", out);
            escaped(out, member_text(item, "name"));
            fputs("</th>", out);
        }
    }
    fputs("</tr></thead><tbody>\n", out);
    cJSON_ArrayForEach(row, rows) {
        const cJSON *scores = member_get(row, "scores");
        fputs("<tr>", out);
        text_cell(out, member_text(row, "name"));
        cJSON_ArrayForEach(item, items) {
            if (strcmp(member_text(item, "part"), "digital") != 0) {
                number_cell(out, member_find(scores, "item", member_text(item, "item")), "score", 2);
            }
        }
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table><p>“—”表示该专项不涉及该单位，不计入平均。</p>\n", out);
}

static void awards(FILE *out, const cJSON *rows) {
    const cJSON *row;
    const cJSON *award;
    int count = 0;
    fputs("<table id=\"awards\"><thead><tr>"
          "<th>单位</th><th>事项</th><th>依据</th><th>次数</th><th>分值</th>"
          "</tr></thead><tbody>\n",
          out);
    cJSON_ArrayForEach(row, rows) {
        cJSON_ArrayForEach(award, member_get(row, "awards")) {
            fputs("<tr>", out);
            text_cell(out, member_text(row, "name"));
            text_cell(out, member_text(award, "name"));
            text_cell(out, member_text(award, "clause"));
            number_cell(out, award, "times", 0);
            number_cell(out, award, "points", 1);
            fputs("</tr>\n", out);
            count++;
        }
    }
    fputs(count == 0 ? "<tr><td colspan=\"5\">本月无加分、减分事项</td></tr></tbody></table>\n" : "</tbody></table>\n",
          out);
}

static void findings(FILE *out, const cJSON *list) {
    const cJSON *finding;
    fputs("<table id=\"findings\"><thead><tr>"
          "<th>单位</th><th>奖惩</th><th>依据（附件条款）</th><th>金额（元）</th>"
          "</tr></thead><tbody>\n",
          out);
    cJSON_ArrayForEach(finding, list) {
        fputs("<tr>", out);
        text_cell(out, member_text(finding, "name"));
        fputs("<td>", out);
        escaped(out, member_text(finding, "text"));
        if (member_text(finding, "undecided")[0] != '\0') {
            fputs("<br><em>待定：", out);
            escaped(out, member_text(finding, "undecided"));
            fputs("</em>", out);
        }
        fputs("</td>", out);
        text_cell(out, member_text(finding, "clause"));
        number_cell(out, finding, "amount_yuan", 0);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table>\n", out);
}

static void statistics_table(FILE *out, const cJSON *statistics) {
    static const char *const measures[] = {"should_handle", "handled",  "handled_in_time", "overdue",
                                           "rework_times",  "returned", "should_close",    "closed_in_time"};
    static const char *const rates[] = {"handle_in_time_rate", "close_in_time_rate"};
    const cJSON *row;
    fputs("<table id=\"statistics\"><thead><tr>"
          "<th>单位</th><th>应处置</th><th>处置</th><th>按期处置</th><th>超期</th><th>返工次数</th><th>回退</th>"
          "<th>应结案</th><th>按期结案</th><th>按期处置率%</th><th>按期结案率%</th>"
          "</tr></thead><tbody>\n",
          out);
    cJSON_ArrayForEach(row, statistics) {
        if (member_text(row, "key")[0] == '\0') {
            continue;
        }
        fputs("<tr>", out);
        text_cell(out, member_text(row, "name"));
        for (size_t i = 0; i < COUNT_OF(measures); i++) {
            number_cell(out, member_get(row, "measures"), measures[i], 0);
        }
        for (size_t i = 0; i < COUNT_OF(rates); i++) {
            number_cell(out, member_get(row, "rates"), rates[i], 2);
        }
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table>\n", out);
}

static void footer(FILE *out, const struct score_report *report) {
    const cJSON *formula = member_get(report->content, "formula");
    fputs("<footer><p>数字城管评分规则：", out);
    escaped(out, member_text(formula, "name"));
    fprintf(out, "（第%.0f版）；案卷日志截至第%.0f条。</p><p>发布人：", member_number(formula, "version", 0),
            member_number(report->content, "through_id", 0));
    escaped(out, member_text(report->publication, "author"));
    fputs("；发布日期：", out);
    escaped(out, member_text(report->publication, "published_on"));
    fprintf(out, "；数据摘要 SHA-256：%s", member_text(report->publication, "sha256"));
    const cJSON *seal = member_get(report->content, "seal");
    if (seal != NULL) { /* months that an earlier build published have none */
        fprintf(out, "；案卷日志封印（至第%.0f条）：", member_number(seal, "through_id", 0));
        escaped(out, member_text(seal, "hash"));
    }
    fputs("</p></footer>\n", out);
}

int score_html_write(const struct score_report *report, FILE *out) {
    char month[32];
    const cJSON *rows = member_get(report->content, "rows");
    const cJSON *statistics = member_get(report->content, "statistics");
    score_report_month(report->month, month, sizeof month);
    fprintf(out,
            "<!DOCTYPE html>\n<html lang=\"zh-CN\"><head><meta "
            "charset=\"utf-8\"><title>城市管理“三化”月度考核通报（%s）</title>\n"
            "<style>%s</style></head><body>\n<h1>城市管理“三化”月度考核通报</h1><p class=\"sub\">%s</p>\n",
            month, style, month);
    heading(out, "一、考核排名");
    ranking(out, rows);
    chart_totals(out, rows);
    heading(out, "二、奖惩事项");
    findings(out, member_get(report->content, "findings"));
    heading(out, "三、专项及部门考核得分");
    entries(out, rows, member_get(report->publication, "items"));
    heading(out, "四、加分、减分");
    awards(out, rows);
    heading(out, "五、数字城管案件办理情况");
    statistics_table(out, statistics);
    fputs("<h3>按期处置率（%）</h3>\n", out);
    chart_rates(out, rows, statistics, "handle_in_time_rate", "按期处置率");
    fputs("<h3>按期结案率（%）</h3>\n", out);
    chart_rates(out, rows, statistics, "close_in_time_rate", "按期结案率");
    footer(out, report);
    fputs("</body></html>\n", out);
    return ferror(out) == 0 ? 0 : CH_EIO;
}
